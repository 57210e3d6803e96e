// How many completed trials a second the coordinator puts on disk: real gRPC over loopback, real
// SQLite with synchronous=FULL, 16 workers with a channel each whose evaluator does nothing.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/clock.h"
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

namespace mico {
namespace {

constexpr int kWorkers = 16;

struct BenchOptions {
  std::string json;
  std::filesystem::path folder;  // of the database; the system's temporary folder if empty
  std::string only;
  bool quick = false;
};

struct Load {
  const char* name;
  int trials_per_order;
  double goal;  // trials a second
};
constexpr Load kLoads[] = {
    {"trials_per_second", 4, 1000.0},           // orders as jobs have them
    {"one_trial_orders_per_second", 1, 500.0},  // one call, one result, one order
};

// A server with a job that has more schemes than anybody will evaluate.
class BusyService {
 public:
  absl::Status Start(const std::filesystem::path& folder, int trials_per_order) {
    ServerOptions options;
    options.data_dir = folder;
    options.listen = "127.0.0.1:0";
    options.coordinator.trials_per_order = trials_per_order;
    MICO_ASSIGN_OR_RETURN(server_, Server::Start(options, clock_));
    const auto channel = grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
    exploration_ = v1::ExplorationService::NewStub(channel);
    const auto blobs = v1::BlobService::NewStub(channel);
    FakeWorker announcer(address(), "announcer");
    announcer.Step();
    v1::SubmitJobRequest request;
    v1::JobSpec& spec = *request.mutable_spec();
    MICO_ASSIGN_OR_RETURN(const Digest model, UploadBlob(*blobs, LongNetwork(12)));
    MICO_ASSIGN_OR_RETURN(const Digest data, UploadBlob(*blobs, SmallData()));
    spec.set_model_digest(model.hex());
    spec.set_dataset_digest(data.hex());
    spec.set_target("fake");
    spec.set_strategy("random");
    spec.set_trials(1'000'000);
    v1::SubmitJobResponse response;
    grpc::ClientContext context;
    MICO_RETURN_IF_ERROR(FromGrpc(exploration_->SubmitJob(&context, request, &response)));
    job_ = response.job().id();
    return absl::OkStatus();
  }

  const std::string& address() const { return server_->address(); }

  absl::StatusOr<v1::Job> GetJob() {
    v1::GetJobRequest request;
    request.set_job(job_);
    grpc::ClientContext context;
    v1::Job job;
    MICO_RETURN_IF_ERROR(FromGrpc(exploration_->GetJob(&context, request, &job)));
    return job;
  }

 private:
  SystemClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::ExplorationService::Stub> exploration_;
  std::string job_;
};

// Warms up until the search runs, then counts acknowledged trials for `duration`.
absl::StatusOr<double> Measure(const BenchOptions& options, int trials_per_order,
                               std::chrono::milliseconds duration) {
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  BusyService service;
  MICO_RETURN_IF_ERROR(service.Start(folder.path() / "data", trials_per_order));
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&, i] {
      FakeWorker worker(service.address(), fmt::format("worker-{}", i));
      while (!stop) {
        if (!worker.Step()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
  }
  const auto finished = [&service]() -> int64_t {
    const absl::StatusOr<v1::Job> job = service.GetJob();
    return job.ok() ? job->trials_finished() : -1;
  };
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (finished() < 200 && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto start = std::chrono::steady_clock::now();
  const int64_t before = finished();
  std::this_thread::sleep_for(duration);
  const int64_t after = finished();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  stop = true;
  for (std::thread& worker : workers) worker.join();
  if (before < 200 || after <= before) return absl::InternalError("the service made no progress");
  return static_cast<double>(after - before) / seconds;
}

int Run(const BenchOptions& options) {
  const std::chrono::milliseconds duration(options.quick ? 2'000 : 10'000);
  BenchReport report("16 workers with a null evaluator");
  report.Start();
  for (const Load& load : kLoads) {
    if (!options.only.empty() && options.only != load.name) continue;
    const absl::StatusOr<double> value = Measure(options, load.trials_per_order, duration);
    if (!value.ok()) {
      fmt::print(stderr, "service_bench: {}: {}\n", load.name,
                 std::string(value.status().message()));
      return 1;
    }
    report.Add(
        {.name = load.name, .value = *value, .goal = load.goal, .unit = "1/s", .decimals = 0});
  }
  if (report.figures().empty()) {
    fmt::print(stderr, "service_bench: --only '{}': no such figure\n", options.only);
    return 1;
  }
  return report.Finish("service_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::LogToStandardError("text");  // standard output is the table
  mico::BenchOptions options;
  CLI::App app("Durable completed trials per second, 16 workers with a null evaluator.");
  app.add_option("--json", options.json, "Write the figures there too");
  app.add_option("--only", options.only, "Only the figure of this name");
  app.add_option("--folder", options.folder, "Where to put the database (default: /tmp)");
  app.add_flag("--quick", options.quick, "Two seconds a figure instead of ten");
  CLI11_PARSE(app, argc, argv);
  return mico::Run(options);
}
