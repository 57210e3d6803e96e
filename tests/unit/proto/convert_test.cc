#include "proto/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace mico {
namespace {

using testing::HasSubstr;

std::string Hex(const std::string& text) { return Digest::Of(text).hex(); }
std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

v1::JobSpec GoodSpec() {
  v1::JobSpec spec;
  spec.set_model_digest(Hex("m"));
  spec.set_dataset_digest(Hex("d"));
  spec.set_target("rv32imc");
  return spec;
}

TEST(Convert, SchemesSurviveTheWire) {
  const BitScheme scheme = BitScheme::Parse("w8a8,w1a2,w3a7").value();
  EXPECT_EQ(FromProto(ToProto(scheme)).value(), scheme);
}

TEST(Convert, WidthsOutsideOneToEightAreRefused) {
  for (uint32_t bits : {0u, 9u, 4'000'000'000u}) {
    v1::BitScheme message;
    message.add_layers()->set_weight_bits(bits);
    message.mutable_layers(0)->set_input_bits(8);
    EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("needed: 1-8"));
  }
}

TEST(Convert, AccuracyNeedsNoMoreCorrectThanTotal) {
  v1::Accuracy message;
  message.set_correct(3);
  message.set_total(2);
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("3 of 2"));
  message.set_correct(-1);
  EXPECT_FALSE(FromProto(message).ok());
}

TEST(Convert, ScoresOfEveryMetricSurviveTheWire) {
  const std::vector<double> errors{0.1, 0.2, 0.7};
  for (const Score& score :
       {CountScore(Metric::kTop1, 5, 9), CountScore(Metric::kTop5, 9, 9), MseScore(errors),
        AucScore(errors, std::vector<int32_t>{0, 1, 1}), Score()}) {
    EXPECT_EQ(FromProto(ToProto(score)).value(), score) << ToString(score.metric);
  }
}

TEST(Convert, OfCountsTheIntervalIsWorkedOutAndNotBelieved) {
  v1::Accuracy message;
  message.set_correct(8);
  message.set_total(10);
  message.set_value(1.0);
  EXPECT_EQ(FromProto(message).value(), CountScore(Metric::kTop1, 8, 10));
}

TEST(Convert, ValuesOutsideTheirIntervalOrRangeAreRefused) {
  v1::Accuracy good;
  good.set_total(3);
  good.set_metric("auc");
  good.set_value(0.5);
  good.set_low(0.25);
  good.set_high(1.0);
  ASSERT_TRUE(FromProto(good).ok());
  v1::Accuracy message = good;
  message.set_value(std::nan(""));
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("accuracy: auc nan"));
  message = good;
  message.set_low(0.75);
  EXPECT_FALSE(FromProto(message).ok());
  message = good;
  message.set_high(1.5);
  EXPECT_FALSE(FromProto(message).ok());
  message.set_metric("mse");
  EXPECT_TRUE(FromProto(message).ok());
  message.set_high(INFINITY);
  EXPECT_FALSE(FromProto(message).ok());
  message.set_metric("f1");
  EXPECT_THAT(MessageOf(FromProto(message).status()),
              HasSubstr("accuracy.metric: 'f1'; needed: top1, top5, mse or auc"));
}

TEST(Convert, TargetsSurviveTheWire) {
  Target target;
  target.name = "t";
  target.isa = "c99";
  target.counts = CounterKind::kInstructions;
  target.weight_bits = {8, 2};
  target.has_board = true;
  EXPECT_EQ(FromProto(ToProto(target)).value(), target);
}

TEST(Convert, TasksOfEveryKindSurviveTheWire) {
  const Digest m = Digest::Of("m"), d = Digest::Of("d"), c = Digest::Of("c");
  const BitScheme scheme = BitScheme::Parse("w8a8,w4a4").value();
  const std::vector<Task> tasks{
      CalibrateTask{m, d, 256, 7, Metric::kAuc},
      ProfileTask{"t", "key", {"conv one", "conv two"}},
      EvaluateTask{m, d, c, Split::kTest, 12, {scheme, scheme}, true, Metric::kTop5},
      EvaluateTask{m, d, c, Split::kVal, 0, {scheme}, false, Metric::kTop1, 8, 0.75, 3, {m, c}},
      ReconstructTask{m, d, c, {2, 4}, 1024, 7},
      ArtifactTask{m,
                   m,
                   d,
                   "t",
                   scheme,
                   CountScore(Metric::kTop1, 1, 2),
                   MseScore(std::vector<double>{3.0, 4.0}),
                   {5, 6, 7}},
      ConvertTask{m, {3, 32, 32}},
      TrainTask{m,
                d,
                c,
                scheme,
                {m, c},
                d,
                m,
                {0.5, 30.0, Optimizer::kSgd, Augmentation::kShiftAndFlip},
                Metric::kAuc,
                7},
      TrainTask{m, d, c, scheme, {}, {}, {}, {20.0}}};
  for (const Task& task : tasks) {
    SCOPED_TRACE(std::string(KindOf(task)));
    const absl::StatusOr<TaskOrder> order = FromProto(ToProto(TaskOrder{"l", "9", 2, task}));
    ASSERT_TRUE(order.ok()) << order.status();
    EXPECT_EQ(order->task, task);
    EXPECT_EQ(order->lease_id, "l");
    EXPECT_EQ(order->attempt, 2);
  }
}

