#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

struct ProcessOptions {
  // Empty: the caller's.
  std::filesystem::path working_folder;
  // After this long the whole process group is killed.
  std::chrono::milliseconds timeout{60'000};
  // Kept of each of stdout and stderr; the rest is read and dropped, so that a chatty program
  // neither blocks nor fills our memory.
  size_t most_output_bytes = size_t{4} << 20;
  // No file may grow beyond this; 0: no limit.
  uint64_t most_file_bytes = uint64_t{1} << 30;
  // Of address space, for each process; 0: no limit.
  uint64_t most_memory_bytes = 0;
  // For each process; then SIGXCPU ends it. 0: no limit.
  std::chrono::seconds most_cpu_time{0};
  // What the program reads as stdin; -1: /dev/null.
  int input_fd = -1;
  // What it finds as descriptor 3; -1: nothing.
  int inherited_fd = -1;
  // The process group is killed soon after this becomes true. May be null.
  const std::atomic<bool>* cancelled = nullptr;
};

struct ProcessResult {
  int exit_code = 0;  // meaningful when `signal` is 0
  int signal = 0;     // that ended it; SIGKILL after a timeout
  bool timed_out = false;
  bool truncated = false;  // more was written than kept
  std::string output;      // stdout
  std::string errors;      // stderr

  bool succeeded() const { return exit_code == 0 && signal == 0 && !timed_out; }
  // "exit code 3", "killed by signal 9", "no end after 60000 ms".
  std::string Outcome() const;

  int64_t timeout_ms = 0;  // the limit it ran under, for Outcome
};

// Runs a program and waits for its end. `arguments[0]` is looked up on PATH; no shell is involved.
// The environment is PATH, HOME, TMPDIR and LC_ALL=C, no descriptor but those of the options is
// inherited, and the program dies with this process. It leads a process group, which is killed as a
// whole when the program ends, so that nothing it started survives it.
//
// NotFound: no such program. Cancelled: `cancelled` became true. How the program ended is in the
// result, not in the status. Safe to call from several threads of a process that runs gRPC.
absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& arguments,
                                         const ProcessOptions& options = {});

// Where on PATH `program` is; names with a '/' are taken as they are.
absl::StatusOr<std::string> FindProgram(const std::string& program);

}  // namespace mico
