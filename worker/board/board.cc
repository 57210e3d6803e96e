#include "worker/board/board.h"

#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/process.h"

namespace mico {
namespace {

constexpr std::string_view kElf = "{elf}";

std::vector<std::string> WithElf(std::vector<std::string> command, const std::string& elf) {
  for (std::string& argument : command) {
    for (size_t at = 0; (at = argument.find(kElf, at)) != std::string::npos; at += elf.size()) {
      argument.replace(at, kElf.size(), elf);
    }
  }
  return command;
}

}  // namespace

absl::StatusOr<std::string> CommandBoard::Run(const std::filesystem::path& elf,
                                              const std::atomic<bool>* cancelled) {
  ProcessOptions options;
  options.timeout = std::chrono::seconds(access_.timeout_s);
  options.cancelled = cancelled;
  MICO_ASSIGN_OR_RETURN(const ProcessResult result,
                        RunProcess(WithElf(access_.run, elf.string()), options));
  if (result.timed_out) {
    return absl::DeadlineExceededError(fmt::format("{}: {}; said: {}", access_.run[0],
                                                   result.Outcome(), result.output.substr(0, 500)));
  }
  // A self-test that fails ends with an exit code of its own; what counts is what was said.
  if (result.signal != 0 || result.output.empty()) {
    return absl::InternalError(fmt::format("{}: {}; said: {}", access_.run[0], result.Outcome(),
                                           result.errors.substr(0, 500)));
  }
  return result.output;
}

absl::StatusOr<std::unique_ptr<Board>> OpenBoard(const BoardAccess& access) {
  if (access.serial || access.run.empty()) {
    return absl::UnimplementedError(
        "board: serial boards cannot be driven yet; a board needs a 'run' command");
  }
  // A program built here may run itself ("{elf}"): it is not there yet.
  if (access.run[0].find(kElf) == std::string::npos) {
    MICO_RETURN_IF_ERROR(FindProgram(access.run[0]).status());
  }
  return std::make_unique<CommandBoard>(access);
}

}  // namespace mico
