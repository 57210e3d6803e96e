#include <cmath>
#include <set>
#include <thread>

#include "db/store.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "tests/integration/service.h"

namespace mico {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST_F(ServiceTest, AJobGoesFromSubmitToAVerifiedFront) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });

  const v1::Job job = GetJob(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.trials_finished(), 9);
  EXPECT_THAT(job.uniform(), SizeIs(9));
  EXPECT_THAT(FrontAsText(job), Not(IsEmpty()));
  EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id)));
  for (const v1::Trial& trial : job.front()) {
    EXPECT_EQ(trial.test().total(), worker.test_samples);
    EXPECT_TRUE(trial.within_limits());
  }
  EXPECT_GT(job.hypervolume(), 0.0);
  EXPECT_THAT(job.stop_reason(), Not(IsEmpty()));
  EXPECT_THAT(job.layer_names(), ElementsAre("first", "second", "classes"));
  EXPECT_EQ(job.float_val().correct(), worker.val_samples - 1);
}

TEST_F(ServiceTest, EveryStrategyEndsWithTheFrontOfItsTrials) {
  FakeWorker worker = AnnouncedWorker("a");
  for (const std::string& strategy : StrategyNames()) {
    SCOPED_TRACE(strategy);
    const std::string id = Submit(SmallJob(strategy, 40)).job().id();
    worker.StepUntil([&] { return HasEnded(id); });
    const v1::Job job = GetJob(id);
    EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
    EXPECT_LE(job.trials_spent(), 40.0 + 1e-6);
    EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id)));
  }
}

TEST_F(ServiceTest, LimitsRelativeToEightBitsHoldOnTheFront) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->mutable_limits()->mutable_max_latency()->set_relative(0.8);
  request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_relative(0.5);
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });

  const v1::Job job = GetJob(id);
  ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  const v1::Trial& uniform8 = job.uniform(0);
  ASSERT_EQ(uniform8.label(), "uniform w8a8");
  EXPECT_EQ(job.resolved_max().latency_cycles(), uniform8.cost().latency_cycles() * 8 / 10);
  EXPECT_DOUBLE_EQ(job.resolved_min_accuracy(),
                   0.5 * uniform8.val().correct() / uniform8.val().total());
  EXPECT_FALSE(uniform8.within_limits());
  EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id), job.resolved_max().latency_cycles()));
}

TEST_F(ServiceTest, TheSameContentIsOneJob) {
  FakeWorker worker = AnnouncedWorker("a");
  const v1::SubmitJobResponse first = Submit(SmallJob());
  v1::SubmitJobRequest renamed = SmallJob();
  renamed.mutable_spec()->set_model_name("another name.onnx");
  const v1::SubmitJobResponse second = Submit(renamed);
  EXPECT_FALSE(first.existed());
  EXPECT_TRUE(second.existed());
  EXPECT_EQ(first.job().id(), second.job().id());
  EXPECT_NE(Submit(SmallJob("uniform", 21)).job().id(), first.job().id());
}

TEST_F(ServiceTest, TheSameRequestIdIsOneJob) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.set_request_id("r-1");
  const std::string id = Submit(request).job().id();
  request.mutable_spec()->set_seed(99);
  EXPECT_EQ(Submit(request).job().id(), id);
}

TEST_F(ServiceTest, AFinishedResultIsReusedByTheNextJob) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string first = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(first); });
  const std::string second = Submit(SmallJob("random", 5)).job().id();
  bool calibrated_or_profiled_again = false;
  worker.fails = [&](const Task& task) {
    calibrated_or_profiled_again |= !std::holds_alternative<EvaluateTask>(task);
    return absl::OkStatus();
  };
  worker.StepUntil([&] { return HasEnded(second); });
  EXPECT_FALSE(calibrated_or_profiled_again);
}

