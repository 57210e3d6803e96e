#include <cmath>
#include <filesystem>
#include <set>

#include "tests/integration/service.h"

namespace mico {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// Jobs whose schemes are trained, and a count of what their workers are asked for.
class TrainingTest : public ServiceTest {
 protected:
  v1::SubmitJobRequest TrainingJob(const std::string& qat,
                                   const std::string& strategy = "uniform") {
    v1::SubmitJobRequest request = SmallJob(strategy, 40);
    request.mutable_spec()->set_qat(qat);
    return request;
  }
  // Another job that asks the same questions.
  v1::SubmitJobRequest WithAnotherLimit(v1::SubmitJobRequest request) {
    request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_absolute(0.01);
    return request;
  }
  FakeWorker CountingWorker(const std::string& id) {
    FakeWorker worker = AnnouncedWorker(id);
    worker.fails = [this](const Task& task) { return Count(task); };
    return worker;
  }
  absl::Status Count(const Task& task) {
    if (const auto* train = std::get_if<TrainTask>(&task)) trained_.push_back(*train);
    if (const auto* evaluate = std::get_if<EvaluateTask>(&task)) evaluated_.push_back(*evaluate);
    return absl::OkStatus();
  }
  v1::Job RunToTheEnd(FakeWorker& worker, const v1::SubmitJobRequest& request) {
    const std::string id = Submit(request).job().id();
    worker.StepUntil([&] { return HasEnded(id); });
    v1::Job job = GetJob(id);
    EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
    EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id)));
    return job;
  }
  // Until the worker holds a train task.
  const TrainTask& StepToTraining(FakeWorker& worker) {
    worker.StepUntil([&] {
      return worker.held.has_value() && std::holds_alternative<TrainTask>(worker.held->task);
    });
    return std::get<TrainTask>(worker.held->task);
  }
  v1::Job Cancel(const std::string& id) {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_job(id);
    v1::Job job;
    EXPECT_TRUE(exploration_->CancelJob(&context, request, &job).ok());
    return job;
  }
  bool IsOnDisk(const std::string& bytes) const {
    const std::string hex = Digest::Of(bytes).hex();
    return std::filesystem::exists(folder_.path() / "data/blobs" / hex.substr(0, 2) / hex);
  }
  // The silence that costs a worker its lease.
  void LetLeasesExpire() { clock_.Advance(options_.coordinator.queue.lease_duration); }

  std::vector<TrainTask> trained_;
  std::vector<EvaluateTask> evaluated_;
};

std::vector<v1::Trial> PromotedOf(const std::vector<v1::Trial>& trials) {
  std::vector<v1::Trial> promoted;
  for (const v1::Trial& trial : trials) {
    if (trial.trained_from() != 0) promoted.push_back(trial);
  }
  return promoted;
}

Score TrainedScore(const v1::Trial& trial, int64_t samples) {
  return FakeScore(BitScheme::Parse(trial.scheme_text()).value(), samples, Metric::kTop1, true);
}

TEST_F(TrainingTest, WithAllEveryFullTrialIsTrainedAndThenEvaluatedWithWhatItLearned) {
  FakeWorker worker = CountingWorker("a");
  const v1::Job job = RunToTheEnd(worker, TrainingJob("all", "sensitivity"));

  std::set<std::string> trained;
  for (const TrainTask& task : trained_) trained.insert(task.scheme.ToString());
  size_t full = 0;
  for (const v1::Trial& trial : ListTrials(job.id())) {
    EXPECT_EQ(trial.trained(), !trial.probe()) << trial.number();
    EXPECT_EQ(trial.trained_from(), 0);
    if (trial.probe() || trial.state() != v1::TRIAL_STATE_FINISHED) continue;
    ++full;
    EXPECT_TRUE(trained.contains(trial.scheme_text()));
    EXPECT_EQ(trial.val().correct(), TrainedScore(trial, worker.val_samples).correct);
  }
  EXPECT_GT(full, 0u);
  EXPECT_EQ(trained.size(), trained_.size()) << "each once";
  EXPECT_EQ(trained_.size(), full);
  EXPECT_EQ(trained_.front().recipe, (TrainingRecipe{20.0}));
  for (const EvaluateTask& task : evaluated_) {
    if (task.samples != 0) {
      EXPECT_THAT(task.reconstructions, IsEmpty());
      continue;
    }
    ASSERT_THAT(task.schemes, SizeIs(1));
    EXPECT_THAT(task.reconstructions, ElementsAre(Digest::Of(FakeLearned(task.schemes[0]))));
  }
  EXPECT_FALSE(job.has_qat_rank_correlation());
  for (const v1::Trial& trial : job.front()) {
    EXPECT_EQ(trial.test().correct(), TrainedScore(trial, worker.test_samples).correct);
  }
}