TEST(Convert, InputShapesAreBounded) {
  v1::TaskOrder order = ToProto(TaskOrder{"l", "9", 1, ConvertTask{Digest::Of("m"), {3, 32, 32}}});
  auto& shape = *order.mutable_convert()->mutable_input_shape();
  ASSERT_TRUE(FromProto(order).ok());
  shape.Set(1, 0);
  EXPECT_THAT(MessageOf(FromProto(order).status()), HasSubstr("convert.input_shape: 0"));
  shape.Set(1, int64_t{1} << 40);
  EXPECT_FALSE(FromProto(order).ok());
  shape.Set(1, 32);
  shape.Add(1);
  EXPECT_THAT(MessageOf(FromProto(order).status()), HasSubstr("4 extents"));
  shape.Clear();
  EXPECT_FALSE(FromProto(order).ok());
}

TEST(Convert, ReportsSurviveTheWire) {
  WorkerReport report;
  report.worker_id = "w";
  report.state = Running{"lease", 0.5, Digest::Of("checkpoint")};
  report.converts = true;
  report.leaving = true;
  const absl::StatusOr<WorkerReport> back = FromProto(ToProto(report));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(std::get<Running>(back->state).progress, 0.5);
  EXPECT_EQ(std::get<Running>(back->state).checkpoint, Digest::Of("checkpoint"));
  EXPECT_TRUE(back->converts);
  EXPECT_TRUE(back->leaving);
}

TEST(Convert, ErrorsOfTasksKeepCodeAndText) {
  const TaskResult result{absl::ResourceExhaustedError("too large"), {}};
  const absl::StatusOr<TaskResult> back = FromProto(ToProto(result));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->status, result.status);
}

TEST(Convert, AReportWithoutStateOrNameIsRefused) {
  v1::SynchronizeRequest message;
  message.mutable_idle();
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("worker_id: empty"));
  message.clear_idle();
  message.set_worker_id("w");
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("one of idle, running, finished"));
}

TEST(Convert, ResultsThatAreNotNumbersAreRefused) {
  v1::TaskResult message;
  message.mutable_evaluate()->add_schemes()->set_kl(std::nan(""));
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("schemes.kl"));
}

TEST(Convert, ReconstructionsOfWidthsThatAreNoneAreRefused) {
  const Digest d = Digest::Of("d");
  const auto refusal = [&](const LayerBits& bits) {
    const TaskOrder order{"l", "9", 1, ReconstructTask{d, d, d, bits, 1024, 7}};
    return MessageOf(FromProto(ToProto(order)).status());
  };
  EXPECT_THAT(refusal({0, 4}), HasSubstr("reconstruct.bits: w0a4"));
  EXPECT_THAT(refusal({4, 9}), HasSubstr("reconstruct.bits: w4a9"));
}

v1::TaskOrder TrainOrder() {
  const Digest d = Digest::Of("d");
  return ToProto(TaskOrder{
      "l", "9", 1, TrainTask{d, d, d, BitScheme::Parse("w2a2").value(), {}, {}, {}, {20.0}}});
}