TEST_F(ServiceTest, ASchemeIsEvaluatedOnceInWhateverJob) {
  FakeWorker worker = AnnouncedWorker("a");
  int64_t schemes = 0;
  worker.fails = [&](const Task& task) {
    const auto* evaluate = std::get_if<EvaluateTask>(&task);
    if (evaluate != nullptr) schemes += static_cast<int64_t>(evaluate->schemes.size());
    return absl::OkStatus();
  };
  const auto run = [&](const v1::SubmitJobRequest& request) {
    const std::string id = Submit(request).job().id();
    worker.StepUntil([&] { return HasEnded(id); });
    return GetJob(id);
  };
  const v1::Job first = run(SmallJob("sensitivity", 40));
  ASSERT_EQ(first.state(), v1::JOB_STATE_DONE) << first.error();
  EXPECT_GT(schemes, 0);

  schemes = 0;
  v1::SubmitJobRequest limited = SmallJob("sensitivity", 40);
  limited.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_absolute(0.01);
  const v1::Job second = run(limited);

  EXPECT_NE(second.id(), first.id());
  ASSERT_EQ(second.state(), v1::JOB_STATE_DONE) << second.error();
  EXPECT_EQ(schemes, 0);
  EXPECT_EQ(second.trials_finished(), first.trials_finished());
  EXPECT_EQ(FrontAsText(second), FrontAsText(first));
  for (const v1::Trial& trial : second.front()) {
    EXPECT_EQ(trial.test().total(), worker.test_samples);
  }

  // What depends on something else is another question.
  v1::SubmitJobRequest other = SmallJob("sensitivity", 40);
  other.mutable_spec()->set_calibration_samples(17);
  EXPECT_EQ(run(other).state(), v1::JOB_STATE_DONE);
  EXPECT_GT(schemes, 0);
}

// What a worker is asked for, by kind, and how many reconstructions its evaluations name.
struct Asked {
  std::vector<LayerBits> reconstructed;
  std::set<size_t> used;

  void Watch(FakeWorker& worker) {
    worker.fails = [this](const Task& task) {
      if (const auto* reconstruct = std::get_if<ReconstructTask>(&task)) {
        reconstructed.push_back(reconstruct->bits);
      }
      if (const auto* evaluate = std::get_if<EvaluateTask>(&task)) {
        used.insert(evaluate->reconstructions.size());
      }
      return absl::OkStatus();
    };
  }
};

TEST_F(ServiceTest, AReconstructingJobLearnsEachPairOnceForAllJobs) {
  FakeWorker worker = AnnouncedWorker("a");
  Asked first, second, fast;
  first.Watch(worker);
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_ptq("reconstruct");
  std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
  EXPECT_THAT(first.reconstructed,
              testing::UnorderedElementsAre(LayerBits{4, 8}, LayerBits{4, 4}, LayerBits{4, 2},
                                            LayerBits{2, 8}, LayerBits{2, 4}, LayerBits{2, 2}));
  EXPECT_THAT(first.used, testing::ElementsAre(6));

  RestartServer();
  FakeWorker other = AnnouncedWorker("b");
  second.Watch(other);
  request.mutable_spec()->set_strategy("random");
  id = Submit(request).job().id();
  other.StepUntil([&] { return HasEnded(id); });
  EXPECT_THAT(second.reconstructed, IsEmpty());
  EXPECT_THAT(second.used, testing::ElementsAre(6));

  fast.Watch(other);
  id = Submit(SmallJob("random", 5)).job().id();
  other.StepUntil([&] { return HasEnded(id); });
  EXPECT_THAT(fast.reconstructed, IsEmpty());
  EXPECT_THAT(fast.used, testing::ElementsAre(0));
}

TEST_F(ServiceTest, AReconstructionThatFailsEndsTheJobWithItsReason) {
  FakeWorker worker = AnnouncedWorker("a");
  worker.fails = [](const Task& task) {
    return std::holds_alternative<ReconstructTask>(task) ? absl::InternalError("it broke")
                                                         : absl::OkStatus();
  };
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_ptq("reconstruct");
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(GetJob(id).error(), AllOf(HasSubstr("reconstruct"), HasSubstr("it broke")));
}

TEST_F(ServiceTest, AnotherPtqIsRefusedByName) {
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_ptq("slow");
  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr("spec.ptq"), HasSubstr("'slow'")));
}

