// Programs that try what a converter must not be able to do. The shell and what it calls are
// strangers here.
#include "worker/sandbox.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kSignals = 128;

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    options_.program = "/bin/sh";
    options_.read_only = {"/usr/bin"};
    options_.timeout = std::chrono::seconds(30);
  }

  void SetUp() override {
    options_.arguments = {"-c", "exit 0"};
    const absl::Status status = RunInSandbox(options_).status();
    if (status.ok()) return;
    ASSERT_EQ(std::getenv("CI"), nullptr) << status;
    GTEST_SKIP() << "NOT TESTED: " << std::string(status.message());
  }

  ProcessResult Run(const std::string& script) {
    options_.arguments = {"-c", "PATH=/usr/bin; " + script};
    absl::StatusOr<ProcessResult> result = RunInSandbox(options_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ProcessResult{};
  }

  // Debian's interpreter; the shell cannot start it, because it starts nothing.
  ProcessResult RunPython(const std::string& script) {
    options_.program = "/usr/bin/python3";
    options_.arguments = {"-I", "-c", script};
    absl::StatusOr<ProcessResult> result = RunInSandbox(options_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ProcessResult{};
  }

  SandboxOptions options_;
};

TEST_F(SandboxTest, AProgramReadsItsInputAndAnswers) {
  options_.input = "hello\n";
  const ProcessResult result = Run("read word; echo got $word; exit 7");

  EXPECT_EQ(result.output, "got hello\n");
  EXPECT_EQ(result.exit_code, 7);
}

TEST_F(SandboxTest, ItSeesNoFileOfOurs) {
  const auto folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::filesystem::path secret = folder->path() / "secret";
  std::ofstream(secret) << "token";

  const ProcessResult result = Run(fmt::format(
      "for f in /etc/passwd /etc/shadow /etc/hostname /proc/self/status /proc/1/environ /sys /home "
      "/root /tmp /var /run /work {}; do [ -e $f ] && echo sees $f; done; echo end",
      secret.string()));

  EXPECT_EQ(result.output, "end\n");
}

TEST_F(SandboxTest, ItWritesNowhere) {
  const ProcessResult result =
      Run("for d in / /usr/lib /dev /usr/bin /etc; do echo x > $d/trace && echo wrote $d; done; "
          "echo end");

  EXPECT_EQ(result.output, "end\n");
  EXPECT_FALSE(std::filesystem::exists("/usr/lib/trace"));
}

TEST_F(SandboxTest, ItsEnvironmentIsEmptyButForConstants) {
  setenv("MICO_SECRET", "token", 1);
  const ProcessResult result = Run("export -p; exec env");
  unsetenv("MICO_SECRET");

  EXPECT_THAT(result.output, Not(HasSubstr("token")));
  EXPECT_THAT(result.output, Not(HasSubstr("HOME=/")));
  EXPECT_THAT(result.output, HasSubstr("OMP_NUM_THREADS=1"));
}

TEST_F(SandboxTest, ItReachesNoNetwork) {
  // Somebody who would answer, on the loopback interface of the host.
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);

  const ProcessResult result =
      RunPython(fmt::format("import socket\n"
                            "try:\n"
                            "  socket.create_connection(('127.0.0.1', {}), 5)\n"
                            "  print('connected')\n"
                            "except OSError as error: print(type(error).__name__)\n",
                            ntohs(address.sin_port)));
  close(listener);

  EXPECT_EQ(result.output, "PermissionError\n") << result.errors;
}

TEST_F(SandboxTest, ItStartsNoProcess) {
  // A fork bomb: it fails at its first fork.
  const ProcessResult bomb = Run("f() { f | f & }; f; echo $$");
  EXPECT_NE(bomb.exit_code, 0);
  EXPECT_THAT(bomb.errors, HasSubstr("fork"));

  const ProcessResult python = RunPython(
      "import os, ctypes\n"
      "for start in (os.fork, lambda: os.posix_spawn('/program', ['x'], {}),\n"
      "              lambda: ctypes.CDLL(None).vfork() == -1 and 1 / 0):\n"
      "  try: start(); print('started')\n"
      "  except (OSError, ZeroDivisionError) as error: print('no')\n");
  EXPECT_EQ(python.output, "no\nno\nno\n") << python.errors;
}

