#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mico {

// A real process of ours for system tests: started without a shell, output into a file, killed with
// its object.
class ChildProcess {
 public:
  ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& log);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Signal(int signal);
  bool Running();
  // The exit code, 128 + signal if a signal ended it, or nothing if it still runs after `patience`.
  std::optional<int> Wait(std::chrono::seconds patience);
  // SIGKILL, and gone when this returns.
  void KillNow();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

// Runs a program to its end; its standard output and exit code.
struct EndedProcess {
  int exit_code = 0;
  std::string output;
};
EndedProcess RunToEnd(const std::vector<std::string>& arguments, const std::filesystem::path& log,
                      std::chrono::seconds patience);

}  // namespace mico