TEST_F(TrainingTest, WithTopTheMostPromisingAreTrainedOnceTheSearchIsOver) {
  FakeWorker worker = CountingWorker("a");
  const v1::Job without = RunToTheEnd(worker, SmallJob("sensitivity", 40));
  EXPECT_THAT(trained_, IsEmpty());
  const v1::Job job = RunToTheEnd(worker, TrainingJob("top:4", "sensitivity"));

  const std::vector<v1::Trial> trials = ListTrials(job.id());
  const std::vector<v1::Trial> promoted = PromotedOf(trials);
  ASSERT_THAT(promoted, SizeIs(4));
  EXPECT_EQ(trials.size(), ListTrials(without.id()).size() + 4);
  EXPECT_EQ(promoted.front().number(), static_cast<int64_t>(trials.size()) - 3) << "at the end";
  std::set<int64_t> on_front;
  for (const v1::Trial& trial : job.front()) on_front.insert(trial.number());
  size_t trained_on_front = 0;
  for (const v1::Trial& trial : promoted) {
    const v1::Trial& before = trials[static_cast<size_t>(trial.trained_from() - 1)];
    EXPECT_TRUE(trial.trained());
    EXPECT_FALSE(before.trained());
    EXPECT_EQ(trial.scheme_text(), before.scheme_text());
    EXPECT_EQ(trial.cost().latency_cycles(), before.cost().latency_cycles());
    EXPECT_EQ(trial.label(), "");
    EXPECT_EQ(trial.val().correct(), TrainedScore(trial, worker.val_samples).correct);
    EXPECT_NE(trial.quantized_digest(), before.quantized_digest());
    trained_on_front += on_front.count(trial.number());
  }
  EXPECT_GT(trained_on_front, 0u);
  EXPECT_EQ(trained_.size(), 4u);
  EXPECT_EQ(job.trials_spent(), without.trials_spent());
  EXPECT_EQ(job.trials_finished(), without.trials_finished());
  EXPECT_TRUE(job.has_qat_rank_correlation());
  EXPECT_GT(job.qat_rank_correlation(), 0.0);
  EXPECT_EQ(job.qat_pairs(), 4);
  EXPECT_GE(job.hypervolume(), without.hypervolume());
}

TEST_F(TrainingTest, TrainingCanLiftSchemesOverALimitOnTheirValue) {
  FakeWorker worker = CountingWorker("a");
  v1::SubmitJobRequest request = TrainingJob("top:3");
  request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_absolute(0.75);
  const v1::Job job = RunToTheEnd(worker, request);
  size_t trained = 0;
  for (const v1::Trial& trial : job.front()) trained += trial.trained() ? 1 : 0;
  EXPECT_GT(trained, 0u);
}

TEST_F(TrainingTest, OfFewerThanThreePairsOrAllEqualOnesThereIsNoRankCorrelation) {
  FakeWorker worker = CountingWorker("a");
  EXPECT_FALSE(RunToTheEnd(worker, TrainingJob("top:2")).has_qat_rank_correlation());
}

