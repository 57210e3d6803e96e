#include "worker/workbench.h"

#include <utility>

#include "base/digest.h"
#include "base/status_macros.h"
#include "codegen/generate_c.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

// Enough to tell programs and boards apart, and short enough for a key of both.
constexpr size_t kDigits = 32;

// Whatever a measurement depends on is in these two texts.
std::string ProfileKey(const TargetFile& file, const Compiler& compiler) {
  const Digest programs = Digest::Of(fmt::format("isa {}\n{}kernels {}\n", file.target.isa,
                                                 compiler.identity(), KernelLibraryDigest()));
  std::string key = programs.hex().substr(0, kDigits);
  if (!file.board) return key;
  const Digest board = Digest::Of(fmt::format("counts {}\nrun {}\n", ToString(file.target.counts),
                                              fmt::join(file.board->run, "\x1f")));
  return fmt::format("{}-{}", key, board.hex().substr(0, kDigits));
}

}  // namespace

Workbench::Workbench(TargetFile file, Compiler compiler, std::unique_ptr<Board> board)
    : file_(std::move(file)), compiler_(std::move(compiler)), board_(std::move(board)) {}

absl::StatusOr<std::unique_ptr<Workbench>> Workbench::Open(
    const std::filesystem::path& target_file) {
  MICO_ASSIGN_OR_RETURN(TargetFile file, LoadTargetFile(target_file));
  absl::StatusOr<std::unique_ptr<Workbench>> workbench = Open(std::move(file));
  if (workbench.ok()) return workbench;
  return absl::Status(
      workbench.status().code(),
      fmt::format("{}: {}", target_file.string(), std::string(workbench.status().message())));
}

absl::StatusOr<std::unique_ptr<Workbench>> Workbench::Open(TargetFile file) {
  MICO_ASSIGN_OR_RETURN(Compiler compiler, Compiler::Create(file.toolchain));
  std::unique_ptr<Board> board;
  if (file.board) {
    MICO_ASSIGN_OR_RETURN(board, OpenBoard(*file.board));
  }
  file.target.profile_key = ProfileKey(file, compiler);
  file.target.has_board = board != nullptr;
  return std::unique_ptr<Workbench>(
      new Workbench(std::move(file), std::move(compiler), std::move(board)));
}

}  // namespace mico
