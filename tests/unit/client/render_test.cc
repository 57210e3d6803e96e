#include "client/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_split.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

v1::Trial MakeTrial(int64_t number, int64_t latency, int64_t correct,
                    const std::vector<std::pair<uint32_t, uint32_t>>& widths) {
  v1::Trial trial;
  trial.set_number(number);
  trial.mutable_cost()->set_latency_cycles(latency);
  trial.mutable_cost()->set_peak_ram_bytes(12595);
  trial.mutable_cost()->set_flash_bytes(2048);
  trial.mutable_val()->set_correct(correct);
  trial.mutable_val()->set_total(1000);
  for (const auto& [weight_bits, input_bits] : widths) {
    v1::LayerBits* layer = trial.mutable_scheme()->add_layers();
    layer->set_weight_bits(weight_bits);
    layer->set_input_bits(input_bits);
  }
  return trial;
}

// Two points on the front, one of them uniform, and uniform 8 bit beside it.
v1::Job MakeJob() {
  v1::Job job;
  job.set_id("4f1c22aa");
  job.set_state(v1::JOB_STATE_SEARCHING);
  job.mutable_spec()->set_trials(64);
  job.mutable_target_info()->set_counts("instructions");
  *job.add_front() = MakeTrial(7, 500'000, 880, {{4, 8}, {2, 4}});
  *job.add_front() = MakeTrial(2, 600'000, 900, {{4, 4}, {4, 4}});
  job.mutable_front(1)->set_label("uniform w4a4");
  *job.add_uniform() = MakeTrial(1, 1'000'000, 910, {{8, 8}, {8, 8}});
  job.mutable_uniform(0)->set_label("uniform w8a8");
  *job.add_uniform() = job.front(1);
  return job;
}

v1::Job MakeJobWithFrontOf(int points) {
  v1::Job job = MakeJob();
  job.clear_front();
  for (int i = 0; i < points; ++i) {
    *job.add_front() = MakeTrial(100 + i, 500'000 + i, 800 + i, {{4, 8}, {2, 4}});
  }
  return job;
}

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(ProgressLineTest, ShowsStateProgressRateAndTimeLeft) {
  v1::Job job = MakeJob();
  job.set_trials_spent(12.25);
  job.set_trials_per_second(1.5);
  job.set_seconds_left(200);
  job.set_phase("evaluating\n4 schemes");

  EXPECT_EQ(ProgressLine(job),
            "4f1c22aa searching  12.2/64 trials  front 2  1.50/s  left 3m 20s  "
            "evaluating 4 schemes");
}

TEST(ProgressLineTest, WhatIsNotKnownIsNotShown) {
  v1::Job job;
  job.set_id("4f1c22aa");
  job.set_state(v1::JOB_STATE_PREPARING);

  EXPECT_EQ(ProgressLine(job), "4f1c22aa preparing  front 0");
}

TEST(RenderFrontTest, IsATableOfTheFrontAndThenTheUniformNetworks) {
  EXPECT_EQ(RenderFront(MakeJob(), OutputFormat::kTable),
            "trial  network         instructions  vs 8 bit  val top1       test top1  RAM       "
            "flash    weights  inputs\n"
            "7      front           500,000       0.50x     88.00 % ±2.02  -          12.3 KiB  "
            "2.0 KiB  42       84\n"
            "2      uniform w4a4 *  600,000       0.60x     90.00 % ±1.86  -          12.3 KiB  "
            "2.0 KiB  44       44\n"
            "1      uniform w8a8    1,000,000     1.00x     91.00 % ±1.78  -          12.3 KiB  "
            "2.0 KiB  88       88\n"
            "* a uniform network on the front\n");
}

TEST(RenderFrontTest, CsvHasExactNumbersAndWidthsThatNoSpreadsheetTakesForOne) {
  v1::Job job = MakeJob();
  job.mutable_front(0)->mutable_test()->set_correct(877);
  job.mutable_front(0)->mutable_test()->set_total(1000);

  EXPECT_EQ(RenderFront(job, OutputFormat::kCsv),
            "trial,network,front,latency,counts,latency_vs_uniform8,val,test,ram_bytes,flash_bytes,"
            "weight_bits,input_bits,metric,val_low,val_high,test_low,test_high\n"
            "7,,yes,500000,instructions,0.500000,0.880000,0.877000,12595,2048,4 2,8 4,"
            "top1,0.858391,0.898701,0.855189,0.895926\n"
            "2,uniform w4a4,yes,600000,instructions,0.600000,0.900000,,12595,2048,4 4,4 4,"
            "top1,0.879848,0.917091,,\n"
            "1,uniform w8a8,no,1000000,instructions,1.000000,0.910000,,12595,2048,8 8,8 8,"
            "top1,0.890658,0.926204,,\n");
}

TEST(RenderFrontTest, WhereTrialsWereTrainedTheTableSaysWhich) {
  v1::Job job = MakeJob();
  job.mutable_front(0)->set_trained(true);
  job.mutable_front(0)->set_trained_from(5);
  job.mutable_front(1)->set_trained(true);

  EXPECT_EQ(RenderFront(job, OutputFormat::kTable),
            "trial  network         instructions  vs 8 bit  val top1       test top1  RAM       "
            "flash    weights  inputs  qat\n"
            "7      front           500,000       0.50x     88.00 % ±2.02  -          12.3 KiB  "
            "2.0 KiB  42       84      of 5\n"
            "2      uniform w4a4 *  600,000       0.60x     90.00 % ±1.86  -          12.3 KiB  "
            "2.0 KiB  44       44      yes\n"
            "1      uniform w8a8    1,000,000     1.00x     91.00 % ±1.78  -          12.3 KiB  "
            "2.0 KiB  88       88      -\n"
            "* a uniform network on the front\n");
  const std::string csv = RenderFront(job, OutputFormat::kCsv);
  EXPECT_THAT(csv, HasSubstr("test_high,qat,qat_of\n"));
  EXPECT_THAT(csv, HasSubstr("0.898701,,,yes,5\n"));
  EXPECT_THAT(csv, HasSubstr("0.917091,,,yes,\n"));
  EXPECT_THAT(csv, EndsWith("0.926204,,,no,\n"));
}

TEST(RenderJobTest, SaysHowRanksBeforeAndAfterTrainingAgree) {
  v1::Job job = MakeJob();
  EXPECT_THAT(RenderJob(job), Not(HasSubstr("qat")));
  job.set_qat_rank_correlation(0.75);
  job.set_qat_pairs(8);
  EXPECT_THAT(
      RenderJob(job),
      HasSubstr("qat: values before and after training correlate 0.750 (ranks of 8 schemes)\n"));
}

void SetValue(v1::Accuracy* score, const std::string& metric, double value, double half) {
  score->Clear();
  score->set_total(1000);
  score->set_metric(metric);
  score->set_value(value);
  score->set_low(value - half);
  score->set_high(value + half);
}

// The same job, judged by `metric`; its three points have these values.
v1::Job MakeJobOf(const std::string& metric, double fastest, double middle, double slowest) {
  v1::Job job = MakeJob();
  job.mutable_spec()->set_metric(metric);
  SetValue(job.mutable_front(0)->mutable_val(), metric, fastest, 0.001);
  SetValue(job.mutable_front(1)->mutable_val(), metric, middle, 0.001);
  SetValue(job.mutable_uniform(0)->mutable_val(), metric, slowest, 0.001);
  *job.mutable_uniform(1) = job.front(1);
  return job;
}

TEST(RenderFrontTest, ErrorsHaveFourDigitsAndTheirInterval) {
  v1::Job job = MakeJobOf("mse", 0.0123456, 0.0111111, 0.01);
  SetValue(job.mutable_front(0)->mutable_test(), "mse", 0.0130004, 0.00252);

  EXPECT_THAT(RenderFront(job, OutputFormat::kTable),
              AllOf(HasSubstr("val mse         test mse"),
                    HasSubstr("0.50x     0.01235 ±0.001  0.013 ±0.0025")));
  EXPECT_THAT(RenderFront(job, OutputFormat::kCsv),
              HasSubstr(",0.0123456,0.0130004,12595,2048,4 2,8 4,mse,0.0113456,0.0133456,0.0104804,"
                        "0.0155204\n"));
}

TEST(RenderFrontTest, AnAreaUnderTheCurveIsNoPercentage) {
  EXPECT_THAT(RenderFront(MakeJobOf("auc", 0.9, 0.92, 0.95), OutputFormat::kTable),
              AllOf(HasSubstr("val auc"), HasSubstr("0.9000 ±0.0010")));
}

TEST(RenderFrontTest, WhatCannotBeAScoreIsNone) {
  v1::Job job = MakeJob();
  job.mutable_front(0)->mutable_val()->set_correct(2000);
  EXPECT_THAT(RenderFront(job, OutputFormat::kTable), HasSubstr("0.50x     -"));
}

TEST(RenderFrontTest, AWidthThatCannotBeNeverShiftsTheOthers) {
  v1::Job job;
  *job.add_front() = MakeTrial(1, 1, 1, {{8, 8}, {16, 0}, {4, 4}});

  EXPECT_THAT(RenderFront(job, OutputFormat::kTable), EndsWith("8?4      8?4\n"));
}

TEST(RenderFrontTest, WithoutUniformEightThereIsNoComparison) {
  v1::Job job = MakeJob();
  job.clear_uniform();

  EXPECT_THAT(RenderFront(job, OutputFormat::kTable), Not(HasSubstr("0.50x")));
}

TEST(RenderFrontTest, ALongFrontIsThinnedEvenlyAndSaysSo) {
  const std::string text = RenderFront(MakeJobWithFrontOf(21), OutputFormat::kTable, 5);

  std::vector<std::string> trials;
  for (const auto line : absl::StrSplit(text, '\n')) {
    if (line.substr(0, 1) == "1") trials.emplace_back(line.substr(0, 3));
  }
  EXPECT_THAT(trials, ElementsAre("100", "105", "110", "115", "120"));
  EXPECT_THAT(text, EndsWith("5 of 23 rows; all: mico-cli front 4f1c22aa\n"));
}

TEST(RenderFrontTest, CsvIsNeverThinned) {
  EXPECT_EQ(Lines(RenderFront(MakeJobWithFrontOf(21), OutputFormat::kCsv, 5)), 24u);
}

TEST(RenderChartTest, TheFastestIsLeftAndTheMostAccurateOnTop) {
  EXPECT_EQ(RenderChart(MakeJob(), 11, 4),
            " 91.00 % |          u\n"
            " 90.00 % |  o        \n"
            " 89.00 % |           \n"
            " 88.00 % |o          \n"
            "         +-----------\n"
            "          500,000 1,000,000 instructions\n"
            "          o front   u uniform   up: better top1 on val\n");
}

TEST(RenderChartTest, TheSmallestErrorIsOnTop) {
  EXPECT_EQ(RenderChart(MakeJobOf("mse", 0.4, 0.02, 0.01), 11, 4),
            "    0.01 |          u\n"
            "   0.015 |           \n"
            "    0.02 |  o        \n"
            "   worse |o          \n"
            "         +-----------\n"
            "          500,000 1,000,000 instructions\n"
            "          o front   u uniform   up: better mse on val\n");
}

TEST(RenderChartTest, PointsFarBelowTheBestShareTheLastRow) {
  v1::Job job = MakeJob();
  *job.add_front() = MakeTrial(9, 250'000, 100, {{1, 1}, {1, 1}});
  *job.add_uniform() = MakeTrial(10, 1'000'000, 150, {{1, 1}, {1, 1}});

  EXPECT_EQ(RenderChart(job, 16, 5),
            " 91.00 % |               u\n"
            " 90.00 % |       o        \n"
            " 89.00 % |                \n"
            " 88.00 % |     o          \n"
            "   worse |o              u\n"
            "         +----------------\n"
            "          250,000 1,000,000 instructions\n"
            "          o front   u uniform   up: better top1 on val\n");
}

TEST(RenderChartTest, AFrontThatReachesFarDownKeepsMostOfTheHeight) {
  v1::Job job;
  for (int i = 0; i < 8; ++i) {
    *job.add_front() = MakeTrial(i, 1000 + 100 * i, 200 + 100 * i, {{8, 8}});
  }

  EXPECT_THAT(RenderChart(job, 8, 7), StartsWith(" 90.00 % |       o\n"
                                                 " 80.00 % |      o \n"
                                                 " 70.00 % |     o  \n"
                                                 " 60.00 % |    o   \n"
                                                 " 50.00 % |   o    \n"
                                                 " 40.00 % |  o     \n"
                                                 "   worse |oo      \n"));
}

TEST(RenderChartTest, NetworksThatAnswerNothingRightHaveAPlace) {
  v1::Job job;
  *job.add_front() = MakeTrial(1, 100, 0, {{8, 8}});
  *job.add_front() = MakeTrial(2, 200, 0, {{8, 8}});

  EXPECT_THAT(RenderChart(job, 5, 2), StartsWith("  0.00 % |o   o\n"
                                                 "  0.00 % |     \n"));
}

TEST(RenderChartTest, TheLongestLatencyHasAPlace) {
  v1::Job job;
  *job.add_front() = MakeTrial(1, 0, 900, {{8, 8}});
  *job.add_front() = MakeTrial(2, INT64_MAX, 900, {{8, 8}});

  EXPECT_THAT(RenderChart(job, 5, 2),
              AllOf(StartsWith(" 90.00 % |o   o\n"), HasSubstr("9,223,372,036,854,775,807")));
}

TEST(RenderChartTest, OnePointIsEnough) {
  v1::Job job;
  *job.add_front() = MakeTrial(1, 0, 900, {{8, 8}});

  EXPECT_THAT(RenderChart(job, 5, 2), StartsWith(" 90.00 % |o    \n"));
  EXPECT_EQ(RenderChart(v1::Job(), 5, 2), "");
}

TEST(RenderJobTest, ShowsWhoWorksAndHowTheFloatNetworkDoes) {
  v1::Job job = MakeJob();
  job.mutable_float_val()->set_correct(9173);
  job.mutable_float_val()->set_total(10000);
  v1::RunningTask* task = job.add_running();
  task->set_kind("evaluate");
  task->set_worker_name("bench-3\x1b[2J");
  task->set_progress(0.5);
  task->set_attempt(2);

  const std::string text = RenderJob(job);

  EXPECT_THAT(text, HasSubstr("  evaluate   on bench-3?[2J   50 %  attempt 2\n"));
  EXPECT_THAT(text, HasSubstr("  float network: top1  val 91.73 % ±0.54  test -\n"));
  EXPECT_THAT(text, HasSubstr(RenderFront(job, OutputFormat::kTable)));
}

TEST(RenderJobTest, ThePictureShrinksUntilItFits) {
  v1::Job job = MakeJobWithFrontOf(40);
  job.add_warnings("val exceeds test");

  for (const size_t lines : {24u, 30u, 50u}) {
    const std::string text = RenderJob(job, lines);
    EXPECT_LE(Lines(text), lines);
    EXPECT_THAT(text, HasSubstr("o front   u uniform"));
    EXPECT_THAT(text, HasSubstr("rows; all: mico-cli front 4f1c22aa"));
    EXPECT_THAT(text, HasSubstr("warning: val exceeds test"));
  }
  const std::string small = RenderJob(job, 10);
  EXPECT_EQ(Lines(small), 10u);
  EXPECT_THAT(small, Not(HasSubstr("o front")));
  EXPECT_EQ(Lines(RenderJob(job, 3)), 2u);
}

TEST(RenderJobTest, AUsualTerminalHasRoomForTheChartOfARunningJob) {
  v1::Job job = MakeJobWithFrontOf(40);
  job.add_running()->set_kind("evaluate");
  job.mutable_float_val()->set_total(10000);
  job.set_stop_reason("the budget is spent");

  const std::string text = RenderJob(job, 22);

  EXPECT_EQ(Lines(text), 22u);
  EXPECT_THAT(text, HasSubstr("o front   u uniform"));
  EXPECT_THAT(text, HasSubstr("rows; all: mico-cli front 4f1c22aa"));
}

TEST(RenderJobTest, AFleetOfWorkersIsCountedWhereThereIsNoRoom) {
  v1::Job job = MakeJob();
  for (int i = 0; i < 16; ++i) job.add_running()->set_kind("evaluate");

  EXPECT_THAT(RenderJob(job, 24), HasSubstr("  and 12 more\n"));
  EXPECT_THAT(RenderJob(job), Not(HasSubstr("more\n")));
}

}  // namespace
}  // namespace mico
