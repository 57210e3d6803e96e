#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "client/command_line.h"
#include "client/verbs.h"
#include "fake_server.h"
#include "fmt/format.h"
#include "google/protobuf/util/json_util.h"
#include "outcome.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

v1::Check MakeCheck(const std::string& name, v1::Check::State state, const std::string& found,
                    const std::string& remedy = "", int64_t age_ms = 0) {
  v1::Check check;
  check.set_name(name);
  check.set_state(state);
  check.set_found(found);
  check.set_remedy(remedy);
  check.set_age_ms(age_ms);
  return check;
}

class DoctorTest : public ::testing::Test {
 protected:
  // One worker, one target, nothing wrong.
  DoctorTest() {
    diagnosis_.set_server_version(MICO_VERSION);
    diagnosis_.set_server_time_ms(NowMs());
    *diagnosis_.add_server() = MakeCheck("database", v1::Check::STATE_OK, "quick_check ok");
    *diagnosis_.add_work() = MakeCheck("workers", v1::Check::STATE_OK, "1 connected");
    v1::WorkerHealth& worker = *diagnosis_.add_workers();
    worker.mutable_worker()->set_name("bench-7");
    worker.mutable_worker()->set_version(MICO_VERSION);
    *worker.add_checks() = MakeCheck("libtorch", v1::Check::STATE_OK, "self-test passed");
    v1::TargetHealth& target = *worker.add_targets();
    target.set_target("cortex-m4");
    *target.add_checks() = MakeCheck("compiler", v1::Check::STATE_OK, "arm-none-eabi-gcc 12.2");
    *target.add_checks() = MakeCheck("board", v1::Check::STATE_OK, "qemu-system-arm");
    v1::TargetSummary& summary = *diagnosis_.add_targets();
    summary.mutable_target()->set_name("cortex-m4");
    summary.mutable_target()->set_counts("instructions");
    summary.set_profiled_signatures(1234);
  }

  v1::TargetHealth& target() { return *diagnosis_.mutable_workers(0)->mutable_targets(0); }

  Outcome Run(std::vector<std::string> arguments = {}) {
    server_.exploration.diagnosis = diagnosis_;
    arguments.insert(arguments.begin(), {"--server", server_.address(), "doctor"});
    return Captured([&] { return RunCommandLine(arguments, false); });
  }

  v1::Diagnosis diagnosis_;
  FakeServer server_;
};

TEST_F(DoctorTest, WhenAllIsWellItSaysSoAndExitsWithZero) {
  const Outcome outcome = Run();

  EXPECT_EQ(outcome.code, ExitCode::kDone) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("all is well"));
  EXPECT_THAT(outcome.out, HasSubstr("worker bench-7"));
  EXPECT_THAT(outcome.out, HasSubstr("target cortex-m4 on bench-7"));
  EXPECT_THAT(outcome.out, HasSubstr(server_.address() + " answers"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("mend:")));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(DoctorTest, AFaultHasItsReasonItsAgeAndTheCommandThatMendsIt) {
  target().set_cannot_compile("no compiler");
  *target().add_checks() =
      MakeCheck("compiler", v1::Check::STATE_FAULT, "'arm-none-eabi-gcc' is not on PATH",
                "apt-get install gcc-arm-none-eabi", 75'000);

  const Outcome outcome = Run();

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.out, HasSubstr("FAULT  compiler"));
  EXPECT_THAT(outcome.out, HasSubstr("is not on PATH (1m 15s ago)"));
  EXPECT_THAT(outcome.out, HasSubstr("mend: apt-get install gcc-arm-none-eabi\n"));
  EXPECT_THAT(outcome.out, HasSubstr("1 fault, 0 warnings"));
}

TEST_F(DoctorTest, ATableSaysWhichTargetsCompileAndRun) {
  target().set_cannot_run("no emulator");

  const Outcome outcome = Run();

  EXPECT_THAT(outcome.out,
              ::testing::ContainsRegex("cortex-m4 +yes +NO +instructions +1,234 +bench-7"));
}

