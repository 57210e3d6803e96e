#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "server/server.h"

namespace mico {

struct ServerCommand {
  ServerOptions server;
  std::filesystem::path port_file;  // empty: none
  bool with_worker = false;
  std::filesystem::path targets;  // folder with the target files for --with-worker
  std::vector<std::string> worker_arguments;
  std::string log_format = "text";
};

struct ParsedCommand {
  ServerCommand command;
  // Set when there is nothing to run: after --help, or after an error that has been printed.
  std::optional<int> exit_code;
};

// Flags override the environment (MICO_DATA_DIR for --data-dir and so on), which overrides
// --config.
ParsedCommand ParseCommandLine(int argc, const char* const* argv);

// What --with-worker runs: mico-worker beside this program, with every target file of the folder.
std::vector<std::string> WorkerCommand(const ServerCommand& command, const std::string& address);

}  // namespace mico