TEST_F(ServiceTest, ValidateOnlyStoresNothingAndSaysWhatWouldHappen) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.set_validate_only(true);
  const v1::SubmitJobResponse response = Submit(request);
  EXPECT_THAT(response.job().id(), IsEmpty());
  EXPECT_THAT(response.preview().layers(), SizeIs(3));
  EXPECT_NEAR(response.preview().log10_space(), std::log10(243.0), 1e-9);
  EXPECT_GT(response.preview().signatures_to_profile(), 0);
  EXPECT_FALSE(response.preview().latency_known());
  EXPECT_GT(response.preview().uniform8().peak_ram_bytes(),
            response.preview().floor_cost().peak_ram_bytes());
  grpc::ClientContext context;
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(exploration_->ListJobs(&context, {}, &jobs).ok());
  EXPECT_THAT(jobs.jobs(), IsEmpty());
}

TEST_F(ServiceTest, AnImpossibleFlashLimitIsRefusedWithItsFloor) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->mutable_limits()->mutable_max_flash()->set_absolute(10);
  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("flash: at least"));
  EXPECT_THAT(status.error_message(), HasSubstr("with every weight at 2 bits"));
  EXPECT_THAT(status.error_message(), HasSubstr("asked: 10 bytes"));
}

TEST_F(ServiceTest, AnImpossibleLatencyLimitFailsTheJobAfterTheProfile) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->mutable_limits()->mutable_max_latency()->set_relative(0.01);
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(GetJob(id).error(), HasSubstr("latency: at least"));
}

TEST_F(ServiceTest, NothingInsideTheLimitsNamesTheNearest) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_absolute(0.999);
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(GetJob(id).error(), HasSubstr("nothing fits the limits; nearest: trial 1 (w8a8"));
}

TEST_F(ServiceTest, ATargetWithoutBoardOrTableIsRefusedWithTheCommand) {
  FakeWorker worker(address(), "a");
  worker.target.has_board = false;
  worker.Step();
  v1::SubmitJobResponse response;
  const grpc::Status status = TrySubmit(SmallJob(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("mico-worker --target FILE"));
}

TEST_F(ServiceTest, MeasurementsServeTheSameProgramsAfterTheirBoardHasLeft) {
  FakeWorker board = AnnouncedWorker("board");
  const std::string first = Submit(SmallJob()).job().id();
  board.StepUntil([&] { return HasEnded(first); });
  WorkerReport goodbye = board.Report();
  goodbye.leaving = true;
  ASSERT_TRUE(board.Say(goodbye).ok());

  FakeWorker worker(address(), "without a board");
  worker.target.has_board = false;
  worker.target.profile_key = "fake";  // "fake-board" is the key with the board
  worker.Step();
  const std::string second = Submit(SmallJob("uniform", 7)).job().id();
  worker.StepUntil([&] { return HasEnded(second); });
  EXPECT_EQ(GetJob(second).state(), v1::JOB_STATE_DONE) << GetJob(second).error();
}

TEST_F(ServiceTest, MeasurementsOfOtherProgramsDoNotServe) {
  FakeWorker board = AnnouncedWorker("board");
  const std::string first = Submit(SmallJob()).job().id();
  board.StepUntil([&] { return HasEnded(first); });
  WorkerReport goodbye = board.Report();
  goodbye.leaving = true;
  ASSERT_TRUE(board.Say(goodbye).ok());

  FakeWorker worker(address(), "without a board");
  worker.target.has_board = false;
  worker.target.profile_key = "newer";
  worker.Step();
  v1::SubmitJobResponse response;
  EXPECT_EQ(TrySubmit(SmallJob("uniform", 7), &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServiceTest, AFileThatCannotBeReadIsNamed) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_model_name("cut off.onnx");
  request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, "no model")->hex());
  v1::SubmitJobResponse response;
  EXPECT_THAT(TrySubmit(request, &response).error_message(), HasSubstr("model 'cut off.onnx': "));

  request = SmallJob();
  request.mutable_spec()->set_dataset_name("cut off.npz");
  request.mutable_spec()->set_dataset_digest(UploadBlob(*blobs_, "no data")->hex());
  EXPECT_THAT(TrySubmit(request, &response).error_message(), HasSubstr("data set 'cut off.npz': "));
}

