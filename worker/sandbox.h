#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/process.h"

namespace mico {

// A program that works on what a stranger made, and what it may have.
struct SandboxOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::string_view input;  // its stdin
  // Files and folders it sees beside the libraries, read-only and under their own names.
  std::vector<std::filesystem::path> read_only;
  // Of address space.
  uint64_t most_memory_bytes = uint64_t{4} << 30;
  std::chrono::seconds most_cpu_time{120};
  // Longer than the CPU time, because others use the machine too.
  std::chrono::milliseconds timeout{600'000};
  // Of each of stdout and stderr.
  size_t most_output_bytes = size_t{1} << 20;
  // May be null.
  const std::atomic<bool>* cancelled = nullptr;
};

// Runs the program under bubblewrap: in namespaces of its own it sees no network, no process, no
// file but the system's libraries, which it cannot change, and nothing of our environment; it
// starts no process and opens no socket; there is no place where it could leave anything. A program
// that a signal ends has the exit code 128 + signal.
//
// FailedPrecondition: bubblewrap is missing or cannot do all of this here; the program has not been
// started, and the message says how to mend it. Otherwise as RunProcess.
absl::StatusOr<ProcessResult> RunInSandbox(const SandboxOptions& options);

// The command that mends what RunInSandbox complains of.
std::string HowToMendSandbox(std::string_view complaint);

}  // namespace mico
