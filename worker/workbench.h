#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "target/target.h"
#include "worker/board/board.h"
#include "worker/compiler.h"

namespace mico {

// A target that this worker can build for, and run on where it has a board. One task at a time.
class Workbench {
 public:
  // Looks for the compiler, the bsp folder and the board's program, and computes the profile key.
  // Errors name the file.
  static absl::StatusOr<std::unique_ptr<Workbench>> Open(const std::filesystem::path& target_file);
  static absl::StatusOr<std::unique_ptr<Workbench>> Open(TargetFile file);

  const Target& target() const { return file_.target; }
  const Toolchain& toolchain() const { return file_.toolchain; }
  const Compiler& compiler() const { return compiler_; }
  // Null: programs can only be built.
  Board* board() const { return board_.get(); }

 private:
  Workbench(TargetFile file, Compiler compiler, std::unique_ptr<Board> board);

  TargetFile file_;
  Compiler compiler_;
  std::unique_ptr<Board> board_;
};

}  // namespace mico