TEST_F(TrainingTest, ASchemeIsTrainedOnceInWhateverJob) {
  FakeWorker worker = CountingWorker("a");
  for (const char* qat : {"top:3", "all"}) {
    SCOPED_TRACE(qat);
    const v1::SubmitJobRequest request = TrainingJob(qat, "sensitivity");
    const v1::Job first = RunToTheEnd(worker, request);
    EXPECT_THAT(trained_, testing::Not(IsEmpty()));
    trained_.clear();
    evaluated_.clear();
    RestartServer();
    FakeWorker other = CountingWorker("b");
    const v1::Job second = RunToTheEnd(other, WithAnotherLimit(request));
    EXPECT_NE(second.id(), first.id());
    EXPECT_THAT(trained_, IsEmpty());
    EXPECT_THAT(evaluated_, IsEmpty());
    EXPECT_EQ(FrontAsText(second), FrontAsText(first));
    // Another recipe is another training.
    v1::SubmitJobRequest longer = request;
    longer.mutable_spec()->set_qat_epochs(50);
    RunToTheEnd(other, longer);
    EXPECT_THAT(trained_, testing::Not(IsEmpty()));
    trained_.clear();
    RestartServer();
    worker = CountingWorker("a");
  }
}

TEST_F(TrainingTest, TwoJobsThatWantTheSameTrainingShareIt) {
  FakeWorker worker = CountingWorker("a");
  const std::string first = Submit(TrainingJob("all")).job().id();
  const std::string second = Submit(WithAnotherLimit(TrainingJob("all"))).job().id();
  ASSERT_NE(first, second);
  StepToTraining(worker);
  worker.StepUntil([&] { return HasEnded(first) && HasEnded(second); });
  EXPECT_EQ(trained_.size(), 9u);
  for (const std::string& id : {first, second}) {
    const v1::Job job = GetJob(id);
    EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
    EXPECT_EQ(job.trials_finished(), 9);
    EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id)));
  }
}

TEST_F(TrainingTest, WhoWaitedForACancelledJobsTrainingsOrdersItsOwn) {
  FakeWorker worker = CountingWorker("a");
  const std::string first = Submit(TrainingJob("all")).job().id();
  const std::string second = Submit(WithAnotherLimit(TrainingJob("all"))).job().id();
  StepToTraining(worker);
  // Both have proposed, and one of them has ordered everything.
  worker.StepUntil([&] { return trained_.size() >= 2; });
  Cancel(first);
  RestartServer();
  LetLeasesExpire();
  FakeWorker other = CountingWorker("b");
  other.StepUntil([&] { return HasEnded(second); });
  EXPECT_EQ(GetJob(second).state(), v1::JOB_STATE_DONE) << GetJob(second).error();
  EXPECT_EQ(GetJob(second).trials_finished(), 9);
}

TEST_F(TrainingTest, ATrainingThatFailsTakesOnlyItsTrialWithIt) {
  FakeWorker worker = AnnouncedWorker("a");
  int failed = 0;
  worker.fails = [&](const Task& task) -> absl::Status {
    if (!std::holds_alternative<TrainTask>(task) || ++failed > 1) return absl::OkStatus();
    return absl::InvalidArgumentError("training diverged: loss is not a number at step 123");
  };
  const v1::Job job = RunToTheEnd(worker, TrainingJob("top:3"));
  const std::vector<v1::Trial> trials = ListTrials(job.id());
  const std::vector<v1::Trial> promoted = PromotedOf(trials);
  ASSERT_THAT(promoted, SizeIs(3));
  EXPECT_EQ(promoted[0].state(), v1::TRIAL_STATE_FAILED);
  EXPECT_EQ(promoted[0].error(), "training diverged: loss is not a number at step 123");
  EXPECT_EQ(trials[static_cast<size_t>(promoted[0].trained_from() - 1)].state(),
            v1::TRIAL_STATE_FINISHED);
  EXPECT_EQ(promoted[1].state(), v1::TRIAL_STATE_FINISHED);
  EXPECT_EQ(promoted[2].state(), v1::TRIAL_STATE_FINISHED);
  EXPECT_FALSE(job.has_qat_rank_correlation()) << "two pairs are left";
}

