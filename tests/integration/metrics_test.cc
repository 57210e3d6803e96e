// Every metric from the submit to the artifact's order, and what is refused at the submit.
#include <algorithm>

#include "proto/convert.h"
#include "search/strategy.h"
#include "tests/integration/service.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

class MetricsTest : public ServiceTest {
 protected:
  v1::SubmitJobRequest AnomalyJob(const std::string& metric,
                                  const std::string& strategy = "uniform") {
    v1::SubmitJobRequest request = SmallJob(strategy);
    request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, SmallAutoencoder())->hex());
    request.mutable_spec()->set_dataset_digest(UploadBlob(*blobs_, SmallData(2))->hex());
    request.mutable_spec()->set_metric(metric);
    return request;
  }
  v1::Job RunToEnd(const v1::SubmitJobRequest& request, FakeWorker& worker) {
    const std::string id = Submit(request).job().id();
    worker.StepUntil([&] { return HasEnded(id); });
    return GetJob(id);
  }
  std::string Refusal(const v1::SubmitJobRequest& request) {
    v1::SubmitJobResponse response;
    const grpc::Status status = TrySubmit(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    return status.error_message();
  }
};

TEST_F(MetricsTest, AnErrorFallsAlongTheFrontAndTheBestHasTheLeast) {
  FakeWorker worker = AnnouncedWorker("a");
  for (const std::string& strategy : StrategyNames()) {
    SCOPED_TRACE(strategy);
    const v1::Job job = RunToEnd(AnomalyJob("mse", strategy), worker);
    ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
    ASSERT_GE(job.front_size(), 2);
    for (int i = 0; i < job.front_size(); ++i) {
      const v1::Trial& trial = job.front(i);
      EXPECT_EQ(trial.val().metric(), "mse");
      EXPECT_EQ(trial.val().total(), worker.val_samples);
      EXPECT_EQ(trial.test().total(), worker.test_samples);
      EXPECT_EQ(FromProto(trial.val()).value(),
                FakeScore(FromProto(trial.scheme()).value(), worker.val_samples, Metric::kMse));
      EXPECT_LT(trial.val().low(), trial.val().value());
      EXPECT_GT(trial.val().high(), trial.val().value());
      if (i > 0) EXPECT_LT(trial.val().value(), job.front(i - 1).val().value());
    }
    EXPECT_EQ(job.float_val().metric(), "mse");
    EXPECT_GT(job.hypervolume(), 0.0);
    v1::GetArtifactResponse artifact;
    ASSERT_TRUE(TryGetArtifact(job.id(), 0, &artifact).ok());
    EXPECT_EQ(artifact.trial().number(), job.front(job.front_size() - 1).number());
  }
}

TEST_F(MetricsTest, ALimitOnTheErrorHoldsOnTheFront) {
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = AnomalyJob("mse");
  request.mutable_spec()->mutable_limits()->mutable_max_error()->set_relative(3.0);
  const v1::Job job = RunToEnd(request, worker);
  ASSERT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  const v1::Trial& uniform8 = job.uniform(0);
  ASSERT_EQ(uniform8.label(), "uniform w8a8");
  EXPECT_DOUBLE_EQ(job.resolved_max_error(), 3.0 * uniform8.val().value());
  for (const v1::Trial& trial : job.front()) {
    EXPECT_LE(trial.val().value(), job.resolved_max_error());
  }
  for (const v1::Trial& trial : ListTrials(job.id())) {
    EXPECT_EQ(trial.within_limits(), trial.val().value() <= job.resolved_max_error());
  }

  request.mutable_spec()->mutable_limits()->mutable_max_error()->set_absolute(1e-6);
  const v1::Job nothing = RunToEnd(request, worker);
  EXPECT_EQ(nothing.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(nothing.error(), HasSubstr("mse "));
  EXPECT_THAT(nothing.error(), HasSubstr("(at most 1e-06)"));
}

TEST_F(MetricsTest, EachMetricIsAJobOfItsOwnWithScoresOfItsOwn) {
  FakeWorker worker = AnnouncedWorker("a");
  const v1::Job mse = RunToEnd(AnomalyJob("mse"), worker);
  const v1::Job auc = RunToEnd(AnomalyJob("auc"), worker);
  EXPECT_NE(mse.id(), auc.id());
  EXPECT_EQ(auc.spec().metric(), "auc");
  EXPECT_EQ(auc.float_val().metric(), "auc");
  EXPECT_EQ(mse.float_val().metric(), "mse");
  ASSERT_GT(auc.front_size(), 0);
  EXPECT_EQ(auc.front(0).test().metric(), "auc");
  EXPECT_GT(auc.hypervolume(), 0.0);
  EXPECT_LT(auc.hypervolume(), 0.5);
}

TEST_F(MetricsTest, TheDefaultAndTop1AreOneJob) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  const std::string id = Submit(request).job().id();
  request.mutable_spec()->set_metric("top1");
  const v1::SubmitJobResponse again = Submit(request);
  EXPECT_TRUE(again.existed());
  EXPECT_EQ(again.job().id(), id);
  EXPECT_EQ(GetJob(id).spec().metric(), "top1") << "people see which one";
}

