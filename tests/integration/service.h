#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "proto/exploration.grpc.pb.h"
#include "server/server.h"
#include "tests/integration/fake_worker.h"
#include "tests/integration/small_network.h"

namespace mico {

// A whole server on a folder of its own, and what a client does with it.
class ServiceTest : public testing::Test {
 protected:
  void SetUp() override { StartServer(); }

  void StartServer();
  // As if the process had died and were started again: nothing survives but the files.
  void RestartServer();

  // A job on the small network.
  v1::SubmitJobRequest SmallJob(const std::string& strategy = "uniform", int64_t trials = 20);
  grpc::Status TrySubmit(const v1::SubmitJobRequest& request, v1::SubmitJobResponse* response);
  v1::SubmitJobResponse Submit(const v1::SubmitJobRequest& request);
  v1::Job GetJob(const std::string& id);
  bool HasEnded(const std::string& id);
  std::vector<v1::Trial> ListTrials(const std::string& id, int page_size = 0);
  grpc::Status TryGetArtifact(const std::string& id, int64_t trial,
                              v1::GetArtifactResponse* response);
  std::string Download(const std::string& digest);

  // A worker that the server has heard of, with its target.
  FakeWorker AnnouncedWorker(const std::string& id);

  const std::string& address() const { return server_->address(); }

  ManualClock clock_;
  TemporaryFolder folder_ = TemporaryFolder::Create().value();
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::ExplorationService::Stub> exploration_;
  std::unique_ptr<v1::BlobService::Stub> blobs_;
};

// Scheme, accuracy and cost of each point, for comparisons.
std::vector<std::string> FrontAsText(const v1::Job& job);
// The same, worked out from all trials without the server's code.
std::vector<std::string> ExpectedFront(const std::vector<v1::Trial>& trials,
                                       int64_t max_latency = INT64_MAX);

}  // namespace mico