TEST_F(TrainingTest, ATrainingThatCostsThreeWorkersIsGivenUp) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(TrainingJob("top:3")).job().id();
  StepToTraining(worker);
  const std::string task = worker.held->task_id;
  for (const char* next : {"b", "c"}) {
    LetLeasesExpire();
    worker = AnnouncedWorker(next);
    EXPECT_EQ(worker.held->task_id, task);
  }
  LetLeasesExpire();
  FakeWorker last = AnnouncedWorker("d");
  last.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
  EXPECT_THAT(PromotedOf(ListTrials(id))[0].error(), HasSubstr("3 workers in a row fell silent"));
}

TEST_F(TrainingTest, TheNextAttemptGoesOnFromTheLatestCheckpoint) {
  FakeWorker first = AnnouncedWorker("a");
  const std::string id = Submit(TrainingJob("top:3")).job().id();
  EXPECT_TRUE(StepToTraining(first).checkpoint.empty());
  const std::string task = first.held->task_id;
  EXPECT_FALSE(first.ReportCheckpoint("after 1 epoch").lease_lost);
  EXPECT_FALSE(first.ReportCheckpoint("after 2 epochs").lease_lost);
  EXPECT_FALSE(first.ReportCheckpoint("after 2 epochs").lease_lost) << "as every report repeats it";
  EXPECT_FALSE(IsOnDisk("after 1 epoch"));
  EXPECT_TRUE(IsOnDisk("after 2 epochs"));

  RestartServer();
  LetLeasesExpire();
  FakeWorker second = AnnouncedWorker("b");
  ASSERT_TRUE(second.held);
  EXPECT_EQ(second.held->task_id, task);
  EXPECT_EQ(second.held->attempt, 2);
  EXPECT_EQ(std::get<TrainTask>(second.held->task).checkpoint, Digest::Of("after 2 epochs"));
  EXPECT_EQ(Download(Digest::Of("after 2 epochs").hex()), "after 2 epochs");

  // Who comes too late changes nothing.
  FakeWorker late(address(), "a");
  late.held = first.held;
  EXPECT_TRUE(late.ReportCheckpoint("after 3 epochs").lease_lost);
  EXPECT_TRUE(IsOnDisk("after 2 epochs"));

  second.Step();
  EXPECT_FALSE(IsOnDisk("after 2 epochs"));
  second.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
}

TEST_F(TrainingTest, ACheckpointThatIsTheResultStays) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(TrainingJob("all")).job().id();
  const std::string state = FakeState(StepToTraining(worker).scheme);
  worker.ReportCheckpoint(state);
  worker.Step();
  EXPECT_TRUE(IsOnDisk(state));
  v1::FindMissingRequest request;
  request.add_digests(Digest::Of(state).hex());
  grpc::ClientContext context;
  v1::FindMissingResponse missing;
  ASSERT_TRUE(blobs_->FindMissing(&context, request, &missing).ok());
  EXPECT_THAT(missing.missing(), IsEmpty());
}

TEST_F(TrainingTest, WhoLeavesHandsItsCheckpointOver) {
  FakeWorker first = AnnouncedWorker("a");
  Submit(TrainingJob("all"));
  StepToTraining(first);
  EXPECT_FALSE(first.ReportCheckpoint("half", true).lease_lost);
  FakeWorker second = AnnouncedWorker("b");
  ASSERT_TRUE(second.held);
  EXPECT_EQ(second.held->task_id, first.held->task_id);
  EXPECT_EQ(second.held->attempt, 1);
  EXPECT_EQ(std::get<TrainTask>(second.held->task).checkpoint, Digest::Of("half"));
}

TEST_F(TrainingTest, ACheckpointThatIsNotThereIsIgnored) {
  FakeWorker worker = AnnouncedWorker("a");
  Submit(TrainingJob("all"));
  StepToTraining(worker);
  EXPECT_FALSE(worker.ReportCheckpoint("half").lease_lost);
  WorkerReport report = worker.Report();
  report.state = Running{worker.held->lease_id, 0.5, Digest::Of("never uploaded")};
  const absl::StatusOr<WorkerOrder> answer = worker.Say(report);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->lease_lost);
  EXPECT_TRUE(IsOnDisk("half"));
  LetLeasesExpire();
  FakeWorker next = AnnouncedWorker("b");
  EXPECT_EQ(std::get<TrainTask>(next.held->task).checkpoint, Digest::Of("half"));
}

