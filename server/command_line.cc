#include "server/command_line.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "CLI/CLI.hpp"
#include "base/environment_flags.h"

namespace mico {
namespace {

// Exit code for wrong usage, as in mico-cli.
constexpr int kWrongUsage = 2;

constexpr std::array<EnvironmentFlag, 8> kEnvironment{{{"--data-dir", "MICO_DATA_DIR"},
                                                       {"--listen", "MICO_LISTEN"},
                                                       {"--port-file", "MICO_PORT_FILE"},
                                                       {"--with-worker", "MICO_WITH_WORKER"},
                                                       {"--targets", "MICO_TARGETS"},
                                                       {"--log-format", "MICO_LOG_FORMAT"},
                                                       {"--lease-ms", "MICO_LEASE_MS"},
                                                       {"--config", "MICO_CONFIG"}}};

std::filesystem::path ProgramFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

// Installed beside the programs, or in the source tree that they were built from.
std::filesystem::path DefaultTargets() {
  const std::filesystem::path installed = ProgramFolder().parent_path() / "share/mico/targets";
  std::error_code error;
  return std::filesystem::is_directory(installed, error)
             ? installed
             : std::filesystem::path(MICO_SOURCE_DIR) / "target/catalogue";
}

}  // namespace

ParsedCommand ParseCommandLine(int argc, const char* const* argv) {
  ParsedCommand parsed;
  ServerCommand& command = parsed.command;
  command.targets = DefaultTargets();
  int64_t lease_ms = command.server.coordinator.queue.lease_duration.count();
  CLI::App app("The coordinator of MiCo: takes jobs, leases work, remembers results.");
  app.option_defaults()->take_last();
  app.set_version_flag("--version", std::string("mico-server ") + MICO_VERSION);
  app.set_config("--config", "", "Read options from this file; flags and MICO_... override it");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--data-dir", command.server.data_dir, "Folder in which everything is kept")
      ->capture_default_str();
  app.add_option("--listen", command.server.listen,
                 "HOST:PORT on loopback; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--port-file", command.port_file, "Write HOST:PORT there once it listens");
  app.add_flag("--with-worker", command.with_worker,
               "Run a mico-worker too, so that one command is a whole system");
  app.add_option("--targets", command.targets, "Folder with target files for --with-worker")
      ->capture_default_str();
  app.add_option("--worker-arg", command.worker_arguments,
                 "One more argument for the worker; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--lease-ms", lease_ms, "A worker that is silent this long loses its task")
      ->check(CLI::Range(int64_t{100}, int64_t{86'400'000}))
      ->capture_default_str();
  app.add_option("--verify-images", command.server.coordinator.verify_images,
                 "Images of every evaluation that workers compare with the oracle")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--log-format", command.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  try {
    std::vector<std::string> arguments = WithEnvironment(kEnvironment, {argv + 1, argv + argc});
    std::reverse(arguments.begin(), arguments.end());  // CLI11 wants them last first
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = app.exit(error) == 0 ? 0 : kWrongUsage;
    return parsed;
  }
  CoordinatorOptions& coordinator = command.server.coordinator;
  coordinator.queue.lease_duration = std::chrono::milliseconds(lease_ms);
  coordinator.running_poll =
      std::min(coordinator.running_poll, coordinator.queue.lease_duration / 4);
  return parsed;
}

std::vector<std::string> WorkerCommand(const ServerCommand& command, const std::string& address) {
  std::vector<std::string> arguments{ProgramFolder() / "mico-worker", "--server", address};
  std::vector<std::string> targets;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(command.targets, error)) {
    if (entry.path().extension() == ".yaml") targets.push_back(entry.path());
  }
  std::sort(targets.begin(), targets.end());
  for (const std::string& target : targets) {
    arguments.push_back("--target");
    arguments.push_back(target);
  }
  arguments.insert(arguments.end(), command.worker_arguments.begin(),
                   command.worker_arguments.end());
  return arguments;
}

}  // namespace mico
