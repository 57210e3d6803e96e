#include "worker/command_line.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "CLI/CLI.hpp"
#include "base/environment_flags.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr int kWrongUsage = 2;

constexpr std::array<EnvironmentFlag, 6> kEnvironment{{{"--server", "MICO_SERVER"},
                                                       {"--name", "MICO_NAME"},
                                                       {"--cache-dir", "MICO_CACHE_DIR"},
                                                       {"--threads", "MICO_THREADS"},
                                                       {"--log-format", "MICO_LOG_FORMAT"},
                                                       {"--config", "MICO_CONFIG"}}};

std::string DefaultName() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return fmt::format("{}-{}", host.data(), getpid());
}

std::filesystem::path DefaultCacheDir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    return std::filesystem::path(cache) / "mico";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache/mico";
  }
  return std::filesystem::temp_directory_path() / fmt::format("mico-cache-{}", getuid());
}

void AddOptions(CLI::App& app, WorkerCommand& command) {
  app.add_option("--server", command.server, "HOST:PORT of mico-server")->capture_default_str();
  app.add_option("--target", command.targets,
                 "Target file of a device that this worker holds; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--name", command.name, "For people; default: host and process");
  app.add_option("--cache-dir", command.cache_dir, "Blobs and compiled kernels are kept there")
      ->capture_default_str();
  app.add_option("--threads", command.threads, "Of the evaluator; 0: one for each core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--activation-memory", command.activation_memory_mib,
                 "MiB for the tensors of an evaluation: decides how much work schemes share")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--checkpoint-seconds", command.checkpoint_seconds,
                 "Between states of a training from which another worker could go on")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_flag_callback(
      "--no-evaluate", [&command] { command.evaluates = false; },
      "Take no calibration and evaluation tasks, and read no TorchScript");
  app.add_flag("--once", command.leave_when_idle, "Leave as soon as there is nothing to do");
  app.add_option("--log-format", command.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

}  // namespace

ParsedWorkerCommand ParseWorkerCommandLine(int argc, const char* const* argv) {
  ParsedWorkerCommand parsed;
  WorkerCommand& command = parsed.command;
  command.name = DefaultName();
  command.cache_dir = DefaultCacheDir();
  CLI::App app("The worker of MiCo: evaluates, profiles boards, builds and tests artifacts.");
  app.option_defaults()->take_last();
  app.set_version_flag("--version", std::string("mico-worker ") + MICO_VERSION);
  app.set_config("--config", "", "Read options from this file; flags and MICO_... override it");
  app.allow_config_extras(CLI::config_extras_mode::error);
  AddOptions(app, command);
  CLI::App* self_test = app.add_subcommand(
      "self-test", "Build a fetched artifact's self-test for --target, run it on the board, leave");
  self_test->fallthrough();
  self_test->add_option("DIR", command.self_test, "Folder of the artifact")->required();
  try {
    std::vector<std::string> arguments = WithEnvironment(kEnvironment, {argv + 1, argv + argc});
    std::reverse(arguments.begin(), arguments.end());  // CLI11 wants them last first
    app.parse(std::move(arguments));
    if (!command.self_test.empty() && command.targets.empty()) {
      throw CLI::ValidationError("self-test", "needed: --target FILE");
    }
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  return parsed;
}

}  // namespace mico
