// Whole service, real processes: server, workers, compilers, emulators, the command line.
#include <gmock/gmock.h>
#include <signal.h>

#include <regex>

#include "fmt/format.h"
#include "tests/support/paths.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ServiceTest : public ServiceFixture {};

TEST_F(ServiceTest, ATeamGoesFromItsNetworkToCThatPassesItsSelfTest) {
  StartServer("data");
  StartWorker(0);
  WaitForTarget();
  const std::filesystem::path example =
      std::filesystem::path(kSourceFolder) / "examples/fashion-mnist";
  const std::vector<std::string> submit{"submit",
                                        "--model",
                                        example / "fashion_mnist.onnx",
                                        "--data",
                                        example / "fashion_mnist.npz",
                                        "--target",
                                        "rv32imc",
                                        "--max-latency",
                                        "0.85x",
                                        "--trials",
                                        "16"};

  std::vector<std::string> watched = submit;
  watched.push_back("--watch");
  const EndedProcess search = Cli(watched);
  ASSERT_EQ(search.exit_code, 0) << search.output << ReadFile(Path("cli.log.err")).value_or("");
  EXPECT_THAT(search.output, HasSubstr("uniform w8a8"));
  EXPECT_THAT(search.output, HasSubstr("front"));
  EXPECT_THAT(search.output, Not(HasSubstr("\x1b"))) << "no control characters in a pipe";
  std::smatch match;
  ASSERT_TRUE(std::regex_search(search.output, match, std::regex("job ([0-9a-f]+)")));
  const std::string job = match[1];

  const EndedProcess again = Cli(submit);
  EXPECT_THAT(again.output, HasSubstr(job)) << "the same submit is the same job";

  ASSERT_EQ(Cli({"fetch", job, "--best", "-o", Path("first")}).exit_code, 0)
      << ReadFile(Path("cli.log.err")).value_or("");
  ASSERT_EQ(Cli({"fetch", job, "--best", "-o", Path("second")}).exit_code, 0);
  EXPECT_EQ(RunToEnd({"diff", "-r", Path("first"), Path("second")}, Path("diff.log"),
                     std::chrono::seconds(60))
                .exit_code,
            0);
  const EndedProcess host = RunToEnd({"make", "-C", Path("first"), "selftest"}, Path("make.log"),
                                     std::chrono::seconds(120));
  EXPECT_EQ(host.exit_code, 0) << host.output << ReadFile(Path("make.log.err")).value_or("");
  const EndedProcess board = RunToEnd(
      {std::filesystem::path(kBinaryFolder) / "bin/mico-worker", "self-test", "--target",
       std::filesystem::path(kSourceFolder) / "target/catalogue/cortex-m4.yaml", Path("first")},
      Path("self-test.log"), std::chrono::seconds(120));
  EXPECT_EQ(board.exit_code, 0) << board.output << ReadFile(Path("self-test.log.err")).value_or("");

  for (const char* verb : {"jobs", "models", "datasets", "targets", "workers"}) {
    EXPECT_EQ(Cli({verb}).exit_code, 0) << verb;
  }
  StopWorkers();
  server_process_->Signal(SIGTERM);
  EXPECT_EQ(server_process_->Wait(std::chrono::seconds(30)), 0);
}

