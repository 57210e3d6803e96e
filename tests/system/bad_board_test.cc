// Boards and compilers that fail under the whole service: real server, real worker, real client.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "fmt/format.h"
#include "tests/support/paths.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::filesystem::path kPrograms = std::filesystem::path(kBinaryFolder) / "bin";

class BadBoardTest : public ServiceFixture {
 protected:
  // A target on this machine whose board runs programs well until the file "bad" exists.
  void HoldBoard(const std::string& bad_day, int timeout_s = 60) {
    const std::string catalogue = std::filesystem::path(kSourceFolder) / "target/catalogue";
    std::ofstream(Path("board.sh"))
        << fmt::format("[ -e {} ] || exec \"$1\"\n{}\n", Path("bad").string(), bad_day);
    target_ = Path("bench.yaml");
    std::ofstream(target_) << fmt::format(
        "name: bench\nisa: c99\nclock_hz: 1000000000\n"
        "memory: {{flash_bytes: 16777216, ram_bytes: 16777216}}\n"
        "toolchain: {{cc: {}, cflags: [-O1], bsp: {}/bsp/host}}\n"
        "weight_bits: [8]\nactivation_bits: [8]\n"
        "board: {{run: [sh, {}, \"{{elf}}\"], counts: nanoseconds, timeout_s: {}}}\n",
        compiler_, catalogue, Path("board.sh").string(), timeout_s);
  }
  void Spoil() { std::ofstream(Path("bad")).flush(); }
  void Mend() { std::filesystem::remove(Path("bad")); }

