#include "worker/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// How often a running program is looked at for a cancellation or a lost child.
constexpr int kTickMs = 20;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end, write_end;
};

absl::StatusOr<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// Nothing of our environment but what compilers and emulators need: no address, no token.
std::vector<std::string> Environment() {
  std::vector<std::string> environment = {"LC_ALL=C"};
  for (const char* name : {"PATH", "HOME", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) environment.push_back(fmt::format("{}={}", name, value));
  }
  return environment;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// All that the child needs, made before the fork: after it, only async-signal-safe calls are
// allowed, because other threads may have held any lock.
struct ChildPlan {
  const char* program = nullptr;
  const char* working_folder = nullptr;  // null: stay
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  int input_fd = -1, output_fd = -1, error_fd = -1;
  int inherited_fd = -1;
  int failure_fd = -1;  // receives errno if the program cannot be started
  pid_t parent = 0;
  uint64_t most_file_bytes = 0, most_memory_bytes = 0, most_cpu_seconds = 0;
};

// 0: no limit.
void LimitResource(decltype(RLIMIT_CORE) resource, uint64_t most) {
  if (most == 0) return;
  const rlimit limit{most, most};
  (void)setrlimit(resource, &limit);
}

void LimitResources(const ChildPlan& plan) {
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  LimitResource(RLIMIT_FSIZE, plan.most_file_bytes);
  LimitResource(RLIMIT_AS, plan.most_memory_bytes);
  if (plan.most_cpu_seconds == 0) return;
  // SIGXCPU at the first, SIGKILL at the second for who ignores it.
  const rlimit cpu{plan.most_cpu_seconds, plan.most_cpu_seconds + 1};
  (void)setrlimit(RLIMIT_CPU, &cpu);
}

// Makes the inherited descriptor number 3. The one that reports failures may be in its place.
template <typename Fail>
void Inherit(ChildPlan& plan, const Fail& fail) {
  constexpr int kInherited = STDERR_FILENO + 1;
  if (plan.failure_fd == kInherited) {
    plan.failure_fd = fcntl(plan.failure_fd, F_DUPFD_CLOEXEC, kInherited + 1);
    if (plan.failure_fd < 0) _exit(127);
  }
  if (plan.inherited_fd == kInherited) {
    if (fcntl(kInherited, F_SETFD, 0) < 0) fail();
  } else if (dup2(plan.inherited_fd, kInherited) < 0) {
    fail();
  }
}

[[noreturn]] void RunChild(ChildPlan plan) {
  const auto fail = [&plan] {
    const int error = errno;
    (void)!write(plan.failure_fd, &error, sizeof(error));
    _exit(127);
  };
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan.parent) _exit(127);  // it died before we asked to be told

  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  LimitResources(plan);
  if (dup2(plan.input_fd, STDIN_FILENO) < 0) fail();
  if (dup2(plan.output_fd, STDOUT_FILENO) < 0) fail();
  if (dup2(plan.error_fd, STDERR_FILENO) < 0) fail();
  (void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
  if (plan.inherited_fd >= 0) Inherit(plan, fail);
  if (plan.working_folder != nullptr && chdir(plan.working_folder) != 0) fail();
  execve(plan.program, plan.arguments, plan.environment);
  fail();
  _exit(127);
}

// _Fork runs no atfork handlers (BLAS and gRPC have some); signals are blocked meanwhile so that no
// handler of ours runs in the child.
pid_t Fork(const ChildPlan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t child = _Fork();
  if (child == 0) RunChild(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return child;
}

// One started program and the two streams it writes.
class RunningProgram {
 public:
  RunningProgram(pid_t pid, Descriptor output, Descriptor errors, const ProcessOptions& options)
      : pid_(pid),
        options_(options),
        deadline_(std::chrono::steady_clock::now() + options.timeout) {
    streams_[0].fd = std::move(output);
    streams_[0].text = &result_.output;
    streams_[1].fd = std::move(errors);
    streams_[1].text = &result_.errors;
    result_.timeout_ms = options.timeout.count();
  }

  absl::StatusOr<ProcessResult> Finish() {
    while (!Ended()) {
      if (options_.cancelled != nullptr && options_.cancelled->load()) {
        Kill();
        return absl::CancelledError("the program was stopped: its task is no longer wanted");
      }
      if (std::chrono::steady_clock::now() >= deadline_) {
        result_.timed_out = true;
        break;
      }
      ReadSome(kTickMs);
    }
    Kill();
    // What was written before the end is still in the pipes; only a program that left its process
    // group could hold them open, and it is not waited for.
    while (AnyOpen() && ReadSome(/*timeout_ms=*/0)) {
    }
    return std::move(result_);
  }

 private:
  struct Stream {
    Descriptor fd;
    std::string* text = nullptr;
  };

  bool AnyOpen() const { return streams_[0].fd.get() >= 0 || streams_[1].fd.get() >= 0; }

  // Without reaping, so that the number of the process group stays ours until it is killed.
  bool Ended() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  void Kill() {
    kill(-pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
    if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  }

  // False when nothing came within the time.
  bool ReadSome(int timeout_ms) {
    std::array<pollfd, 2> waiting{};
    for (size_t i = 0; i < 2; ++i) waiting[i] = {streams_[i].fd.get(), POLLIN, 0};
    // The end of a program closes its streams, so it is noticed at once; a program that closed them
    // itself is looked at every millisecond.
    if (poll(waiting.data(), waiting.size(), AnyOpen() ? timeout_ms : 1) <= 0) return false;
    for (size_t i = 0; i < 2; ++i) {
      if (waiting[i].revents != 0) Read(streams_[i]);
    }
    return true;
  }

  void Read(Stream& stream) {
    std::array<char, 65536> buffer;
    const ssize_t count = read(stream.fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) return stream.fd.Close();
    const size_t room =
        options_.most_output_bytes - std::min(options_.most_output_bytes, stream.text->size());
    const size_t kept = std::min(room, static_cast<size_t>(count));
    stream.text->append(buffer.data(), kept);
    if (kept < static_cast<size_t>(count)) result_.truncated = true;
  }

  const pid_t pid_;
  const ProcessOptions& options_;
  const SteadyTime deadline_;
  std::array<Stream, 2> streams_;
  ProcessResult result_;
};

// What follows from the options, which must outlive it.
ChildPlan PlanFor(const ProcessOptions& options) {
  ChildPlan plan;
  plan.working_folder = options.working_folder.empty() ? nullptr : options.working_folder.c_str();
  plan.inherited_fd = options.inherited_fd;
  plan.parent = getpid();
  plan.most_file_bytes = options.most_file_bytes;
  plan.most_memory_bytes = options.most_memory_bytes;
  plan.most_cpu_seconds = static_cast<uint64_t>(options.most_cpu_time.count());
  return plan;
}

absl::Status CannotStart(const std::string& program, int error) {
  const std::string text = fmt::format("cannot start {}: {}", program, std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(text) : absl::InternalError(text);
}

}  // namespace

std::string ProcessResult::Outcome() const {
  if (timed_out) return fmt::format("no end after {} ms", timeout_ms);
  if (signal != 0) return fmt::format("killed by signal {}", signal);
  return fmt::format("exit code {}", exit_code);
}

absl::StatusOr<std::string> FindProgram(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* path = std::getenv("PATH");
  std::string_view folders = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folders.size(), folder.size() + 1));
    const std::string candidate = fmt::format("{}/{}", folder, program);
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(fmt::format("program '{}' is not on PATH; is it installed?", program));
}

absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& arguments,
                                         const ProcessOptions& options) {
  if (arguments.empty()) return absl::InvalidArgumentError("a command without a program");
  MICO_ASSIGN_OR_RETURN(const std::string program, FindProgram(arguments[0]));
  const std::vector<std::string> environment = Environment();
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);

  MICO_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  MICO_ASSIGN_OR_RETURN(Pipe errors, MakePipe());
  MICO_ASSIGN_OR_RETURN(Pipe failure, MakePipe());
  const Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));

  ChildPlan plan = PlanFor(options);
  plan.program = program.c_str();
  plan.arguments = argument_pointers.data();
  plan.environment = environment_pointers.data();
  plan.input_fd = options.input_fd < 0 ? null.get() : options.input_fd;
  plan.output_fd = output.write_end.get();
  plan.error_fd = errors.write_end.get();
  plan.failure_fd = failure.write_end.get();

  const pid_t child = Fork(plan);
  if (child < 0) return absl::ResourceExhaustedError(fmt::format("fork: {}", std::strerror(errno)));
  setpgid(child, child);  // also here: whoever comes first, the group exists before it is killed
  output.write_end.Close();
  errors.write_end.Close();
  failure.write_end.Close();

  RunningProgram running(child, std::move(output.read_end), std::move(errors.read_end), options);
  int error = 0;
  ssize_t got = 0;
  do {
    got = read(failure.read_end.get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  absl::StatusOr<ProcessResult> result = running.Finish();
  if (got == sizeof(error)) return CannotStart(program, error);
  return result;
}

}  // namespace mico