TEST_F(SandboxTest, ItStartsThreads) {
  const ProcessResult result = RunPython(
      "import threading\n"
      "t = threading.Thread(target=lambda: print('in a thread')); t.start(); t.join()\n");

  EXPECT_EQ(result.output, "in a thread\n") << result.errors;
}

TEST_F(SandboxTest, ItSeesNoOtherProcessAndSignalsNone) {
  const ProcessResult result =
      RunPython(fmt::format("import os\n"
                            "print(os.getpid() < 10, os.getuid())\n"
                            "try: os.kill({}, 0); print('signalled')\n"
                            "except OSError as error: print(type(error).__name__)\n",
                            getpid()));

  EXPECT_EQ(result.output, "True 65534\nProcessLookupError\n") << result.errors;
}

TEST_F(SandboxTest, MemoryIsBounded) {
  options_.most_memory_bytes = uint64_t{512} << 20;
  const ProcessResult result = RunPython(
      "try: x = bytearray(1 << 30); print('has it')\n"
      "except MemoryError: print('no memory')\n");

  EXPECT_EQ(result.output, "no memory\n") << result.errors;
}

TEST_F(SandboxTest, FilesInMemoryAreNoWayAround) {
  const ProcessResult result = RunPython(
      "import os, signal\n"
      "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
      "for tried in (lambda: os.ftruncate(os.memfd_create('x'), 1 << 30),\n"
      "              lambda: os.ftruncate(0, 1 << 30), lambda: os.pwrite(0, b'x', 0)):\n"
      "  try: tried(); print('has it')\n"
      "  except OSError: print('no')\n");

  EXPECT_EQ(result.output, "no\nno\nno\n") << result.errors;
}

TEST_F(SandboxTest, CpuTimeIsBounded) {
  options_.most_cpu_time = std::chrono::seconds(1);
  const ProcessResult result = Run("while :; do :; done");

  EXPECT_EQ(result.exit_code, kSignals + SIGXCPU);
}

TEST_F(SandboxTest, WhoIgnoresTheFirstSignalGetsTheSecond) {
  options_.most_cpu_time = std::chrono::seconds(1);
  const ProcessResult result = Run("trap '' XCPU; while :; do :; done");

  EXPECT_EQ(result.exit_code, kSignals + SIGKILL);
}

TEST_F(SandboxTest, WhoSleepsIsKilledByTheClock) {
  options_.timeout = std::chrono::milliseconds(1500);
  const ProcessResult result = Run("exec sleep 3579");

  EXPECT_TRUE(result.timed_out);
  // The namespace dies with its first process: nothing is left of it.
  bool is_left = true;
  for (int i = 0; i < 500 && is_left; ++i) {
    is_left = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto command = ReadFile(entry.path() / "cmdline");
      is_left |= command.ok() && command->find("3579") != std::string::npos;
    }
    if (is_left) usleep(10'000);
  }
  EXPECT_FALSE(is_left);
}

TEST_F(SandboxTest, OutputIsBounded) {
  options_.most_output_bytes = 10'000;
  options_.most_cpu_time = std::chrono::seconds(1);
  const ProcessResult result = Run("exec yes");

  EXPECT_EQ(result.output.size(), 10'000U);
  EXPECT_TRUE(result.truncated);
}

TEST_F(SandboxTest, ItMakesNoNamespaceOfItsOwn) {
  const ProcessResult result = Run("exec unshare -U -r -n true");

  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.errors, HasSubstr("not permitted"));
}

TEST_F(SandboxTest, WithoutBubblewrapNothingIsStarted) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  options_.arguments = {"-c", "echo started"};
  const absl::StatusOr<ProcessResult> result = RunInSandbox(options_);
  setenv("PATH", path.c_str(), 1);

  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("apt-get install bubblewrap"));
}

TEST_F(SandboxTest, WithoutNamespacesNothingIsStarted) {
  // A bubblewrap that the kernel refuses, as it says it itself.
  const auto folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::filesystem::path fake = folder->path() / "bwrap";
  std::ofstream(fake) << "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\n"
                         "exit 1\n";
  std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
  const std::string path = std::getenv("PATH");
  setenv("PATH", fmt::format("{}:{}", folder->path().string(), path).c_str(), 1);
  const absl::StatusOr<ProcessResult> result = RunInSandbox(options_);
  setenv("PATH", path.c_str(), 1);

  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(StartsWith("no sandbox: bwrap: No permissions"), HasSubstr("sysctl")));
}

}  // namespace
}  // namespace mico
