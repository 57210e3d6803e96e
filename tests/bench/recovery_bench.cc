// How soon a server that was killed serves again: a real mico-server over a folder with 200,000
// trials in jobs that are still open, from exec to its first answer.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/file.h"
#include "base/logging.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "proto/convert.h"
#include "server/server.h"
#include "tests/bench/bench_report.h"
#include "tests/integration/fake_worker.h"
#include "tests/integration/small_network.h"
#include "tests/support/child_process.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

constexpr int kJobs = 4;
constexpr double kMostSeconds = 2.0;

struct BenchOptions {
  std::string json;
  std::filesystem::path folder;  // the system's temporary folder if empty
  bool quick = false;
};

absl::StatusOr<v1::SubmitJobRequest> OpenEndedJob(v1::BlobService::Stub& blobs, int seed) {
  v1::SubmitJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  MICO_ASSIGN_OR_RETURN(const Digest model, UploadBlob(blobs, LongNetwork(20)));
  MICO_ASSIGN_OR_RETURN(const Digest data, UploadBlob(blobs, SmallData()));
  spec.set_model_digest(model.hex());
  spec.set_dataset_digest(data.hex());
  spec.set_target("fake");
  spec.set_strategy("random");
  spec.set_trials(1'000'000);
  spec.set_seed(static_cast<uint64_t>(seed));
  return request;
}

// Fills the folder through the service itself, until its jobs have so many finished trials.
absl::Status Fill(const std::filesystem::path& data, int64_t trials) {
  SystemClock clock;
  ServerOptions options;
  options.data_dir = data;
  options.listen = "127.0.0.1:0";
  options.coordinator.trials_per_order = 512;
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<Server> server, Server::Start(options, clock));
  const auto channel = grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials());
  const auto exploration = v1::ExplorationService::NewStub(channel);
  const auto blobs = v1::BlobService::NewStub(channel);
  FakeWorker worker(server->address(), "filler");
  worker.Step();
  std::vector<std::string> jobs;
  for (int job = 0; job < kJobs; ++job) {
    MICO_ASSIGN_OR_RETURN(const v1::SubmitJobRequest request, OpenEndedJob(*blobs, job + 1));
    v1::SubmitJobResponse response;
    grpc::ClientContext context;
    MICO_RETURN_IF_ERROR(FromGrpc(exploration->SubmitJob(&context, request, &response)));
    jobs.push_back(response.job().id());
  }
  const auto finished = [&]() -> int64_t {
    int64_t sum = 0;
    for (const std::string& id : jobs) {
      v1::GetJobRequest request;
      request.set_job(id);
      grpc::ClientContext context;
      v1::Job job;
      if (exploration->GetJob(&context, request, &job).ok()) sum += job.trials_finished();
    }
    return sum;
  };
  while (finished() < trials) {
    for (int step = 0; step < 20; ++step) {
      if (!worker.Step()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  return absl::OkStatus();
}

// From exec to the first answer.
absl::StatusOr<double> SecondsUntilReady(const std::filesystem::path& folder) {
  const std::filesystem::path port_file = folder / "address";
  std::filesystem::remove(port_file);
  const auto start = std::chrono::steady_clock::now();
  ChildProcess server({std::filesystem::path(kBinaryFolder) / "bin/mico-server", "--data-dir",
                       folder / "data", "--listen", "127.0.0.1:0", "--port-file", port_file},
                      folder / "server.log");
  while (!std::filesystem::exists(port_file)) {
    if (!server.Running()) {
      return absl::InternalError(ReadFile(folder / "server.log.err").value_or("no server"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::string address;
  std::ifstream(port_file) >> address;
  const auto exploration = v1::ExplorationService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::ListJobsResponse jobs;
  MICO_RETURN_IF_ERROR(FromGrpc(exploration->ListJobs(&context, v1::ListJobsRequest(), &jobs)));
  if (jobs.jobs_size() != kJobs) return absl::InternalError("jobs are missing");
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}  // killed here

int Run(const BenchOptions& options) {
  const int64_t trials = options.quick ? 20'000 : 200'000;
  const absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create(options.folder);
  absl::Status status = folder.status();
  if (status.ok()) status = Fill(folder->path() / "data", trials);
  BenchReport report(fmt::format("{} finished trials in {} open jobs", trials, kJobs));
  report.Start();
  std::vector<double> seconds;
  for (int run = 0; status.ok() && run < 5; ++run) {
    const absl::StatusOr<double> ready = SecondsUntilReady(folder->path());
    status = ready.status();
    if (ready.ok()) seconds.push_back(*ready);
  }
  if (!status.ok()) {
    fmt::print(stderr, "recovery_bench: {}\n", std::string(status.message()));
    return 1;
  }
  std::sort(seconds.begin(), seconds.end());
  report.Add({.name = "ready_after_kill",
              .value = seconds[seconds.size() / 2],
              .goal = kMostSeconds,
              .unit = "s",
              .kind = Goal::kAtMost});
  report.Add({.name = "ready_after_kill_longest",
              .value = seconds.back(),
              .goal = kMostSeconds,
              .unit = "s",
              .kind = Goal::kAtMost});
  const auto bytes = std::filesystem::file_size(folder->path() / "data" / "mico.sqlite");
  report.Add({.name = "database", .value = static_cast<double>(bytes) / (1 << 20), .unit = "MiB"});
  return report.Finish("recovery_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::LogToStandardError("text");  // standard output is the table
  mico::BenchOptions options;
  CLI::App app("Seconds until a killed mico-server serves again with 200,000 trials stored.");
  app.add_option("--json", options.json, "Write the figures there too");
  app.add_option("--folder", options.folder, "Where to put the database (default: /tmp)");
  app.add_flag("--quick", options.quick, "20,000 trials");
  CLI11_PARSE(app, argc, argv);
  return mico::Run(options);
}