  // Until the worker has looked at its target with a tiny program; says what it found of "runs".
  v1::Check WaitForLook() {
    while (true) {
      const auto diagnosis = server().Call<v1::Diagnosis>(&v1::ExplorationService::Stub::Diagnose,
                                                          v1::DiagnoseRequest());
      for (int i = 0; diagnosis.ok() && i < diagnosis->workers_size(); ++i) {
        for (const v1::TargetHealth& target : diagnosis->workers(i).targets()) {
          for (const v1::Check& check : target.checks()) {
            if (check.name() == "runs") return check;
          }
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  v1::SubmitJobRequest JobOnBench() {
    v1::SubmitJobRequest request = ExampleJob("");
    request.mutable_spec()->set_target("bench");
    request.mutable_spec()->clear_limits();
    request.mutable_spec()->set_strategy("uniform");
    request.mutable_spec()->set_trials(1);
    return request;
  }
  int64_t Measured() {
    const auto targets = server().Call<v1::ListTargetsResponse>(
        &v1::ExplorationService::Stub::ListTargets, v1::ListTargetsRequest());
    EXPECT_TRUE(targets.ok() && targets->targets_size() == 1);
    return targets.ok() ? targets->targets(0).profiled_signatures() : -1;
  }
  std::string CliError() { return ReadFile(Path("cli.log.err")).value_or(""); }

  std::string compiler_ = "cc";
};

TEST_F(BadBoardTest, ABoardThatTurnsToGarbageFailsTheJobAndNothingElse) {
  HoldBoard("\"$1\" | sed 's/bench 1 /bench 1 9/'");
  StartServer("data");
  StartWorker(0);
  ASSERT_EQ(WaitForLook().state(), v1::Check::STATE_OK) << WaitForLook().found();
  Spoil();

  const v1::Job failed = WaitForEnd(Submit(JobOnBench()).id());

  EXPECT_EQ(failed.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(failed.error(), HasSubstr("checksum"));
  EXPECT_THAT(failed.error(), HasSubstr("failed 3 times"));
  EXPECT_EQ(Measured(), 0) << "no wrong measurement is stored";
  EXPECT_TRUE(workers_[0]->Running());

  Mend();
  const v1::Job done = WaitForEnd(Submit(JobOnBench()).id());
  EXPECT_EQ(done.id(), failed.id()) << "the same job takes up where it stopped";
  EXPECT_EQ(done.state(), v1::JOB_STATE_DONE) << done.error();
  EXPECT_GT(Measured(), 0);
  StopWorkers();
}

TEST_F(BadBoardTest, ABoardThatHangsFailsTheJobAfterItsTimeAndLeavesNoProcess) {
  HoldBoard(fmt::format("sleep 1000 & echo $! >>{}; echo booting; wait", Path("children").string()),
            /*timeout_s=*/1);
  StartServer("data");
  StartWorker(0);
  ASSERT_EQ(WaitForLook().state(), v1::Check::STATE_OK) << WaitForLook().found();
  Spoil();

  const std::string id = Submit(JobOnBench()).id();
  // A watch whose reader has gone away ends too, also where SIGPIPE is ignored.
  RunToEnd({"sh", "-c",
            fmt::format("trap '' PIPE; {{ {} --server {} status {} --watch; echo $? >{}; }} | true",
                        (kPrograms / "mico-cli").string(), address_, id, Path("code").string())},
           Path("watch.log"), std::chrono::seconds(300));
  EXPECT_EQ(ReadFile(Path("code")).value_or(""), "2\n");
  EXPECT_THAT(ReadFile(Path("watch.log.err")).value_or(""), HasSubstr("standard output"));
  const v1::Job failed = WaitForEnd(id);

  EXPECT_EQ(failed.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(failed.error(), HasSubstr("no end after 1000 ms; said: booting"));
  EXPECT_EQ(Measured(), 0);
  EXPECT_TRUE(workers_[0]->Running());
  std::ifstream children(Path("children"));
  int count = 0;
  for (int pid = 0; children >> pid; ++count) {
    const std::string stat = ReadFile(fmt::format("/proc/{}/stat", pid)).value_or("");
    EXPECT_TRUE(stat.empty() || stat.find(") Z ") != std::string::npos ||
                stat.find("(sleep)") == std::string::npos)
        << stat;
  }
  EXPECT_GT(count, 2);
  StopWorkers();
}

TEST_F(BadBoardTest, ACompilerThatIsNotThereIsSaidByTheDoctorAndAtSubmit) {
  compiler_ = "riscv64-unknown-elf-gcc-of-nobody";
  HoldBoard("exit 1");
  StartServer("data");
  StartWorker(0);
  WaitForTarget();

  const EndedProcess doctor = Cli({"doctor"});
  EXPECT_EQ(doctor.exit_code, 1) << doctor.output;
  EXPECT_THAT(doctor.output, HasSubstr("FAULT  compiler"));
  EXPECT_THAT(doctor.output, HasSubstr("apt-get install gcc-riscv64-unknown-elf"));
  EXPECT_THAT(doctor.output, HasSubstr("libtorch"));
  EXPECT_THAT(doctor.output, Not(HasSubstr("\x1b")));

  const std::filesystem::path example =
      std::filesystem::path(kSourceFolder) / "examples/fashion-mnist";
  const EndedProcess submit = Cli({"submit", "--model", example / "fashion_mnist.onnx", "--data",
                                   example / "fashion_mnist.npz", "--target", "bench"});
  EXPECT_EQ(submit.exit_code, 2);
  EXPECT_THAT(CliError(), HasSubstr("'riscv64-unknown-elf-gcc-of-nobody' is not on PATH"));
  EXPECT_EQ(Cli({"jobs", "--output", "csv"}).output.find('\n') + 1,
            Cli({"jobs", "--output", "csv"}).output.size())
      << "no job is stored";
  EXPECT_TRUE(workers_[0]->Running());

  StopWorkers();
  KillServer();
  const EndedProcess alone = Cli({"doctor"});
  EXPECT_EQ(alone.exit_code, 3);
  EXPECT_THAT(alone.output, HasSubstr("configuration"));
  EXPECT_THAT(alone.output, HasSubstr("mico-server --data-dir"));
}

TEST_F(BadBoardTest, AFullDiskUnderStandardOutputIsNotSuccess) {
  StartServer("data");
  RunToEnd({"sh", "-c",
            fmt::format("{} --server {} jobs >/dev/full; echo $?",
                        (kPrograms / "mico-cli").string(), address_)},
           Path("full.log"), std::chrono::seconds(60));

  EXPECT_EQ(ReadFile(Path("full.log")).value_or(""), "2\n");
  EXPECT_THAT(ReadFile(Path("full.log.err")).value_or(""),
              HasSubstr("standard output: No space left on device"));
}

}  // namespace
}  // namespace mico
