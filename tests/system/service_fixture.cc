#include "tests/system/service_fixture.h"

#include <signal.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "fmt/format.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{20};
constexpr std::chrono::seconds kPatience{400};

const std::filesystem::path kSource = kSourceFolder;
const std::filesystem::path kPrograms = std::filesystem::path(kBinaryFolder) / "bin";

bool Ended(const v1::Job& job) {
  return job.state() == v1::JOB_STATE_DONE || job.state() == v1::JOB_STATE_FAILED ||
         job.state() == v1::JOB_STATE_CANCELLED;
}

// The catalogue's rv32imc with fewer widths: fewer kernels to profile.
void WriteSmallTarget(const std::filesystem::path& path) {
  std::string text = ReadFile(kSource / "target/catalogue/rv32imc.yaml").value();
  std::string kept;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("weight_bits") || line.starts_with("activation_bits")) continue;
    const size_t bsp = line.find("bsp: ");
    if (bsp != std::string::npos) {
      line.insert(bsp + 5, (kSource / "target/catalogue").string() + "/");
    }
    kept += line + "\n";
  }
  kept += "weight_bits: [8, 4]\nactivation_bits: [8, 4]\n";
  ASSERT_TRUE(WriteFileDurably(path, kept).ok());
}

}  // namespace

ServiceFixture::ServiceFixture()
    : folder_(TemporaryFolder::Create().value()), target_(folder_.path() / "rv32imc.yaml") {
  WriteSmallTarget(target_);
}

void ServiceFixture::StartServer(const std::string& data) {
  const std::string listen = address_.empty() ? "127.0.0.1:0" : address_;
  const std::filesystem::path port_file = Path("address");
  std::filesystem::remove(port_file);
  server_process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{kPrograms / "mico-server", "--data-dir", Path(data), "--listen",
                               listen, "--port-file", port_file, "--lease-ms", "3000"},
      Path("server.log"));
  WaitUntil("the server's address",
            [&] { return std::filesystem::exists(port_file) || !server_process_->Running(); });
  ASSERT_TRUE(server_process_->Running()) << ReadFile(Path("server.log.err")).value_or("");
  std::ifstream(port_file) >> address_;
  connection_ = std::make_unique<Connection>(address_);
}

void ServiceFixture::KillServer() { server_process_->KillNow(); }

void ServiceFixture::StartWorker(size_t index) {
  if (workers_.size() <= index) workers_.resize(index + 1);
  std::vector<std::string> command{kPrograms / "mico-worker",
                                   "--server",
                                   address_,
                                   "--target",
                                   target_,
                                   "--threads",
                                   "1",
                                   "--cache-dir",
                                   Path(fmt::format("cache-{}", index)),
                                   "--name",
                                   fmt::format("worker-{}", index)};
  command.insert(command.end(), worker_options_.begin(), worker_options_.end());
  workers_[index] =
      std::make_unique<ChildProcess>(command, Path(fmt::format("worker-{}.log", index)));
}

void ServiceFixture::KillWorker(size_t index) { workers_[index]->KillNow(); }

void ServiceFixture::StopWorkers() {
  for (auto& worker : workers_) worker->Signal(SIGTERM);
  for (auto& worker : workers_) EXPECT_EQ(worker->Wait(std::chrono::seconds(60)), 0);
}

v1::SubmitJobRequest ServiceFixture::ExampleJob(const std::string& request_id) {
  const std::filesystem::path example = kSource / "examples/fashion-mnist";
  v1::SubmitJobRequest request;
  request.set_request_id(request_id);
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_model_name("fashion_mnist.onnx");
  spec.set_model_digest(server().UploadOnce(example / "fashion_mnist.onnx").value().hex());
  spec.set_dataset_name("fashion_mnist.npz");
  spec.set_dataset_digest(server().UploadOnce(example / "fashion_mnist.npz").value().hex());
  spec.set_target("rv32imc");
  spec.mutable_limits()->mutable_max_latency()->set_relative(0.85);
  spec.set_strategy("sensitivity");
  spec.set_trials(80);
  spec.set_seed(5);
  return request;
}

v1::Job ServiceFixture::Submit(const v1::SubmitJobRequest& request) {
  const auto response =
      server().Call<v1::SubmitJobResponse>(&v1::ExplorationService::Stub::SubmitJob, request);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->job() : v1::Job();
}

v1::Job ServiceFixture::GetJob(const std::string& id) {
  v1::GetJobRequest request;
  request.set_job(id);
  v1::Job job;
  WaitUntil("the server's answer", [&] {
    const auto response = server().Call<v1::Job>(&v1::ExplorationService::Stub::GetJob, request);
    if (response.ok()) job = *response;
    return response.ok();
  });
  return job;
}

v1::Job ServiceFixture::WaitForEnd(const std::string& id) {
  v1::Job job;
  WaitUntil("the job's end", [&] {
    job = GetJob(id);
    return Ended(job);
  });
  return job;
}

v1::Job ServiceFixture::WaitForProgress(const std::string& id, int64_t than) {
  v1::Job job;
  WaitUntil("progress", [&] {
    job = GetJob(id);
    return Ended(job) || job.trials_finished() > than;
  });
  return job;
}

void ServiceFixture::WaitForTarget() {
  WaitUntil("a worker that announces the target", [&] {
    const auto targets = server().Call<v1::ListTargetsResponse>(
        &v1::ExplorationService::Stub::ListTargets, v1::ListTargetsRequest());
    return targets.ok() && targets->targets_size() > 0;
  });
}

EndedProcess ServiceFixture::Cli(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {(kPrograms / "mico-cli").string(), "--server", address_});
  return RunToEnd(arguments, Path("cli.log"), kPatience);
}

void WaitUntil(const char* what, const std::function<bool()>& ready) {
  const auto deadline = steady_clock::now() + kPatience;
  while (!ready()) {
    ASSERT_LT(steady_clock::now(), deadline) << "waiting for " << what;
    std::this_thread::sleep_for(kPoll);
  }
}

std::vector<std::string> FrontAsText(const v1::Job& job) {
  std::vector<std::string> points;
  for (const v1::Trial& trial : job.front()) {
    points.push_back(fmt::format("{} val {}/{} test {}/{} cost {} {} {}", trial.scheme_text(),
                                 trial.val().correct(), trial.val().total(), trial.test().correct(),
                                 trial.test().total(), trial.cost().latency_cycles(),
                                 trial.cost().peak_ram_bytes(), trial.cost().flash_bytes()));
  }
  return points;
}

}  // namespace mico
