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
#include "tests/integration/fake_worker.h"

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

  // The id or the digest of this server that `name` stands for in an input ("@model", "@lease",
  // ...), or null. What SetName says holds until Reset.
  const std::string* Find(const std::string& name) const;
  void SetName(const std::string& name, const std::string& value) { later_names_[name] = value; }
  // There is such a job, and it has not ended.
  bool Runs(const std::string& job);
  // So many steps of an honest worker of its own; what it holds afterwards it keeps until Reset.
  void Work(int steps);

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
    std::unique_ptr<FakeWorker> worker;
  };

  void Open(uint64_t ids);
  void Close();
  std::string Address() const;
  void MakePast();
  std::string SubmitSmallJob(uint64_t seed);

  const std::filesystem::path folder_;
  ManualClock clock_;
  std::map<std::string, std::string> names_, later_names_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace mico::fuzz