TEST_F(ServiceTest, UnknownTargetsAndBlobsAreNamed) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobResponse response;
  v1::SubmitJobRequest request = SmallJob();
  request.mutable_spec()->set_target("toaster");
  grpc::Status status = TrySubmit(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("target 'toaster'; known: fake"));

  request = SmallJob();
  request.mutable_spec()->set_model_digest(Digest::Of("nobody has this").hex());
  status = TrySubmit(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("model 'small.onnx'"));
}

TEST_F(ServiceTest, PagesOfTrialsAndJobsAddUp) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  const std::vector<v1::Trial> trials = ListTrials(id, 4);
  ASSERT_THAT(trials, SizeIs(9));
  for (size_t i = 0; i < trials.size(); ++i) EXPECT_EQ(trials[i].number(), i + 1);

  std::vector<std::string> submitted{id};
  for (int64_t trials_asked : {21, 22, 23, 24}) {
    clock_.Advance(std::chrono::milliseconds(1));
    submitted.insert(submitted.begin(), Submit(SmallJob("uniform", trials_asked)).job().id());
  }
  std::vector<std::string> listed;
  v1::ListJobsRequest request;
  request.set_page_size(2);
  do {
    grpc::ClientContext context;
    v1::ListJobsResponse response;
    ASSERT_TRUE(exploration_->ListJobs(&context, request, &response).ok());
    for (const v1::Job& job : response.jobs()) listed.push_back(job.id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, submitted);
}

TEST_F(ServiceTest, WatchShowsTheJobUntilItEnds) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  std::vector<v1::Job> seen;
  grpc::Status ended;
  std::thread watcher([&] {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_job(id.substr(0, 6));
    const auto reader = exploration_->WatchJob(&context, request);
    v1::Job job;
    while (reader->Read(&job)) seen.push_back(job);
    ended = reader->Finish();
  });
  worker.StepUntil([&] { return HasEnded(id); });
  watcher.join();
  EXPECT_TRUE(ended.ok()) << ended.error_message();
  ASSERT_THAT(seen, Not(IsEmpty()));
  EXPECT_EQ(seen.back().state(), v1::JOB_STATE_DONE);
}

TEST_F(ServiceTest, ACancelledJobTakesItsTaskFromTheWorker) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  ASSERT_TRUE(worker.Step());
  grpc::ClientContext context;
  v1::CancelJobRequest request;
  request.set_job(id);
  v1::Job job;
  ASSERT_TRUE(exploration_->CancelJob(&context, request, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLED);

  WorkerReport report = worker.Report();
  report.state = Running{worker.held->lease_id, 0.5};
  EXPECT_TRUE(worker.Say(report)->lease_lost);
  // The same content again takes it up.
  worker.held.reset();
  EXPECT_EQ(Submit(SmallJob()).job().id(), id);
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE);
}

TEST_F(ServiceTest, AJobCancelledInItsSearchIsTakenUpWhereItStopped) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob("random", 40);
  request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_relative(0.5);
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return GetJob(id).trials_finished() >= 8; });
  grpc::ClientContext context;
  v1::CancelJobRequest cancel;
  cancel.set_job(id);
  v1::Job job;
  ASSERT_TRUE(exploration_->CancelJob(&context, cancel, &job).ok());
  const std::vector<v1::Trial> before = ListTrials(id);

  worker.held.reset();
  EXPECT_EQ(Submit(request).job().id(), id);
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE) << GetJob(id).error();
  const std::vector<v1::Trial> after = ListTrials(id);
  ASSERT_GE(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].scheme_text(), before[i].scheme_text());
    EXPECT_EQ(after[i].state(), v1::TRIAL_STATE_FINISHED);
  }
}

