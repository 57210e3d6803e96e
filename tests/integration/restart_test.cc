#include "tests/integration/service.h"

namespace mico {
namespace {

// A job with one worker, whose server is replaced after every `calls_per_life` calls.
class RestartTest : public ServiceTest {
 protected:
  std::vector<std::string> RunWithRestarts(const std::string& strategy, int calls_per_life,
                                           int most_restarts, const std::string& ptq = "",
                                           const std::string& qat = "") {
    FakeWorker announcer = AnnouncedWorker("announcer");
    v1::SubmitJobRequest request = SmallJob(strategy, 40);
    request.mutable_spec()->set_ptq(ptq);
    request.mutable_spec()->set_qat(qat);
    const std::string id = Submit(request).job().id();
    std::optional<TaskOrder> held;
    for (int life = 0; life < 1'000 && !HasEnded(id); ++life) {
      if (life > 0 && life <= most_restarts) RestartServer();
      FakeWorker worker(address(), "constant");
      worker.held = held;
      const int calls = life < most_restarts ? calls_per_life : 10'000;
      for (int call = 0; call < calls && !HasEnded(id); ++call) worker.Step();
      held = worker.held;
    }
    const v1::Job job = GetJob(id);
    EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
    trials_ = ListTrials(id);
    EXPECT_EQ(FrontAsText(job), ExpectedFront(trials_));
    return FrontAsText(job);
  }

  // The same in a data folder of its own.
  std::vector<std::string> RunWithoutRestarts(const std::string& strategy,
                                              const std::string& qat = "") {
    server_.reset();
    folder_ = TemporaryFolder::Create().value();
    StartServer();
    return RunWithRestarts(strategy, 10'000, 0, "", qat);
  }

  std::vector<v1::Trial> trials_;  // of the latest run
};

TEST_F(RestartTest, AJobThatIsInterruptedTenTimesEndsWithTheSameFront) {
  for (const std::string& strategy : StrategyNames()) {
    SCOPED_TRACE(strategy);
    const std::vector<std::string> interrupted = RunWithRestarts(strategy, 2, 10);
    EXPECT_FALSE(interrupted.empty());
    EXPECT_EQ(interrupted, RunWithoutRestarts(strategy));
  }
}

TEST_F(RestartTest, AReconstructingJobThatIsInterruptedGoesOnWithWhatIsLearned) {
  const std::vector<std::string> interrupted = RunWithRestarts("sensitivity", 2, 12, "reconstruct");
  EXPECT_FALSE(interrupted.empty());
  EXPECT_EQ(interrupted, RunWithoutRestarts("sensitivity"));
}

TEST_F(RestartTest, AJobThatTrainsAndIsInterruptedEndsWithTheSameTrials) {
  for (const char* qat : {"all", "top:3"}) {
    SCOPED_TRACE(qat);
    const std::vector<std::string> interrupted = RunWithRestarts("sensitivity", 2, 60, "", qat);
    EXPECT_FALSE(interrupted.empty());
    const std::vector<v1::Trial> trials = std::move(trials_);
    EXPECT_EQ(interrupted, RunWithoutRestarts("sensitivity", qat));
    ASSERT_EQ(trials.size(), trials_.size());
    for (size_t i = 0; i < trials.size(); ++i) {
      EXPECT_EQ(trials[i].SerializeAsString(), trials_[i].SerializeAsString());
    }
  }
}

TEST_F(RestartTest, AWorkerKeepsItsLeaseOverARestart) {
  FakeWorker worker = AnnouncedWorker("a");
  Submit(SmallJob());
  ASSERT_TRUE(worker.Step());
  const TaskOrder held = *worker.held;
  RestartServer();
  FakeWorker same(address(), "a");
  const absl::StatusOr<WorkerOrder> answer =
      same.Say(same.ReportFinished(held.lease_id, same.Work(held.task)));
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->lease_lost);
}

TEST_F(RestartTest, AResultRepeatedAfterARestartIsKnown) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  ASSERT_TRUE(worker.Step());
  const WorkerReport report =
      worker.ReportFinished(worker.held->lease_id, worker.Work(worker.held->task));
  const absl::StatusOr<WorkerOrder> first = worker.Say(report);
  ASSERT_TRUE(first.ok());
  RestartServer();
  FakeWorker same(address(), "a");
  const absl::StatusOr<WorkerOrder> again = same.Say(report);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->lease_lost);
  ASSERT_EQ(first->order.has_value(), again->order.has_value());
  if (first->order) EXPECT_EQ(first->order->lease_id, again->order->lease_id);
}

TEST_F(RestartTest, AResultRepeatedLongAfterTheServerStartedIsKnownToo) {
  clock_.Advance(std::chrono::hours(24));
  FakeWorker worker = AnnouncedWorker("a");
  Submit(SmallJob());
  ASSERT_TRUE(worker.Step());
  const WorkerReport report =
      worker.ReportFinished(worker.held->lease_id, worker.Work(worker.held->task));
  ASSERT_TRUE(worker.Say(report).ok());
  RestartServer();
  // Somebody else calls first: whoever has been silent for long is forgotten then.
  AnnouncedWorker("b");
  FakeWorker same(address(), "a");
  const absl::StatusOr<WorkerOrder> again = same.Say(report);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->lease_lost);
}

TEST_F(RestartTest, AWorkerKnownOnlyFromTheDatabaseDoesNotCountAsConnected) {
  FakeWorker worker = AnnouncedWorker("a");
  Submit(SmallJob());
  worker.Step();
  worker.Step();
  RestartServer();
  grpc::ClientContext context;
  v1::ListWorkersResponse workers;
  ASSERT_TRUE(exploration_->ListWorkers(&context, v1::ListWorkersRequest(), &workers).ok());
  EXPECT_EQ(workers.workers_size(), 0);
}

TEST_F(RestartTest, TargetsAndEndedJobsAreRemembered) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  const v1::Job before = GetJob(id);
  RestartServer();
  const v1::Job after = GetJob(id);
  EXPECT_EQ(after.state(), v1::JOB_STATE_DONE);
  EXPECT_EQ(FrontAsText(after), FrontAsText(before));
  EXPECT_EQ(after.hypervolume(), before.hypervolume());
  EXPECT_FALSE(Submit(SmallJob("uniform", 7)).job().id().empty());
}

TEST_F(RestartTest, AnArtifactOrderedBeforeARestartIsMadeAfterIt) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  v1::GetArtifactResponse artifact;
  ASSERT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
  RestartServer();
  FakeWorker next = AnnouncedWorker("b");
  next.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
    return artifact.state() == v1::ARTIFACT_STATE_READY;
  });
}

TEST_F(RestartTest, TwoServersDoNotShareAFolder) {
  ServerOptions options = options_;
  const absl::StatusOr<std::unique_ptr<Server>> second = Server::Start(options, clock_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace mico
