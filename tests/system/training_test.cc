// Schemes are trained: real processes, real training, artifacts of what came out.
#include <algorithm>
#include <optional>

#include "fmt/format.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

class TrainingSystemTest : public ServiceFixture {
 protected:
  v1::SubmitJobRequest TrainingJob(const std::string& request_id, const std::string& qat,
                                   double epochs) {
    v1::SubmitJobRequest request = ExampleJob(request_id);
    v1::JobSpec& spec = *request.mutable_spec();
    spec.mutable_limits()->Clear();
    spec.set_strategy("uniform");
    spec.set_trials(12);
    spec.set_qat(qat);
    spec.set_qat_epochs(epochs);
    return request;
  }

  std::vector<v1::Trial> Trials(const std::string& job) {
    v1::ListTrialsRequest request;
    request.set_job(job);
    request.set_page_size(1000);
    const auto response =
        server().Call<v1::ListTrialsResponse>(&v1::ExplorationService::Stub::ListTrials, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return {response->trials().begin(), response->trials().end()};
  }

  // What is being trained now.
  std::optional<v1::RunningTask> RunningTraining(const std::string& job) {
    const v1::Job now = GetJob(job);
    for (const v1::RunningTask& task : now.running()) {
      if (task.kind() == "train") return task;
    }
    return std::nullopt;
  }
};

TEST_F(TrainingSystemTest, TrainedPointsAreBetterAndTheirCIsExact) {
  StartServer("data");
  StartWorker(0);
  WaitForTarget();
  const v1::Job job = WaitForEnd(Submit(TrainingJob("train", "top:3", 4)).id());
  ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  const std::vector<v1::Trial> trials = Trials(job.id());
  int trained = 0, better = 0;
  for (const v1::Trial& trial : trials) {
    if (trial.trained_from() == 0) continue;
    ++trained;
    const v1::Trial& before = trials[static_cast<size_t>(trial.trained_from() - 1)];
    EXPECT_EQ(trial.scheme_text(), before.scheme_text());
    EXPECT_GE(trial.val().correct(), before.val().correct()) << trial.scheme_text();
    better += trial.val().correct() > before.val().correct() ? 1 : 0;
  }
  EXPECT_EQ(trained, 3);
  EXPECT_GE(better, 1);
  EXPECT_TRUE(job.has_qat_rank_correlation());
  EXPECT_EQ(job.qat_pairs(), 3);

  const auto point = std::find_if(job.front().begin(), job.front().end(),
                                  [](const v1::Trial& trial) { return trial.trained(); });
  ASSERT_NE(point, job.front().end());
  const std::string number = fmt::format("{}", point->number());
  ASSERT_EQ(Cli({"fetch", job.id(), "--trial", number, "-o", Path("artifact")}).exit_code, 0)
      << ReadFile(Path("cli.log.err")).value_or("");
  const EndedProcess host = RunToEnd({"make", "-C", Path("artifact"), "selftest"}, Path("make.log"),
                                     std::chrono::seconds(120));
  EXPECT_EQ(host.exit_code, 0) << host.output << ReadFile(Path("make.log.err")).value_or("");

  // What is known is neither trained nor evaluated again.
  const v1::Job again = WaitForEnd(Submit(TrainingJob("again", "top:3", 4)).id());
  EXPECT_EQ(FrontAsText(again), FrontAsText(job));
}

TEST_F(TrainingSystemTest, AKilledWorkersTrainingGoesOnElsewhere) {
  worker_options_ = {"--checkpoint-seconds", "0.2"};
  StartServer("data");
  StartWorker(0);
  WaitForTarget();
  const v1::Job whole = WaitForEnd(Submit(TrainingJob("whole", "top:1", 16)).id());
  ASSERT_EQ(whole.state(), v1::JOB_STATE_DONE) << whole.error();
  StopWorkers();
  KillServer();

  StartServer("other data");
  StartWorker(0);
  WaitForTarget();
  const std::string id = Submit(TrainingJob("interrupted", "top:1", 16)).id();
  double done = 0.0;
  WaitUntil("a training on its way", [&] {
    const auto task = RunningTraining(id);
    if (task.has_value()) done = task->progress();
    return done > 0.3;
  });
  KillWorker(0);
  StartWorker(1);
  double begun = 0.0;
  WaitUntil("another attempt", [&] {
    const auto task = RunningTraining(id);
    if (task.has_value() && task->attempt() > 1) begun = task->progress();
    return begun > 0.0 || !RunningTraining(id).has_value();
  });
  EXPECT_GT(begun, 0.2);
  const v1::Job job = WaitForEnd(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(FrontAsText(job), FrontAsText(whole));
}

}  // namespace
}  // namespace mico
