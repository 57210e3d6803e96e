#include "client/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>

#include "client/exit_code.h"

namespace mico {
namespace {

// A signal handler may neither allocate nor lock.
char farewell[256];
std::atomic<size_t> farewell_bytes{0};

void ExitInterrupted(int) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, farewell, farewell_bytes);
  _exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace

void ExitOnInterrupt() { std::signal(SIGINT, ExitInterrupted); }

void SayOnInterrupt(std::string_view text) {
  farewell_bytes = 0;
  text = text.substr(0, sizeof(farewell) - 1);
  std::memcpy(farewell, text.data(), text.size());
  farewell[text.size()] = '\n';
  farewell_bytes = text.size() + 1;
}

}  // namespace mico