TEST(Convert, TrainingsWithoutAnEndOrOfAnUnknownKindAreRefused) {
  ASSERT_TRUE(FromProto(TrainOrder()).ok());
  const auto refusal = [](const auto& spoil) {
    v1::TaskOrder order = TrainOrder();
    spoil(*order.mutable_train());
    return MessageOf(FromProto(order).status());
  };
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.clear_recipe(); }),
              HasSubstr("train.recipe: neither epochs nor minutes"));
  for (const double epochs : {-1.0, std::nan(""), double{INFINITY}, 10'001.0}) {
    EXPECT_THAT(refusal([&](v1::TrainTask& task) { task.mutable_recipe()->set_epochs(epochs); }),
                HasSubstr("train.recipe.epochs"));
  }
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.mutable_recipe()->set_minutes(1e6); }),
              HasSubstr("train.recipe.minutes"));
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.mutable_recipe()->set_optimizer("lion"); }),
              HasSubstr("train.recipe.optimizer: 'lion'; needed: adamw or sgd"));
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.mutable_recipe()->set_augmentation("cut"); }),
              HasSubstr("train.recipe.augmentation: 'cut'"));
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.set_checkpoint_digest("abc"); }),
              HasSubstr("train.checkpoint_digest: 'abc'"));
  EXPECT_THAT(refusal([](v1::TrainTask& task) { task.set_warm_start_digest("abc"); }),
              HasSubstr("train.warm_start_digest: 'abc'"));
  EXPECT_THAT(refusal([](v1::TrainTask& task) {
                for (int i = 0; i < 65; ++i) task.add_reconstruction_digests(Hex("d"));
              }),
              HasSubstr("train.reconstruction_digests: 65 entries"));
}

TEST(Convert, WhatWasTrainedSurvivesTheWireAndIsChecked) {
  const TrainResult trained{Digest::Of("r"), Digest::Of("s"), 1.5,
                            std::chrono::milliseconds(90'000)};
  const v1::TaskResult good = ToProto(TaskResult{absl::OkStatus(), trained});
  const TaskResult result = FromProto(good).value();
  const auto& back = std::get<TrainResult>(result.result);
  EXPECT_EQ(back.reconstruction, trained.reconstruction);
  EXPECT_EQ(back.state, trained.state);
  EXPECT_EQ(back.epochs, trained.epochs);
  EXPECT_EQ(back.duration, trained.duration);

  v1::TaskResult message = good;
  message.mutable_train()->clear_state_digest();
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("train.state_digest"));
  message = good;
  message.mutable_train()->set_epochs(INFINITY);
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("train.epochs: inf"));
  message = good;
  message.mutable_train()->set_duration_ms(-1);
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("train.duration_ms"));
}

TEST(Convert, ACheckpointIsADigestOrNone) {
  v1::SynchronizeRequest message;
  message.set_worker_id("w");
  message.mutable_running()->set_lease_id("lease");
  EXPECT_TRUE(std::get<Running>(FromProto(message)->state).checkpoint.empty());
  message.mutable_running()->set_checkpoint_digest("abc");
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("running.checkpoint_digest"));
}

TEST(Convert, SpecsSayWhichSchemesAreTrainedAndHow) {
  v1::JobSpec message = GoodSpec();
  message.set_qat("top:3");
  EXPECT_EQ(FromProto(message)->qat, (QatSpec{QatMode::kTop, 3, {20.0}})) << "20 epochs by default";
  message.set_qat_minutes(0.5);
  message.set_qat_optimizer("sgd");
  message.set_qat_augmentation("none");
  const JobSpec spec = FromProto(message).value();
  EXPECT_EQ(spec.qat,
            (QatSpec{QatMode::kTop, 3, {0.0, 0.5, Optimizer::kSgd, Augmentation::kNone}}));
  EXPECT_EQ(FromProto(ToProto(spec)).value(), spec);
  message.set_qat("all");
  EXPECT_EQ(FromProto(message)->qat.mode, QatMode::kAll);
  message.set_qat_epochs(-0.0);
  EXPECT_FALSE(std::signbit(FromProto(message)->qat.recipe.epochs)) << "another text, another job";
}

TEST(Convert, WhatIsNoWayToTrainIsRefusedByName) {
  const auto refusal = [](const auto& spoil) {
    v1::JobSpec spec = GoodSpec();
    spec.set_qat("all");
    spoil(spec);
    return MessageOf(FromProto(spec).status());
  };
  for (const char* qat : {"top:0", "top:x", "top:", "top:-1", "top:10001", "top:3 "}) {
    EXPECT_THAT(refusal([&](v1::JobSpec& spec) { spec.set_qat(qat); }),
                HasSubstr("needed: top:K with K from 1 to 10000"))
        << qat;
  }
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat("some"); }),
              HasSubstr("spec.qat: 'some'; needed: none, all or top:K"));
  for (const double epochs : {-1.0, std::nan(""), double{INFINITY}, 10'000.5}) {
    EXPECT_THAT(refusal([&](v1::JobSpec& spec) { spec.set_qat_epochs(epochs); }),
                HasSubstr("spec.qat_epochs"));
    EXPECT_THAT(refusal([&](v1::JobSpec& spec) { spec.set_qat_minutes(2.0 * epochs); }),
                HasSubstr("spec.qat_minutes"));
  }
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat_optimizer("lion"); }),
              HasSubstr("spec.qat_optimizer: 'lion'"));
  EXPECT_THAT(refusal([](v1::JobSpec& spec) { spec.set_qat_augmentation("cut"); }),
              HasSubstr("spec.qat_augmentation: 'cut'"));
}

