#include <signal.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/logging.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "spdlog/spdlog.h"
#include "worker/command_line.h"
#include "worker/equipment.h"
#include "worker/script_converter.h"
#include "worker/self_test.h"
#include "worker/server_channel.h"
#include "worker/task_runner.h"
#include "worker/torch/runtime.h"
#include "worker/torch/torch_evaluator.h"
#include "worker/worker_loop.h"

namespace mico {
namespace {

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// The first signal makes the loop hand back what it holds, a second one ends the process at once.
// It shares the loop, because a signal may come when Run has returned already.
void LeaveOnSignal(const std::shared_ptr<WorkerLoop>& loop, const sigset_t& signals) {
  std::thread([loop, signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("leaving; a second signal leaves at once");
    loop->Leave();
    sigwait(&signals, &signal);
    _exit(130);
  }).detach();
}

// A worker whose libtorch does not compute what it should still builds and measures, where it holds
// targets; `check` tells the doctor.
absl::StatusOr<std::unique_ptr<TorchEvaluator>> OpenEvaluator(const WorkerCommand& command,
                                                              Check& check) {
  check = {"libtorch", Check::State::kUnknown, "not used (--no-evaluate)", "", {}};
  if (!command.evaluates) return nullptr;
  TorchEvaluatorOptions options;
  options.threads = command.threads;
  options.activation_memory_bytes = command.activation_memory_mib << 20;
  options.seconds_between_checkpoints = command.checkpoint_seconds;
  absl::StatusOr<std::unique_ptr<TorchEvaluator>> evaluator = TorchEvaluator::Create(options);
  if (evaluator.ok()) {
    check.state = Check::State::kOk;
    check.found = "self-test passed: integers are exact";
    return evaluator;
  }
  if (command.targets.empty()) return evaluator;
  check.state = Check::State::kFault;
  check.found = std::string(evaluator.status().message());
  check.remedy = "apt-get install --reinstall libtorch-dev libopenblas0-pthread";
  spdlog::error("takes no evaluations: {}", check.found);
  return nullptr;
}

// Null where TorchScript cannot be read safely; `check` says why.
std::unique_ptr<ScriptConverter> OpenConverter(const WorkerCommand& command, Check& check) {
  check = {"TorchScript", Check::State::kUnknown, "not read (--no-evaluate)", "", {}};
  if (!command.evaluates) return nullptr;
  ScriptConverterOptions options;
  options.program = ScriptConverterProgram();
  auto converter = std::make_unique<ScriptConverter>(options);
  check = converter->Look();
  if (check.state == Check::State::kOk) return converter;
  spdlog::warn("reads no TorchScript: {}; mend: {}", check.found, check.remedy);
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Equipment>> OpenEquipment(const WorkerCommand& command,
                                                         std::vector<Check> found_at_start) {
  EquipmentOptions options;
  options.cache_dir = command.cache_dir;
  options.compiler.parallel = 1;  // a look must not take what tasks need
  options.compiler.object_cache = command.cache_dir / "objects";
  options.found_at_start = std::move(found_at_start);
  return Equipment::Open(command.targets, std::move(options));
}

WorkerLoopOptions LoopOptions(const WorkerCommand& command, bool evaluates, bool converts,
                              const Equipment& equipment) {
  WorkerLoopOptions options;
  options.worker_id = Random(EntropySeed()).Hex(8);
  options.worker_name = PrintableLine(command.name);
  options.version = MICO_VERSION;
  options.evaluates = evaluates;
  options.converts = converts;
  options.describe = [&equipment](WorkerReport& report) { equipment.Describe(report); };
  options.leave_when_idle = command.leave_when_idle;
  return options;
}

absl::Status Work(const WorkerCommand& command, const sigset_t& signals) {
  Check evaluator_check, converter_check;
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<TorchEvaluator> evaluator,
                        OpenEvaluator(command, evaluator_check));
  const std::unique_ptr<ScriptConverter> converter = OpenConverter(command, converter_check);
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<Equipment> equipment,
                        OpenEquipment(command, {evaluator_check, converter_check}));
  const std::shared_ptr<grpc::Channel> channel = ConnectToServer(command.server);
  BlobCacheOptions cache_options;
  cache_options.folder = command.cache_dir / "blobs";
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobCache> blobs,
                        BlobCache::Open(channel, cache_options));
  TaskRunnerOptions runner_options;
  runner_options.version = MICO_VERSION;
  runner_options.object_cache = command.cache_dir / "objects";
  runner_options.parallel_compilers = command.threads;
  runner_options.converter = converter.get();
  TaskRunner runner(*blobs, evaluator.get(), *equipment, runner_options);
  const auto loop = std::make_shared<WorkerLoop>(
      channel, runner,
      LoopOptions(command, evaluator != nullptr, converter != nullptr, *equipment));
  LeaveOnSignal(loop, signals);
  equipment->KeepLooking();
  spdlog::info("{} works for {} with {} target file(s)", command.name, command.server,
               command.targets.size());
  loop->Run();
  return absl::OkStatus();
}

absl::Status SelfTest(const WorkerCommand& command) {
  for (const std::filesystem::path& file : command.targets) {
    MICO_ASSIGN_OR_RETURN(const std::unique_ptr<Workbench> workbench, Workbench::Open(file));
    MICO_ASSIGN_OR_RETURN(const BoardRun run, RunSelfTest(*workbench, command.self_test));
    fmt::print("{}: {} of {} cases equal, one inference {} {}\n", workbench->target().name,
               run.passed, run.passed + run.failed, run.run_count.value_or(0),
               ToString(workbench->target().counts));
  }
  return absl::OkStatus();
}

int Run(const WorkerCommand& command) {
  const sigset_t signals = StopSignals();
  if (command.self_test.empty()) {
    // Blocked before any thread starts, so that only sigwait sees them.
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  const absl::Status status =
      command.self_test.empty() ? Work(command, signals) : SelfTest(command);
  if (status.ok()) return 0;
  spdlog::error("{}", std::string(status.message()));
  return status.code() == absl::StatusCode::kDataLoss ? 1 : 2;
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  const mico::ParsedWorkerCommand parsed = mico::ParseWorkerCommandLine(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  mico::LogToStandardError(parsed.command.log_format);
  return mico::Run(parsed.command);
}