TEST_F(TrainingTest, ACheckpointThatIsLostIsNotHandedOut) {
  FakeWorker worker = AnnouncedWorker("a");
  Submit(TrainingJob("all"));
  StepToTraining(worker);
  worker.ReportCheckpoint("half");
  const std::string hex = Digest::Of("half").hex();
  std::filesystem::remove(folder_.path() / "data/blobs" / hex.substr(0, 2) / hex);
  LetLeasesExpire();
  FakeWorker next = AnnouncedWorker("b");
  EXPECT_TRUE(std::get<TrainTask>(next.held->task).checkpoint.empty());
}

TEST_F(TrainingTest, ATaskThatTrainsNothingHasNoCheckpoint) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(TrainingJob("top:3")).job().id();
  ASSERT_TRUE(worker.Step());
  EXPECT_FALSE(worker.ReportCheckpoint("of a calibration").lease_lost);
  EXPECT_TRUE(IsOnDisk("of a calibration")) << "whatever it is";
  worker.StepUntil([&] { return HasEnded(id); });
}

// A worker that errs, or lies, does not cost anybody else's blob.
TEST_F(TrainingTest, WhatWasThereBeforeTheTrainingIsNoCheckpointToBeRemoved) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string data = SmallData();
  clock_.Advance(std::chrono::milliseconds(1));
  const std::string id = Submit(TrainingJob("top:3")).job().id();
  worker.StepUntil([&] { return GetJob(id).trials_finished() > 0; });
  UploadBlob(*blobs_, "a network that somebody has just sent").IgnoreError();
  clock_.Advance(std::chrono::milliseconds(1));
  StepToTraining(worker);
  worker.ReportCheckpoint(data);
  worker.ReportCheckpoint("a network that somebody has just sent");
  worker.ReportCheckpoint("my own");
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_TRUE(IsOnDisk(data));
  EXPECT_TRUE(IsOnDisk("a network that somebody has just sent"));
  EXPECT_FALSE(IsOnDisk("my own"));
}

