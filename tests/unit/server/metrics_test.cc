#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fmt/format.h"
#include "model/text_form.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// Reads 2x2x2.
Graph Network(int outputs) {
  return ParseGraph(fmt::format("input x 2x2x2\nfc = Conv(x) k=2x2 out={}\noutput fc\n", outputs))
      .value();
}

DatasetRecord Data(int64_t classes, TargetFacts targets = {0, 5, 5, 1.0}) {
  DatasetRecord dataset;
  dataset.name = "d.npz";
  dataset.classes = classes;
  dataset.val_samples = dataset.test_samples = 10;
  dataset.targets = targets;
  return dataset;
}

std::string Refusal(Metric metric, const DatasetRecord& dataset, int outputs) {
  const absl::Status status = CheckMetric(metric, dataset, Network(outputs));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(CheckMetric, WhatFitsIsTaken) {
  EXPECT_TRUE(CheckMetric(Metric::kTop1, Data(3), Network(3)).ok());
  EXPECT_TRUE(CheckMetric(Metric::kTop5, Data(5), Network(6)).ok());
  EXPECT_TRUE(CheckMetric(Metric::kMse, Data(3), Network(8)).ok());
  EXPECT_TRUE(CheckMetric(Metric::kMse, Data(0, {4, 0, 0, 1.0}), Network(4)).ok());
  EXPECT_TRUE(CheckMetric(Metric::kAuc, Data(2), Network(8)).ok());
}

TEST(CheckMetric, ClassesNeedOutputsAndOutputsClasses) {
  EXPECT_EQ(Refusal(Metric::kTop1, Data(4), 3),
            "data set 'd.npz': labels up to 3; the network's output 'fc' has 3 elements");
  EXPECT_EQ(Refusal(Metric::kTop1, Data(0, {3, 0, 0, 1.0}), 3),
            "data set 'd.npz': y is 3 float32; metric top1 needs class labels; mse takes numbers");
}

TEST(CheckMetric, Top5NeedsMoreThanFiveToChooseFrom) {
  EXPECT_EQ(Refusal(Metric::kTop5, Data(4), 9),
            "data set 'd.npz': 4 classes; metric top5 needs at least 5");
  EXPECT_THAT(Refusal(Metric::kTop5, Data(5), 5),
              HasSubstr("the network's output has 5 elements; metric top5 needs more than 5"));
}

TEST(CheckMetric, AnAutoencoderGivesAsMuchAsItGets) {
  EXPECT_EQ(Refusal(Metric::kAuc, Data(2), 3),
            "metric auc: the network turns 2x2x2 into 3x1x1; needed: as many numbers out as in");
  EXPECT_THAT(Refusal(Metric::kMse, Data(2), 3),
              HasSubstr("the network turns 2x2x2 into 3x1x1; needed: as many numbers out as in, or "
                        "data whose y is float32"));
}

TEST(CheckMetric, MseNeedsAsManyTargetsAsOutputsAndASpread) {
  EXPECT_THAT(
      Refusal(Metric::kMse, Data(0, {4, 0, 0, 1.0}), 3),
      HasSubstr("y has 4 numbers a sample; metric mse needs as many as the network's output "
                "3x1x1 has: 3"));
  DatasetRecord single = Data(2);
  single.test_samples = 1;
  EXPECT_THAT(Refusal(Metric::kMse, single, 8), HasSubstr("10 val and 1 test samples"));
  EXPECT_THAT(Refusal(Metric::kMse, Data(2, {0, 5, 5, 0.0}), 8),
              HasSubstr("every target of val is the same"));
}

TEST(CheckMetric, AucNeedsBothLabelsInBothSplits) {
  EXPECT_THAT(Refusal(Metric::kAuc, Data(10), 8),
              HasSubstr("labels up to 9; metric auc needs labels 0 (normal) and 1 (anomaly)"));
  EXPECT_THAT(Refusal(Metric::kAuc, Data(0, {8, 0, 0, 1.0}), 8), HasSubstr("y is 8 float32"));
  EXPECT_THAT(Refusal(Metric::kAuc, Data(2, {0, 0, 5, 1.0}), 8),
              HasSubstr("val has 10 samples labelled 0 and 0 labelled 1"));
  EXPECT_THAT(Refusal(Metric::kAuc, Data(2, {0, 5, 10, 1.0}), 8),
              HasSubstr("test has 0 samples labelled 0 and 10 labelled 1"));
}

TEST(ErrorScaleOf, OneIsWhatKnowingNothingCosts) {
  const DatasetRecord dataset = Data(20, {0, 5, 5, 0.25});
  EXPECT_DOUBLE_EQ(ErrorScaleOf(Metric::kTop1, dataset).ignorance, 0.95);
  EXPECT_DOUBLE_EQ(ErrorScaleOf(Metric::kTop5, dataset).ignorance, 0.75);
  EXPECT_EQ(ErrorScaleOf(Metric::kAuc, dataset).ignorance, 0.5);
  EXPECT_EQ(ErrorScaleOf(Metric::kMse, dataset).ignorance, 1.0);
  EXPECT_EQ(ErrorScaleOf(Metric::kMse, dataset).unit, 0.25);
  EXPECT_EQ(ErrorScaleOf(Metric::kTop1, dataset).unit, 1.0);
}

}  // namespace
}  // namespace mico
