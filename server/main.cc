#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/logging.h"
#include "fmt/format.h"
#include "server/child_worker.h"
#include "server/command_line.h"
#include "server/server.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

constexpr timespec kTendInterval{0, 200'000'000};

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Stops everything in order; a second signal meanwhile ends the process at once.
void Drain(Server& server, std::unique_ptr<ChildWorker>& worker, const sigset_t& signals) {
  spdlog::info("stopping; a second signal stops at once");
  std::thread([signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    _exit(130);
  }).detach();
  worker.reset();  // first, so that it can hand back what it holds
  server.Stop();
}

int Fail(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

int Run(const ServerCommand& command) {
  // Blocked before any thread starts, so that only sigwait and its kind see them.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const SystemClock clock;
  const absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(command.server, clock);
  if (!server.ok()) return Fail(server.status());
  const std::string& address = (*server)->address();
  if (!command.port_file.empty()) {
    const absl::Status written = WriteFileDurably(command.port_file, address + "\n");
    if (!written.ok()) return Fail(written);
  }
  fmt::print("listening on {}\n", address);
  std::fflush(stdout);

  std::unique_ptr<ChildWorker> worker;
  if (command.with_worker) {
    worker = std::make_unique<ChildWorker>(WorkerCommand(command, address), clock);
    const absl::Status started = worker->Start();
    if (!started.ok()) return Fail(started);
  }
  while (sigtimedwait(&signals, nullptr, &kTendInterval) < 0) {
    if (worker != nullptr) worker->Tend();
  }
  Drain(**server, worker, signals);
  return 0;
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  const mico::ParsedCommand parsed = mico::ParseCommandLine(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  mico::LogToStandardError(parsed.command.log_format);
  return mico::Run(parsed.command);
}
