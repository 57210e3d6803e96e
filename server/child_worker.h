#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"

namespace mico {

// A mico-worker as a child process: started again when it dies, ended with its owner (also when the
// owner is killed). To be used from one thread, which must outlive the object.
class ChildWorker {
 public:
  // `command`: the program's path and its arguments.
  ChildWorker(std::vector<std::string> command, const Clock& clock)
      : command_(std::move(command)), clock_(clock) {}
  // Ends the process, with force if it does not end within ten seconds.
  ~ChildWorker();
  ChildWorker(const ChildWorker&) = delete;
  ChildWorker& operator=(const ChildWorker&) = delete;

  // NotFound if the program cannot be run at all.
  absl::Status Start();
  // Starts the process again if it has died; the pause before doubles up to half a minute while it
  // keeps dying young. To be called every now and then.
  void Tend();

 private:
  void Launch();

  const std::vector<std::string> command_;
  const Clock& clock_;
  pid_t process_ = -1;
  TimePoint launched_{}, next_launch_{};
  std::chrono::milliseconds pause_{500};
};

}  // namespace mico