// Jobs of before there was training keep their ids.
TEST(Convert, WithoutTrainingNothingIsWrittenAndNoRecipeIsTaken) {
  v1::JobSpec message = GoodSpec();
  message.set_qat("none");
  const JobSpec spec = FromProto(message).value();
  EXPECT_EQ(SerializeDeterministically(ToProto(spec)),
            SerializeDeterministically(ToProto(FromProto(GoodSpec()).value())));
  EXPECT_EQ(ToProto(spec).qat(), "");

  message.set_qat_epochs(5);
  EXPECT_THAT(MessageOf(FromProto(message).status()),
              HasSubstr("spec.qat_epochs: 5 without training; needed: spec.qat, all or top:K"));
  message.clear_qat_epochs();
  message.set_qat_minutes(5);
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("spec.qat_minutes"));
  message.clear_qat_minutes();
  message.set_qat_optimizer("sgd");
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("spec.qat_optimizer"));
  message.clear_qat_optimizer();
  message.set_qat_augmentation("none");
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("spec.qat_augmentation"));
}

TEST(Convert, SpecsGetTheirDefaults) {
  const absl::StatusOr<JobSpec> spec = FromProto(GoodSpec());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->strategy, "sensitivity");
  EXPECT_EQ(spec->ptq, PtqMode::kFast);
  EXPECT_EQ(spec->qat, QatSpec());
  EXPECT_EQ(spec->trials, 64);
  EXPECT_EQ(spec->calibration_samples, 256);
  EXPECT_EQ(FromProto(ToProto(*spec)).value(), *spec);
}

TEST(Convert, LimitsMustBePositiveNumbersOfTheRightKind) {
  v1::JobSpec spec = GoodSpec();
  spec.mutable_limits()->mutable_max_ram()->set_absolute(-1);
  EXPECT_THAT(MessageOf(FromProto(spec).status()), HasSubstr("limits.max_ram: -1"));
  spec.mutable_limits()->mutable_max_ram()->set_absolute_seconds(1);
  EXPECT_THAT(MessageOf(FromProto(spec).status()), HasSubstr("limits.max_ram: a time"));
  spec.mutable_limits()->mutable_max_ram()->set_relative(0.5);
  spec.mutable_limits()->mutable_min_accuracy()->set_absolute(90);
  EXPECT_THAT(MessageOf(FromProto(spec).status()), HasSubstr("limits.min_accuracy: 90"));
}

// Jobs of before there were several metrics keep their ids, and their stored tasks their bytes.
TEST(Convert, TheDefaultMetricIsNotWritten) {
  v1::JobSpec message = GoodSpec();
  message.set_metric("top1");
  const JobSpec spec = FromProto(message).value();
  EXPECT_EQ(spec, FromProto(GoodSpec()).value());
  EXPECT_EQ(ToProto(spec).metric(), "");
  message.set_metric("top5");
  EXPECT_EQ(ToProto(FromProto(message).value()).metric(), "top5");
}

TEST(Convert, AnUnknownMetricIsAnsweredWithTheKnownOnes) {
  v1::JobSpec spec = GoodSpec();
  spec.set_metric("f1");
  EXPECT_EQ(MessageOf(FromProto(spec).status()),
            "spec.metric: 'f1'; needed: top1, top5, mse or auc");
}

TEST(Convert, ALimitSuitsItsMetric) {
  v1::JobSpec spec = GoodSpec();
  spec.set_metric("mse");
  spec.mutable_limits()->mutable_min_accuracy()->set_absolute(0.9);
  EXPECT_THAT(MessageOf(FromProto(spec).status()),
              HasSubstr("limits.min_accuracy: with metric mse; needed: max_error"));
  spec.mutable_limits()->clear_min_accuracy();
  spec.mutable_limits()->mutable_max_error()->set_absolute(17.5);
  const JobSpec read = FromProto(spec).value();
  EXPECT_EQ(FromProto(ToProto(read)).value(), read);
  spec.set_metric("auc");
  EXPECT_THAT(MessageOf(FromProto(spec).status()),
              HasSubstr("limits.max_error: with metric auc; needed: min_accuracy"));
}

