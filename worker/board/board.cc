#include "worker/board/board.h"

#include <algorithm>
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

// The end of what was said, which is where it went wrong.
std::string LastWords(const ProcessResult& result) {
  constexpr size_t kBytes = 500;
  const std::string& said = result.errors.empty() ? result.output : result.errors;
  if (said.empty()) return "said nothing";
  const size_t begin = said.size() - std::min(said.size(), kBytes);
  return fmt::format("said{}: {}", begin > 0 ? " last" : "", said.substr(begin));
}

}  // namespace

absl::StatusOr<std::string> CommandBoard::Run(const std::filesystem::path& elf,
                                              const std::atomic<bool>* cancelled) {
  ProcessOptions options;
  options.timeout = std::chrono::seconds(access_.timeout_s);
  options.cancelled = cancelled;
  MICO_ASSIGN_OR_RETURN(const ProcessResult result,
                        RunProcess(WithElf(access_.run, elf.string()), options));
  const std::string outcome = fmt::format("board {}: {}", access_.run[0], result.Outcome());
  if (result.timed_out) {
    return absl::DeadlineExceededError(fmt::format("{}; {}", outcome, LastWords(result)));
  }
  if (result.truncated) {
    return absl::DataLossError(fmt::format("{}; more than {} bytes of output; {}", outcome,
                                           options.most_output_bytes, LastWords(result)));
  }
  if (result.signal != 0 || result.exit_code > 1 || result.output.empty()) {
    return absl::InternalError(fmt::format("{}; {}", outcome, LastWords(result)));
  }
  // 1 is how a self-test says that a case failed, and nobody else's business.
  if (result.exit_code == 1) {
    const absl::StatusOr<BoardRun> run = ParseBoardOutput(result.output);
    if (run.ok() && run->failed == 0) {
      return absl::InternalError(
          fmt::format("{}, though the program says that nothing failed", outcome));
    }
  }
  return result.output;
}

absl::StatusOr<BoardRun> RunProgram(Board& board, const std::filesystem::path& elf,
                                    const std::atomic<bool>* cancelled) {
  MICO_ASSIGN_OR_RETURN(const std::string said, board.Run(elf, cancelled));
  absl::StatusOr<BoardRun> run = ParseBoardOutput(said);
  if (run.ok()) return run;
  return absl::DataLossError(std::string(run.status().message()));
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
