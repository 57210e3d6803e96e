#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "target/target.h"

namespace mico {

// Something that runs programs: a device on a bench, or a simulator.
class Board {
 public:
  virtual ~Board() = default;

  // Runs the program to its end and gives all that it said. DeadlineExceeded if it does not end;
  // Internal if the board itself failed; Cancelled when `cancelled` (may be null) became true.
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

// Unimplemented for boards behind a serial port; NotFound if the program that runs it is missing.
absl::StatusOr<std::unique_ptr<Board>> OpenBoard(const BoardAccess& access);

}  // namespace mico