TEST_F(ServiceTest, ASchemeBelowItsFloorIsGivenUpAndNeverInAFront) {
  FakeWorker worker = AnnouncedWorker("a");
  const v1::SubmitJobRequest request = SmallJob("random", 40);
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return GetJob(id).trials_finished() >= 8; });
  grpc::ClientContext context;
  v1::CancelJobRequest cancel;
  cancel.set_job(id);
  v1::Job job;
  ASSERT_TRUE(exploration_->CancelJob(&context, cancel, &job).ok());
  // As a strategy would propose it: the cheapest scheme there is, which only its floor keeps out of
  // the front.
  TrialRecord record;
  record.trial.number = static_cast<int64_t>(ListTrials(id).size()) + 1;
  record.trial.scheme = *BitScheme::Parse("w1a8,w1a1,w1a1");
  record.trial.cost = {1, 1, 1};
  record.trial.floor = 1.0;
  server_.reset();
  const absl::Status written =
      Store::Open(folder_.path() / "data/mico.sqlite").value()->Write([&](StoreTransaction& into) {
        into.AddTrial(id, record, TimePoint{});
        return absl::OkStatus();
      });
  ASSERT_TRUE(written.ok()) << written;
  StartServer();

  FakeWorker other = AnnouncedWorker("b");
  EXPECT_EQ(Submit(request).job().id(), id);
  other.StepUntil([&] { return HasEnded(id); });

  job = GetJob(id);
  ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  const v1::Trial given_up = ListTrials(id)[static_cast<size_t>(record.trial.number - 1)];
  EXPECT_EQ(given_up.state(), v1::TRIAL_STATE_FINISHED);
  EXPECT_TRUE(given_up.gave_up());
  EXPECT_EQ(given_up.val().total(), other.val_samples / 2);
  EXPECT_FALSE(given_up.within_limits());
  for (const v1::Trial& trial : job.front()) EXPECT_NE(trial.number(), record.trial.number);
  // What was seen of it is no answer for anybody else.
  EXPECT_FALSE(ListTrials(id).front().gave_up());
}

TEST_F(ServiceTest, WhoGivesUpWithoutBeingAskedToIsNotBelieved) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] {
    return worker.held.has_value() && std::holds_alternative<EvaluateTask>(worker.held->task);
  });
  TaskResult result = worker.Work(worker.held->task);
  SchemeResult& first = std::get<EvaluateResult>(result.result).schemes.front();
  first.gave_up = true;
  first.score = CountScore(Metric::kTop1, 1, worker.val_samples / 2);

  ASSERT_TRUE(worker.Say(worker.ReportFinished(worker.held->lease_id, result)).ok());

  EXPECT_EQ(GetJob(id).trials_finished(), 0);
  worker.held.reset();
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE);
  for (const v1::Trial& trial : ListTrials(id)) EXPECT_FALSE(trial.gave_up());
}

TEST_F(ServiceTest, AFailedSchemeDoesNotFailTheJob) {
  FakeWorker worker = AnnouncedWorker("a");
  worker.fails = [](const Task& task) -> absl::Status {
    const auto* evaluate = std::get_if<EvaluateTask>(&task);
    if (evaluate == nullptr || evaluate->schemes[0].ToString() != "w2a8,w2a2,w2a2") {
      return absl::OkStatus();
    }
    return absl::InternalError("the evaluator broke");
  };
  options_.coordinator.trials_per_order = 1;
  RestartServer();
  FakeWorker restarted = AnnouncedWorker("b");
  restarted.fails = worker.fails;
  const std::string id = Submit(SmallJob()).job().id();
  restarted.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE);
  int failed = 0;
  for (const v1::Trial& trial : ListTrials(id)) {
    if (trial.state() != v1::TRIAL_STATE_FAILED) continue;
    ++failed;
    EXPECT_THAT(trial.error(), HasSubstr("failed 3 times, the last time: the evaluator broke"));
  }
  EXPECT_EQ(failed, 1);
}

TEST_F(ServiceTest, ResultsOfALostLeaseAreRefused) {
  FakeWorker slow = AnnouncedWorker("slow");
  const std::string id = Submit(SmallJob()).job().id();
  ASSERT_TRUE(slow.Step());
  const TaskOrder lost = *slow.held;
  clock_.Advance(options_.coordinator.queue.lease_duration);

  FakeWorker quick = AnnouncedWorker("quick");
  ASSERT_TRUE(quick.held);
  EXPECT_EQ(quick.held->task_id, lost.task_id);
  EXPECT_EQ(quick.held->attempt, 2);
  WorkerReport late = slow.ReportFinished(lost.lease_id, slow.Work(lost.task));
  late.leaving = true;
  const absl::StatusOr<WorkerOrder> answer = slow.Say(late);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->lease_lost);
  quick.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).state(), v1::JOB_STATE_DONE);
}