TEST(Convert, DigestsMustBeWhole) {
  v1::JobSpec spec = GoodSpec();
  spec.set_model_digest("abc");
  EXPECT_THAT(MessageOf(FromProto(spec).status()), HasSubstr("spec.model_digest: 'abc'"));
}

TEST(Convert, EqualMessagesGiveEqualBytes) {
  EXPECT_EQ(SerializeDeterministically(GoodSpec()), SerializeDeterministically(GoodSpec()));
}

TEST(Convert, StatusCodesAreTheSameOnBothSides) {
  const absl::Status status = absl::FailedPreconditionError("not yet");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
}

TEST(Convert, HealthSurvivesTheWire) {
  WorkerReport report;
  report.worker_id = "w1";
  report.state = Idle{};
  report.checks = {
      {"memory", Check::State::kWarning, "little", "free -h", std::chrono::milliseconds(5)}};
  report.target_health = {{"rv32imc",
                           "no compiler",
                           "no board",
                           {{"compiler", Check::State::kFault, "none", "apt-get install x", {}},
                            {"runs", Check::State::kUnknown, "", "", {}}}}};

  const WorkerReport back = FromProto(ToProto(report)).value();

  ASSERT_EQ(back.checks.size(), 1u);
  EXPECT_EQ(back.checks[0].name, "memory");
  EXPECT_EQ(back.checks[0].state, Check::State::kWarning);
  EXPECT_EQ(back.checks[0].found, "little");
  EXPECT_EQ(back.checks[0].remedy, "free -h");
  EXPECT_EQ(back.checks[0].age, std::chrono::milliseconds(5));
  ASSERT_EQ(back.target_health.size(), 1u);
  EXPECT_EQ(back.target_health[0].target, "rv32imc");
  EXPECT_EQ(back.target_health[0].cannot_compile, "no compiler");
  EXPECT_EQ(back.target_health[0].cannot_run, "no board");
  EXPECT_EQ(back.target_health[0].checks[0].state, Check::State::kFault);
  EXPECT_EQ(back.target_health[0].checks[1].state, Check::State::kUnknown);
}

TEST(Convert, MoreHealthThanAnybodyHasIsRefused) {
  WorkerReport report;
  report.worker_id = "w1";
  report.state = Idle{};
  v1::SynchronizeRequest message = ToProto(report);
  for (int i = 0; i < 101; ++i) message.add_checks()->set_name("x");
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("at most 100"));

  message = ToProto(report);
  message.add_checks()->set_found(std::string(5'000, 'x'));
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("check.found"));
  message = ToProto(report);
  message.add_checks()->set_age_ms(-1);
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("check.age_ms"));
  message = ToProto(report);
  message.add_target_health();
  EXPECT_THAT(MessageOf(FromProto(message).status()), HasSubstr("target_health.target"));
}

// A string that is not UTF-8 does not parse: the report would be sent again for ever.
TEST(Convert, WhatABoardOrACompilerSaidTravelsWhateverItsBytes) {
  const std::string said = "board: \xff\xfe\x1b[2J" + std::string(100'000, 'x');
  const TaskResult failed{absl::DataLossError(said), {}};

  v1::TaskResult message;
  ASSERT_TRUE(message.ParseFromString(ToProto(failed).SerializeAsString()));
  const absl::StatusOr<TaskResult> back = FromProto(message);

  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(MessageOf(back->status), testing::StartsWith("board: ??\x1b[2Jxxx"));
  EXPECT_EQ(back->status.message().size(), 64'000u);
}

TEST(Convert, NamesHaveNoControlCharacters) {
  for (const char* evil : {"a\x1b[2J", "a\nb", "a\x7f", "a\xc2\x9b", "\xe2\x80\xae"}) {
    v1::JobSpec spec = GoodSpec();
    spec.set_model_name(evil);
    EXPECT_THAT(MessageOf(FromProto(spec).status()),
                testing::AllOf(HasSubstr("spec.model_name"), HasSubstr("control characters")));
    spec = GoodSpec();
    spec.set_target(evil);
    EXPECT_THAT(MessageOf(FromProto(spec).status()), HasSubstr("spec.target"));
    v1::Target target;
    target.set_name(evil);
    EXPECT_THAT(MessageOf(FromProto(target).status()), HasSubstr("target.name"));
    v1::SynchronizeRequest request;
    request.set_worker_id("w");
    request.set_worker_name(evil);
    EXPECT_THAT(MessageOf(FromProto(request).status()), HasSubstr("worker_name"));
  }
}

}  // namespace
}  // namespace mico
