#include "server/child_worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "fmt/format.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::milliseconds kLongestPause{30'000};
// Who lived this long did not die young.
constexpr std::chrono::milliseconds kGrownUp{60'000};
constexpr std::chrono::seconds kPatience{10};

}  // namespace

absl::Status ChildWorker::Start() {
  if (access(command_[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        fmt::format("--with-worker: {}: {}", command_[0], std::strerror(errno)));
  }
  Launch();
  return absl::OkStatus();
}

void ChildWorker::Launch() {
  std::vector<char*> arguments;
  for (const std::string& argument : command_) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  sigset_t none;
  sigemptyset(&none);
  const pid_t parent = getpid();
  launched_ = clock_.Now();
  process_ = fork();
  if (process_ == 0) {
    // Between fork and exec only what is safe in a signal handler.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  if (process_ < 0) {
    spdlog::error("worker: cannot start: {}", std::strerror(errno));
    next_launch_ = clock_.Now() + pause_;
    return;
  }
  spdlog::info("worker: process {} started", process_);
}

void ChildWorker::Tend() {
  const TimePoint now = clock_.Now();
  if (process_ < 0) {
    if (now >= next_launch_) Launch();
    return;
  }
  int status = 0;
  if (waitpid(process_, &status, WNOHANG) != process_) return;
  if (now - launched_ >= kGrownUp) pause_ = kFirstPause;
  spdlog::warn("worker: process {} ended ({} {}); starting another in {} ms", process_,
               WIFSIGNALED(status) ? "signal" : "exit status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), pause_.count());
  process_ = -1;
  next_launch_ = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
}

ChildWorker::~ChildWorker() {
  if (process_ < 0) return;
  kill(process_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (waitpid(process_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace mico
