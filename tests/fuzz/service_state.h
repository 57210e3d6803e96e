#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "db/blob_store.h"
#include "db/store.h"
#include "grpcpp/grpcpp.h"
#include "proto/exploration.pb.h"
#include "server/blob_service.h"
#include "server/coordinator.h"
#include "server/exploration_service.h"
#include "server/worker_service.h"

namespace mico::fuzz {

// A server with a past, in a folder in memory: a worker, one finished job with an artifact, one
// whose first task the worker holds. Its ids are the same in every process. Everything that
// server/server.cc wires together is here, but for the port.
class ServiceState {
 public:
  // Makes that past with the fake worker of the integration tests.
  ServiceState();
  ~ServiceState();

  // As it was after the constructor.
  void Reset();

  WorkerServiceImpl& workers() { return parts_->workers; }
  ExplorationServiceImpl& exploration() { return parts_->exploration; }
  BlobServiceImpl& blobs() { return parts_->blob_service; }
  ManualClock& clock() { return clock_; }
  // To the services over gRPC, for calls with streams.
  std::shared_ptr<grpc::Channel> Channel();

  // What stands for an id or a digest of this server in an input: "@model", "@lease", ...
  const std::map<std::string, std::string>& names() const { return names_; }

 private:
  // Destroyed from the last member to the first.
  struct Parts {
    std::unique_ptr<BlobStore> blobs;
    std::unique_ptr<Store> store;
    std::unique_ptr<Coordinator> coordinator;
    std::unique_ptr<StorageLook> storage;
    WorkerServiceImpl workers;
    ExplorationServiceImpl exploration;
    BlobServiceImpl blob_service;
    std::unique_ptr<grpc::Server> server;
  };

  void Open();
  void Close();
  void MakePast();
  std::string SubmitSmallJob(uint64_t seed);

  const std::filesystem::path folder_;
  ManualClock clock_;
  std::map<std::string, std::string> names_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mico::fuzz
