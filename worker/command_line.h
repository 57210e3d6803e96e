#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mico {

// What mico-worker was asked to do.
struct WorkerCommand {
  std::string server = "localhost:50051";
  std::vector<std::filesystem::path> targets;
  std::string name;
  std::filesystem::path cache_dir;
  int threads = 0;  // 0: one for each core
  int64_t activation_memory_mib = 512;
  double checkpoint_seconds = 60.0;
  bool evaluates = true;
  bool leave_when_idle = false;
  std::string log_format = "text";
  // `mico-worker self-test`: the folder of a fetched artifact; empty otherwise.
  std::filesystem::path self_test;
};

struct ParsedWorkerCommand {
  WorkerCommand command;
  std::optional<int> exit_code;  // set: print nothing more, exit with it
};

// Flags override the environment (MICO_...), which overrides the file of --config.
ParsedWorkerCommand ParseWorkerCommandLine(int argc, const char* const* argv);

}  // namespace mico
