#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "target/target.h"
#include "worker/board/protocol.h"

namespace mico {

// Something that runs programs: a device on a bench, or a simulator.
class Board {
 public:
  virtual ~Board() = default;

  // Runs the program to its end and gives all that it said. DeadlineExceeded if it does not end;
  // Internal if the board itself failed, or the program with it (an exit code other than 0 and 1,
  // or 1 from a program that says that nothing failed); DataLoss if it said more than can be kept;
  // Cancelled when `cancelled` (may be null) became true.
  virtual absl::StatusOr<std::string> Run(const std::filesystem::path& elf,
                                          const std::atomic<bool>* cancelled) = 0;
};

// A simulator, or anything else that takes a program as an argument and passes on what it says.
class CommandBoard : public Board {
 public:
  explicit CommandBoard(BoardAccess access) : access_(std::move(access)) {}
  absl::StatusOr<std::string> Run(const std::filesystem::path& elf,
                                  const std::atomic<bool>* cancelled) override;

 private:
  BoardAccess access_;
};

// Runs a program that speaks docs/formats/board-protocol.md and reads what it said. DataLoss if
// that is not whole, not ours or contradicts itself: boards do so when a wire is loose.
absl::StatusOr<BoardRun> RunProgram(Board& board, const std::filesystem::path& elf,
                                    const std::atomic<bool>* cancelled);

// Unimplemented for boards behind a serial port; NotFound if the program that runs it is missing.
absl::StatusOr<std::unique_ptr<Board>> OpenBoard(const BoardAccess& access);

}  // namespace mico