TEST_F(MetricsTest, ScoresAreThereAfterARestart) {
  FakeWorker worker = AnnouncedWorker("a");
  const v1::Job before = RunToEnd(AnomalyJob("auc"), worker);
  RestartServer();
  const v1::Job after = GetJob(before.id());
  ASSERT_EQ(after.front_size(), before.front_size());
  for (int i = 0; i < after.front_size(); ++i) {
    EXPECT_EQ(after.front(i).SerializeAsString(), before.front(i).SerializeAsString());
  }
  EXPECT_EQ(after.float_test().SerializeAsString(), before.float_test().SerializeAsString());
}

TEST_F(MetricsTest, APreviewSaysTheMetric) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = AnomalyJob("auc");
  request.set_validate_only(true);
  EXPECT_EQ(Submit(request).preview().metric(), "auc");
  request = SmallJob();
  request.set_validate_only(true);
  EXPECT_EQ(Submit(request).preview().metric(), "top1");
}

TEST_F(MetricsTest, WhatDoesNotSuitTheMetricIsRefusedAtTheSubmit) {
  AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob();
  for (const auto& [metric, message] :
       {std::pair("f1", "spec.metric: 'f1'; needed: top1, top5, mse or auc"),
        std::pair("top5", "3 classes; metric top5 needs at least 5"),
        std::pair("mse", "metric mse: the network turns 1x4x4 into 3x1x1"),
        std::pair("auc", "labels up to 2; metric auc needs labels 0 (normal) and 1 (anomaly)")}) {
    request.mutable_spec()->set_metric(metric);
    EXPECT_THAT(Refusal(request), HasSubstr(message));
  }
  request = AnomalyJob("auc");
  request.mutable_spec()->set_dataset_digest(UploadBlob(*blobs_, SmallData(1))->hex());
  EXPECT_THAT(Refusal(request), HasSubstr("val has 40 samples labelled 0 and 0 labelled 1"));
  request = AnomalyJob("mse");
  request.mutable_spec()->mutable_limits()->mutable_min_accuracy()->set_absolute(0.9);
  EXPECT_THAT(Refusal(request), HasSubstr("limits.min_accuracy: with metric mse"));
}

TEST_F(MetricsTest, AWorkerThatAnswersWithAnotherMetricIsNotBelieved) {
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(AnomalyJob("mse")).job().id();
  worker.StepUntil(
      [&] { return worker.held && std::holds_alternative<EvaluateTask>(worker.held->task); });
  TaskOrder order = *worker.held;
  EvaluateTask wrong = std::get<EvaluateTask>(order.task);
  wrong.metric = Metric::kTop1;
  ASSERT_TRUE(worker.Say(worker.ReportFinished(order.lease_id, worker.Work(wrong))).ok());
  for (const v1::Trial& trial : ListTrials(id)) {
    EXPECT_NE(trial.state(), v1::TRIAL_STATE_FINISHED);
  }
}

}  // namespace
}  // namespace mico
