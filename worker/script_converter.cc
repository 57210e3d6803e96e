#include "worker/script_converter.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/model_package.h"
#include "worker/sandbox.h"

namespace mico {
namespace {

constexpr int kUsage = 2;            // what mico-torchscript exits with without a shape
constexpr int kFirstErrorCode = 64;  // and with a status: worker/torch/torchscript_main.cc
constexpr int kFirstSignal = 128;
constexpr size_t kLongestError = 60'000;

std::string Gib(uint64_t bytes) {
  return fmt::format("{:.3g} GiB", static_cast<double>(bytes) / (uint64_t{1} << 30));
}

// What ended the program, if it did not end by itself; 0: it did.
int SignalOf(const ProcessResult& result) {
  if (result.signal != 0) return result.signal;
  return result.exit_code > kFirstSignal ? result.exit_code - kFirstSignal : 0;
}

absl::Status KilledBy(int signal, const ScriptConverterOptions& options) {
  if (signal == SIGKILL) {  // of the second CPU limit, or of a kernel that was short of memory
    return absl::ResourceExhaustedError("the file's reader was killed");
  }
  if (signal == SIGXCPU) {
    return absl::InvalidArgumentError(
        fmt::format("the file takes more than {} s to be read", options.most_cpu_time.count()));
  }
  return absl::InvalidArgumentError(
      fmt::format("the file makes its reader crash (signal {}), or needs more than {} of memory",
                  signal, Gib(options.most_memory_bytes)));
}

absl::Status ReportedError(const ProcessResult& result, const ScriptConverterOptions& options) {
  const auto code = static_cast<absl::StatusCode>(result.exit_code - kFirstErrorCode);
  const std::string said = Printable(result.output.substr(0, kLongestError));
  if (code == absl::StatusCode::kUnimplemented) return absl::UnimplementedError(said);
  if (code == absl::StatusCode::kInvalidArgument) return absl::InvalidArgumentError(said);
  if (code == absl::StatusCode::kResourceExhausted) {
    return absl::InvalidArgumentError(
        fmt::format("{}; the limit is {}", said, Gib(options.most_memory_bytes)));
  }
  return absl::InvalidArgumentError(
      fmt::format("the file makes its reader fail ({}): {}", result.Outcome(), said));
}

}  // namespace

absl::StatusOr<std::string> ScriptConverter::Convert(std::string_view file,
                                                     const std::vector<int64_t>& input_dims,
                                                     const std::atomic<bool>* cancelled) const {
  if (file.size() > options_.most_file_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("the file has {} bytes; at most {}", file.size(), options_.most_file_bytes));
  }
  SandboxOptions sandbox;
  sandbox.program = options_.program;
  sandbox.arguments = {fmt::format("{}", fmt::join(input_dims, "x"))};
  sandbox.input = file;
  sandbox.most_memory_bytes = options_.most_memory_bytes;
  sandbox.most_cpu_time = options_.most_cpu_time;
  sandbox.timeout = options_.timeout;
  sandbox.most_output_bytes = options_.most_package_bytes;
  sandbox.cancelled = cancelled;
  MICO_ASSIGN_OR_RETURN(ProcessResult result, RunInSandbox(sandbox));
  if (result.timed_out) {
    return absl::DeadlineExceededError(
        fmt::format("the file was not read within {} s", options_.timeout.count() / 1000));
  }
  if (const int signal = SignalOf(result); signal != 0) return KilledBy(signal, options_);
  if (result.exit_code != 0) return ReportedError(result, options_);
  if (result.output.size() >= options_.most_package_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("the file makes a network of more than {} bytes", options_.most_package_bytes));
  }
  const absl::StatusOr<ModelPackage> package = ParseModelPackage(result.output);
  if (package.ok()) return std::move(result.output);
  return absl::InvalidArgumentError(fmt::format("the file makes its reader give no network: {}",
                                                std::string(package.status().message())));
}

Check ScriptConverter::Look() const {
  // Everything else works without.
  Check check{"TorchScript", Check::State::kWarning, "", "", {}};
  SandboxOptions sandbox;
  sandbox.program = options_.program;
  sandbox.most_memory_bytes = options_.most_memory_bytes;
  sandbox.timeout = std::chrono::seconds(60);
  const absl::StatusOr<ProcessResult> result = RunInSandbox(sandbox);
  if (!result.ok()) {
    const std::string message(result.status().message());
    check.found = message.substr(0, message.find("; mend: "));
    check.remedy = HowToMendSandbox(message);
  } else if (result->exit_code != kUsage) {
    check.found = fmt::format("{} does not start in it ({}): {}", options_.program.string(),
                              result->Outcome(), PrintableLine(result->errors.substr(0, 500)));
    check.remedy = fmt::format("ls -l {}", options_.program.string());
  } else {
    check.state = Check::State::kOk;
    check.found = "bubblewrap keeps files and network away from what reads TorchScript";
  }
  return check;
}

std::filesystem::path ScriptConverterProgram() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "mico-torchscript";
}

}  // namespace mico