TEST_F(TrainingTest, AJobCancelledInATrainingIsTakenUpWhereItStopped) {
  FakeWorker worker = CountingWorker("a");
  const v1::SubmitJobRequest request = TrainingJob("top:3", "random");
  const std::string id = Submit(request).job().id();
  StepToTraining(worker);
  EXPECT_THAT(GetJob(id).phase(), HasSubstr("training 1 of 3"));
  worker.Step();
  StepToTraining(worker);
  worker.ReportCheckpoint("half");
  EXPECT_EQ(Cancel(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(IsOnDisk("half"));
  const std::vector<v1::Trial> before = ListTrials(id);
  ASSERT_THAT(PromotedOf(before), SizeIs(3));
  EXPECT_TRUE(worker.ReportCheckpoint("too late").lease_lost);

  worker.held.reset();
  EXPECT_EQ(RunToTheEnd(worker, request).id(), id);
  const std::vector<v1::Trial> after = ListTrials(id);
  ASSERT_EQ(after.size(), before.size());
  for (const v1::Trial& trial : PromotedOf(after)) {
    EXPECT_EQ(trial.state(), v1::TRIAL_STATE_FINISHED);
    EXPECT_EQ(trial.trained_from(), before[static_cast<size_t>(trial.number() - 1)].trained_from());
  }
  EXPECT_EQ(trained_.size(), 3u);
}

TEST_F(TrainingTest, ATrainingStartsFromTheNearestTrainedSchemeOfItsJob) {
  FakeWorker worker = CountingWorker("a");
  RunToTheEnd(worker, TrainingJob("all"));
  ASSERT_GE(trained_.size(), 2u);
  const auto distance = [](const BitScheme& a, const BitScheme& b) {
    int bits = 0;
    for (size_t layer = 0; layer < a.size(); ++layer) {
      bits += std::abs(a[layer].weight_bits - b[layer].weight_bits);
      bits += std::abs(a[layer].input_bits - b[layer].input_bits);
    }
    return bits;
  };
  EXPECT_TRUE(trained_[0].warm_start.empty());
  for (size_t i = 1; i < trained_.size(); ++i) {
    size_t nearest = 0;
    for (size_t j = 1; j < i; ++j) {
      if (distance(trained_[j].scheme, trained_[i].scheme) <
          distance(trained_[nearest].scheme, trained_[i].scheme)) {
        nearest = j;
      }
    }
    EXPECT_EQ(trained_[i].warm_start, Digest::Of(FakeState(trained_[nearest].scheme))) << i;
  }
}

TEST_F(TrainingTest, TrainingStartsFromWhatPtqHasLearned) {
  FakeWorker worker = CountingWorker("a");
  v1::SubmitJobRequest request = TrainingJob("top:3");
  request.mutable_spec()->set_ptq("reconstruct");
  RunToTheEnd(worker, request);
  ASSERT_THAT(trained_, SizeIs(3));
  for (const TrainTask& task : trained_) EXPECT_THAT(task.reconstructions, SizeIs(6));
}

TEST_F(TrainingTest, TheArtifactOfATrainedTrialIsMadeOfWhatItLearned) {
  FakeWorker worker = CountingWorker("a");
  const v1::Job job = RunToTheEnd(worker, TrainingJob("all", "random"));
  const std::vector<v1::Trial> trials = ListTrials(job.id());
  int64_t off_front = 0;
  for (const v1::Trial& trial : trials) {
    if (!trial.has_test() && trial.state() == v1::TRIAL_STATE_FINISHED) off_front = trial.number();
  }
  ASSERT_GT(off_front, 0);
  v1::GetArtifactResponse artifact;
  worker.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(job.id(), off_front, &artifact).ok());
    return artifact.state() != v1::ARTIFACT_STATE_PENDING;
  });
  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_READY) << artifact.error();
}

TEST_F(TrainingTest, SchemesAreTrainedForMetricsWithoutLabelsToo) {
  FakeWorker worker = CountingWorker("a");
  v1::SubmitJobRequest request = TrainingJob("all");
  request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, SmallAutoencoder())->hex());
  request.mutable_spec()->set_dataset_digest(UploadBlob(*blobs_, SmallData(2))->hex());
  request.mutable_spec()->set_metric("mse");
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  const v1::Job job = GetJob(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  ASSERT_THAT(trained_, testing::Not(IsEmpty()));
  EXPECT_EQ(trained_.front().metric, Metric::kMse);
  for (const v1::Trial& trial : job.front()) {
    const BitScheme scheme = BitScheme::Parse(trial.scheme_text()).value();
    EXPECT_DOUBLE_EQ(trial.val().value(),
                     FakeScore(scheme, worker.val_samples, Metric::kMse, true).value);
  }
}

TEST_F(TrainingTest, WhatCannotBeTrainedIsRefusedByName) {
  const auto refusal = [&](const auto& spoil) {
    v1::SubmitJobRequest request = TrainingJob("all");
    spoil(*request.mutable_spec());
    v1::SubmitJobResponse response;
    const grpc::Status status = TrySubmit(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat("top:0"); }),
              AllOf(HasSubstr("spec.qat: 'top:0'"), HasSubstr("1 to 10000")));
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat("top:x"); }),
              HasSubstr("spec.qat: 'top:x'"));
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat_epochs(-1); }),
              HasSubstr("spec.qat_epochs: -1"));
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat_epochs(std::nan("")); }),
              HasSubstr("spec.qat_epochs: nan"));
  EXPECT_THAT(refusal([](v1::JobSpec& spec) {
                spec.clear_qat();
                spec.set_qat_minutes(5);
              }),
              HasSubstr("spec.qat_minutes: 5 without training"));
}

}  // namespace
}  // namespace mico
