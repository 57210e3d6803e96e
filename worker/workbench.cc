#include "worker/workbench.h"

#include <utility>

#include "base/digest.h"
#include "base/status_macros.h"
#include "codegen/generate_c.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

// Whatever a measurement depends on is in this text.
Digest ProfileKey(const TargetFile& file, const Compiler& compiler) {
  const std::vector<std::string> run = file.board ? file.board->run : std::vector<std::string>();
  return Digest::Of(fmt::format("isa {}\ncounts {}\n{}run {}\nkernels {}\n", file.target.isa,
                                ToString(file.target.counts), compiler.identity(),
                                fmt::join(run, "\x1f"), KernelLibraryDigest()));
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
  file.target.profile_key = ProfileKey(file, compiler).hex();
  file.target.has_board = board != nullptr;
  return std::unique_ptr<Workbench>(
      new Workbench(std::move(file), std::move(compiler), std::move(board)));
}

}  // namespace mico