TEST_F(DoctorTest, ATargetThatNobodyHoldsIsAWarning) {
  diagnosis_.add_targets()->mutable_target()->set_name("rv32imc");

  const Outcome outcome = Run();

  EXPECT_EQ(outcome.code, ExitCode::kDone) << "a job on it would wait, nothing is broken";
  EXPECT_THAT(outcome.out, HasSubstr("no connected worker holds it"));
  EXPECT_THAT(outcome.out, HasSubstr("mend: mico-worker --server HOST:PORT --target FILE"));
}

TEST_F(DoctorTest, VersionsAndClocksThatDifferAreWarnings) {
  diagnosis_.set_server_version("0.0.1");
  diagnosis_.set_server_time_ms(NowMs() - 3'600'000);

  const Outcome outcome = Run();

  EXPECT_EQ(outcome.code, ExitCode::kDone);
  EXPECT_THAT(outcome.out, HasSubstr("mico-server 0.0.1"));
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex("the server's is .* behind"));
}

TEST_F(DoctorTest, NoLineIsLongerThanTheWindowUnlessItIsACommand) {
  *target().add_checks() = MakeCheck("compiler", v1::Check::STATE_FAULT,
                                     std::string(40, 'x') + " " + fmt::format("{:-^120}", " long "),
                                     "a command that is as long as it is " + std::string(90, 'c'));
  GlobalOptions global;
  global.terminal = true;  // of 80 columns, where standard output does not say
  server_.exploration.diagnosis = diagnosis_;
  Connection connection(server_.address());

  const Outcome outcome = Captured([&] { return Doctor(connection, global, {}); });

  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    const bool may_be_long =
        line.find("mend: ") != std::string::npos || line.find("-----") != std::string::npos;
    if (!may_be_long) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST_F(DoctorTest, AsCsvEveryCheckIsARow) {
  *target().add_checks() =
      MakeCheck("runs", v1::Check::STATE_FAULT, "no, it \"hangs\"", "edit t", 500);

  const Outcome outcome = Run({"--output", "csv"});

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.out, HasSubstr("where,check,state,found,mend,age_seconds\n"));
  EXPECT_THAT(outcome.out, HasSubstr("target cortex-m4 on bench-7,runs,fault,"
                                     "\"no, it \"\"hangs\"\"\",edit t,0.5\n"));
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 12);
}

TEST_F(DoctorTest, AsJsonItIsOneMessage) {
  const Outcome outcome = Run({"--output", "json"});

  v1::DoctorReport report;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(outcome.out, &report).ok());
  EXPECT_EQ(report.client_size(), 5);
  EXPECT_EQ(report.diagnosis().workers_size(), 1);
}

TEST_F(DoctorTest, WithoutAServerThisMachineIsStillLookedAt) {
  for (const char* format : {"table", "json", "csv"}) {
    const Outcome outcome = Captured([&] {
      return RunCommandLine({"--server", "unix:/nowhere/socket", "doctor", "--output", format},
                            false);
    });

    EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable) << format;
    EXPECT_THAT(outcome.out, HasSubstr("configuration")) << format;
    EXPECT_THAT(outcome.out, HasSubstr("does not answer")) << format;
    EXPECT_THAT(outcome.out, HasSubstr("mico-server --data-dir DIR")) << format;
  }
}

TEST_F(DoctorTest, AnAddressThatCannotBeResolvedIsExitCodeThree) {
  const Outcome outcome = Captured([&] {
    return RunCommandLine({"--server", "localhost:no-such-port", "doctor"}, false);
  });

  EXPECT_EQ(outcome.code, ExitCode::kServerUnreachable);
  EXPECT_THAT(outcome.out, HasSubstr("FAULT  address"));
}

TEST_F(DoctorTest, AServerThatFailsAtItIsAFaultLikeOthers) {
  server_.exploration.status = {grpc::StatusCode::UNIMPLEMENTED, ""};

  const Outcome outcome = Run();

  EXPECT_EQ(outcome.code, ExitCode::kJobFailed);
  EXPECT_THAT(outcome.out, HasSubstr("does not know this call"));
}

}  // namespace
}  // namespace mico
