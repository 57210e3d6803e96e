#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "client/connection.h"
#include "tests/support/child_process.h"

namespace mico {

// A whole service of real processes on a loopback port, in a folder of its own.
class ServiceFixture : public testing::Test {
 protected:
  ServiceFixture();

  // Starts mico-server on `data`; the first start picks a port, later ones take the same.
  void StartServer(const std::string& data);
  void KillServer();
  // Starts a worker that holds `target_`; the index names its log.
  void StartWorker(size_t index);
  void KillWorker(size_t index);
  void StopWorkers();

  // The job of examples/fashion-mnist with fewer widths and trials, so that it takes seconds.
  v1::SubmitJobRequest ExampleJob(const std::string& request_id);
  v1::Job Submit(const v1::SubmitJobRequest& request);
  // Retries while the server is away.
  v1::Job GetJob(const std::string& id);
  v1::Job WaitForEnd(const std::string& id);
  // Waits until more trials are finished than `than`, or the job has ended.
  v1::Job WaitForProgress(const std::string& id, int64_t than);
  void WaitForTarget();

  Connection& server() { return *connection_; }
  std::filesystem::path Path(const std::string& name) const { return folder_.path() / name; }
  EndedProcess Cli(std::vector<std::string> arguments);

  TemporaryFolder folder_;
  std::filesystem::path target_;
  std::vector<std::string> worker_options_;  // of those that start from now on
  std::string address_;
  std::unique_ptr<ChildProcess> server_process_;
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::unique_ptr<Connection> connection_;
};

// Calls `ready` until it is true; fails the test when that takes minutes.
void WaitUntil(const char* what, const std::function<bool()>& ready);

// What must be equal between two runs of one job: schemes, counts and costs of the front, in order.
std::vector<std::string> FrontAsText(const v1::Job& job);

}  // namespace mico