// examples/anomaly: one network, judged in two ways.
TEST_F(ServiceTest, AnAutoencoderIsSearchedByAucAndByMseAndItsCPassesItsSelfTest) {
  StartServer("data");
  StartWorker(0);
  WaitForTarget();
  const std::string file = std::filesystem::path(kSourceFolder) / "examples/anomaly/job.yaml";
  for (const std::string metric : {"auc", "mse"}) {
    SCOPED_TRACE(metric);
    const EndedProcess search =
        Cli({"submit", "--file", file, "--metric", metric, "--trials", "14", "--watch"});
    ASSERT_EQ(search.exit_code, 0) << search.output << ReadFile(Path("cli.log.err")).value_or("");
    EXPECT_THAT(search.output, HasSubstr("val " + metric));
    std::smatch match;
    ASSERT_TRUE(std::regex_search(search.output, match, std::regex("job ([0-9a-f]+)")));
    const v1::Job job = GetJob(match[1]);
    ASSERT_GE(job.front_size(), 1);
    const v1::Trial& best = job.front(job.front_size() - 1);
    EXPECT_EQ(best.val().metric(), metric);
    EXPECT_EQ(best.test().total(), 800);
    // What train.py says of its network on val.
    const double trained = metric == "auc" ? 0.9824 : 0.053918;
    EXPECT_NEAR(job.float_val().value(), trained, 1e-3 * trained);
    // Within the limit on latency, nearly as good: the search found something.
    EXPECT_NEAR(best.val().value(), trained, 0.1 * trained);
    EXPECT_THAT(Cli({"front", job.id()}).output, HasSubstr("±"));

    ASSERT_EQ(Cli({"fetch", job.id(), "-o", Path(metric)}).exit_code, 0)
        << ReadFile(Path("cli.log.err")).value_or("");
    const EndedProcess host = RunToEnd({"make", "-C", Path(metric), "selftest"}, Path("make.log"),
                                       std::chrono::seconds(120));
    EXPECT_EQ(host.exit_code, 0) << host.output << ReadFile(Path("make.log.err")).value_or("");
    EXPECT_THAT(ReadFile(Path(metric) / "README.md").value_or(""),
                HasSubstr(fmt::format("| {}, test | ", metric)));
    EXPECT_THAT(ReadFile(Path(metric) / "report.json").value_or(""),
                HasSubstr(fmt::format("\"metric\": \"{}\"", metric)));
  }
}

TEST_F(ServiceTest, KilledTenTimesTheServerGivesTheFrontOfAnUninterruptedRun) {
  StartServer("calm");
  StartWorker(0);
  WaitForTarget();
  const v1::Job calm = WaitForEnd(Submit(ExampleJob("calm")).id());
  ASSERT_EQ(calm.state(), v1::JOB_STATE_DONE) << calm.error();
  ASSERT_FALSE(FrontAsText(calm).empty());
  KillServer();

  StartServer("stormy");
  WaitForTarget();
  const std::string id = Submit(ExampleJob("stormy")).id();
  int kills = 0;
  int64_t finished = -1;
  while (kills < 10) {
    const v1::Job job = WaitForProgress(id, finished);
    ASSERT_NE(job.state(), v1::JOB_STATE_DONE) << "the job ended after " << kills << " kills";
    EXPECT_GE(job.trials_finished(), finished) << "an acknowledged result is never lost";
    finished = job.trials_finished();
    KillServer();
    ++kills;
    StartServer("stormy");
  }
  const v1::Job stormy = WaitForEnd(id);
  ASSERT_EQ(stormy.state(), v1::JOB_STATE_DONE) << stormy.error();
  EXPECT_EQ(FrontAsText(stormy), FrontAsText(calm));

  // The same service goes on: now its workers are killed.
  KillWorker(0);
  v1::SubmitJobRequest another = ExampleJob("workers");
  another.mutable_spec()->set_trials(81);
  another.mutable_spec()->set_seed(6);
  StartWorker(0);
  const std::string second = Submit(another).id();
  finished = -1;
  for (kills = 0; kills < 10; ++kills) {
    const v1::Job job = WaitForProgress(second, finished);
    ASSERT_NE(job.state(), v1::JOB_STATE_DONE) << "the job ended after " << kills << " kills";
    finished = job.trials_finished();
    KillWorker(0);
    StartWorker(0);
  }
  const v1::Job survived = WaitForEnd(second);
  EXPECT_EQ(survived.state(), v1::JOB_STATE_DONE) << survived.error();
}

}  // namespace
}  // namespace mico