TEST_F(ServiceTest, ARepeatedResultIsRecordedOnceAndGetsTheSameOrder) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil(
      [&] { return worker.held && std::holds_alternative<EvaluateTask>(worker.held->task); });
  const WorkerReport report =
      worker.ReportFinished(worker.held->lease_id, worker.Work(worker.held->task));
  const absl::StatusOr<WorkerOrder> first = worker.Say(report);
  const absl::StatusOr<WorkerOrder> again = worker.Say(report);
  ASSERT_TRUE(first.ok() && again.ok());
  ASSERT_TRUE(first->order && again->order);
  EXPECT_FALSE(again->lease_lost);
  EXPECT_EQ(again->order->lease_id, first->order->lease_id);
  worker.held = again->order;
  worker.StepUntil([&] { return HasEnded(id); });
  EXPECT_EQ(GetJob(id).trials_finished(), 9);
}

TEST_F(ServiceTest, ALeavingWorkerHandsItsTaskBackUnharmed) {
  FakeWorker leaving = AnnouncedWorker("leaving");
  Submit(SmallJob());
  ASSERT_TRUE(leaving.Step());
  WorkerReport report = leaving.Report();
  report.state = Running{leaving.held->lease_id, 0.1};
  report.leaving = true;
  const absl::StatusOr<WorkerOrder> answer = leaving.Say(report);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->order);
  grpc::ClientContext context;
  v1::ListWorkersResponse workers;
  ASSERT_TRUE(exploration_->ListWorkers(&context, {}, &workers).ok());
  ASSERT_THAT(workers.workers(), SizeIs(1));
  EXPECT_FALSE(workers.workers(0).alive());

  FakeWorker next = AnnouncedWorker("next");
  ASSERT_TRUE(next.held);
  EXPECT_EQ(next.held->task_id, leaving.held->task_id);
  EXPECT_EQ(next.held->attempt, 1);
}

TEST_F(ServiceTest, AnArtifactIsOrderedOnceAndFetched) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  v1::GetArtifactResponse artifact;
  ASSERT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_PENDING);
  worker.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
    return artifact.state() != v1::ARTIFACT_STATE_PENDING;
  });
  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_READY) << artifact.error();
  EXPECT_TRUE(artifact.self_test_board());
  const v1::Job job = GetJob(id);
  EXPECT_EQ(artifact.trial().number(), job.front(job.front_size() - 1).number());
  EXPECT_EQ(Download(artifact.artifact_digest()),
            "artifact of " + artifact.trial().quantized_digest());
}

TEST_F(ServiceTest, AnArtifactOfATrialOffTheFrontMakesItsModelFirst) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob("random", 60)).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  int64_t off_front = 0;
  for (const v1::Trial& trial : ListTrials(id)) {
    if (!trial.has_test() && trial.state() == v1::TRIAL_STATE_FINISHED && !trial.probe()) {
      off_front = trial.number();
    }
  }
  ASSERT_GT(off_front, 0);
  v1::GetArtifactResponse artifact;
  worker.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(id, off_front, &artifact).ok());
    return artifact.state() != v1::ARTIFACT_STATE_PENDING;
  });
  EXPECT_EQ(artifact.state(), v1::ARTIFACT_STATE_READY) << artifact.error();
}

TEST_F(ServiceTest, ABlobWithOtherBytesThanAnnouncedIsRefused) {
  grpc::ClientContext context;
  v1::UploadResponse response;
  const auto writer = blobs_->Upload(&context, &response);
  v1::UploadRequest part;
  part.set_digest(Digest::Of("one thing").hex());
  writer->Write(part);
  part.set_chunk("another thing");
  writer->Write(part);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DATA_LOSS);

  v1::FindMissingRequest request;
  request.add_digests(Digest::Of("one thing").hex());
  grpc::ClientContext second;
  v1::FindMissingResponse missing;
  ASSERT_TRUE(blobs_->FindMissing(&second, request, &missing).ok());
  EXPECT_THAT(missing.missing(), SizeIs(1));
}

}  // namespace
}  // namespace mico
