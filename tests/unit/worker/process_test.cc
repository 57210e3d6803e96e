#include "worker/process.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProcessResult OutcomeOf(const std::vector<std::string>& arguments,
                        const ProcessOptions& options = {}) {
  absl::StatusOr<ProcessResult> result = RunProcess(arguments, options);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : ProcessResult{};
}

ProcessOptions EndAfter(int milliseconds) {
  ProcessOptions options;
  options.timeout = std::chrono::milliseconds(milliseconds);
  return options;
}

bool IsAlive(pid_t pid) { return kill(pid, 0) == 0; }

TEST(ProcessTest, OutputAndErrorsArriveApart) {
  const ProcessResult result = OutcomeOf({"sh", "-c", "echo out; echo err >&2"});

  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
  EXPECT_TRUE(result.succeeded());
}

TEST(ProcessTest, TheExitCodeIsTheProgramsOwn) {
  const ProcessResult result = OutcomeOf({"sh", "-c", "exit 7"});

  EXPECT_EQ(result.exit_code, 7);
  EXPECT_FALSE(result.succeeded());
  EXPECT_EQ(result.Outcome(), "exit code 7");
}

TEST(ProcessTest, ASignalIsNotAnExitCode) {
  const ProcessResult result = OutcomeOf({"sh", "-c", "kill -SEGV $$"});

  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_FALSE(result.succeeded());
}

TEST(ProcessTest, NoShellReadsTheArguments) {
  const ProcessResult result = OutcomeOf({"printf", "%s|", "$HOME", "a b", ";exit 1", "*", "`id`"});

  EXPECT_EQ(result.output, "$HOME|a b|;exit 1|*|`id`|");
}

TEST(ProcessTest, AMissingProgramIsNotFoundByName) {
  const absl::Status status = RunProcess({"no-such-compiler"}).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-compiler"));
}

TEST(ProcessTest, AFileThatIsNoProgramIsAnError) {
  EXPECT_EQ(RunProcess({"/dev/null"}).status().code(), absl::StatusCode::kInternal);
}

TEST(ProcessTest, AProgramThatDoesNotEndIsKilled) {
  const ProcessResult result = OutcomeOf({"sleep", "1000"}, EndAfter(50));

  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.signal, SIGKILL);
  EXPECT_EQ(result.Outcome(), "no end after 50 ms");
}

TEST(ProcessTest, ATimeoutAlsoKillsWhatTheProgramStarted) {
  const ProcessResult result = OutcomeOf({"sh", "-c", "sleep 1000 & echo $!; wait"}, EndAfter(500));

  ASSERT_TRUE(result.timed_out);
  const pid_t grandchild = std::stoi(result.output);
  // Killed at once, gone when init has reaped it.
  for (int i = 0; i < 1000 && IsAlive(grandchild); ++i) usleep(1000);
  std::string state;
  if (FILE* file = fopen(("/proc/" + std::to_string(grandchild) + "/stat").c_str(), "r")) {
    char text[256] = {};
    (void)!fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    state = text;
  }
  EXPECT_TRUE(state.empty() || state.find(") Z ") != std::string::npos) << state;
}

TEST(ProcessTest, WhatOutlivesTheProgramIsNotWaitedFor) {
  const ProcessResult result = OutcomeOf({"sh", "-c", "sleep 1000 & echo done"});

  EXPECT_EQ(result.output, "done\n");
  EXPECT_TRUE(result.succeeded());
}

TEST(ProcessTest, ACancelledProgramIsKilled) {
  std::atomic<bool> cancelled = false;
  ProcessOptions options;
  options.cancelled = &cancelled;
  std::thread canceller([&cancelled] { cancelled = true; });

  const absl::Status status = RunProcess({"sleep", "1000"}, options).status();
  canceller.join();

  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST(ProcessTest, MoreOutputThanAskedForIsDroppedNotBuffered) {
  ProcessOptions options;
  options.most_output_bytes = 1000;

  const ProcessResult result = OutcomeOf({"head", "-c", "5000000", "/dev/zero"}, options);

  EXPECT_EQ(result.output.size(), 1000);
  EXPECT_TRUE(result.truncated);
  EXPECT_TRUE(result.succeeded());
}

TEST(ProcessTest, AProgramReadsNothingFromStandardInput) {
  EXPECT_EQ(OutcomeOf({"cat"}).output, "");
}

TEST(ProcessTest, SecretsInTheEnvironmentStayHere) {
  setenv("MICO_TOKEN", "secret", 1);

  const ProcessResult result = OutcomeOf({"env"});

  EXPECT_THAT(result.output, Not(HasSubstr("secret")));
  EXPECT_THAT(result.output, HasSubstr("LC_ALL=C"));
}

TEST(ProcessTest, NoDescriptorIsInherited) {
  const int kept = dup(STDERR_FILENO);  // not close-on-exec

  const ProcessResult result = OutcomeOf({"sh", "-c", "ls /proc/$$/fd"});

  close(kept);
  EXPECT_THAT(result.output, Not(HasSubstr(std::to_string(kept) + "\n")));
}

TEST(ProcessTest, ItRunsInTheFolderItIsGiven) {
  ProcessOptions options;
  options.working_folder = "/";

  EXPECT_EQ(OutcomeOf({"pwd"}, options).output, "/\n");
}

TEST(ProcessTest, AFileMayNotGrowWithoutBound) {
  ProcessOptions options;
  options.most_file_bytes = 4096;
  options.working_folder = testing::TempDir();

  const ProcessResult result =
      OutcomeOf({"dd", "if=/dev/zero", "of=mico_process_test_file", "bs=8192", "count=1"}, options);

  EXPECT_FALSE(result.succeeded());
}

TEST(ProcessTest, ManyThreadsMayRunProgramsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&right, i] {
      const std::string text = std::to_string(i);
      if (OutcomeOf({"printf", "%s", text}).output == text) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 8);
}

TEST(ProcessTest, ItReadsTheInputItIsGivenAndFindsOneMoreDescriptor) {
  std::array<int, 2> input{}, more{};
  ASSERT_EQ(pipe(input.data()) + pipe(more.data()), 0);
  ASSERT_EQ(write(input[1], "in", 2) + write(more[1], "more", 4), 6);
  close(input[1]);
  close(more[1]);
  ProcessOptions options;
  options.input_fd = input[0];
  options.inherited_fd = more[0];

  const ProcessResult result = OutcomeOf({"sh", "-c", "cat; cat <&3"}, options);

  EXPECT_EQ(result.output, "inmore");
  close(input[0]);
  close(more[0]);
}

TEST(ProcessTest, MemoryAndCpuTimeAreLimitedWhereAsked) {
  ProcessOptions options;
  options.most_memory_bytes = uint64_t{1} << 30;
  options.most_cpu_time = std::chrono::seconds(9);

  const ProcessResult result =
      OutcomeOf({"sh", "-c", "ulimit -v; ulimit -St; ulimit -Ht"}, options);

  EXPECT_EQ(result.output, "1048576\n9\n10\n");
}

}  // namespace
}  // namespace mico
