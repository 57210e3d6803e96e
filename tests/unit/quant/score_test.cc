#include "quant/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

Score Auc(const std::vector<double>& errors, const std::vector<int32_t>& labels) {
  return AucScore(errors, labels);
}

TEST(MetricTest, NamesAreReadBackAndEmptyIsTop1) {
  for (const Metric metric : {Metric::kTop1, Metric::kTop5, Metric::kMse, Metric::kAuc}) {
    EXPECT_EQ(ParseMetric(ToString(metric)).value(), metric);
  }
  EXPECT_EQ(ParseMetric("").value(), Metric::kTop1);
  EXPECT_THAT(std::string(ParseMetric("f1").status().message()),
              HasSubstr("metric 'f1'; known: top1, top5, mse, auc"));
}

TEST(CountScoreTest, TheIntervalIsWilsons) {
  // Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
  const struct {
    int64_t correct, total;
    double low, high;
  } published[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {1, 29, 0.0061, 0.1718}};
  for (const auto& [correct, total, low, high] : published) {
    const Score score = CountScore(Metric::kTop1, correct, total);
    EXPECT_DOUBLE_EQ(score.value, static_cast<double>(correct) / static_cast<double>(total));
    EXPECT_NEAR(score.low, low, 5e-5) << correct;
    EXPECT_NEAR(score.high, high, 5e-5) << correct;
  }
}

TEST(CountScoreTest, NoneAndAllAreExactlyTheEndsAndStillUncertain) {
  const Score none = CountScore(Metric::kTop5, 0, 20), all = CountScore(Metric::kTop5, 20, 20);
  EXPECT_EQ(none.low, 0.0);
  EXPECT_NEAR(none.high, 0.1611, 5e-5);
  EXPECT_EQ(all.high, 1.0);
  EXPECT_NEAR(all.low, 1.0 - 0.1611, 5e-5);
  EXPECT_EQ(all.metric, Metric::kTop5);
}

TEST(CountScoreTest, WithoutSamplesNothingIsMeasured) {
  EXPECT_FALSE(CountScore(Metric::kTop1, 0, 0).measured());
  EXPECT_EQ(CountScore(Metric::kTop1, 0, 0), Score());
}

TEST(MseScoreTest, IsTheMeanWithTheNormalApproximation) {
  const Score score = MseScore(std::vector<double>{1.0, 2.0, 3.0, 6.0});
  EXPECT_EQ(score.value, 3.0);
  EXPECT_EQ(score.total, 4);
  EXPECT_EQ(score.correct, 0);
  // Deviations -2 -1 0 3: variance 14/3, of the mean 14/12.
  const double half = 1.959963984540054 * std::sqrt(14.0 / 12.0);
  EXPECT_DOUBLE_EQ(score.low, 3.0 - half);
  EXPECT_DOUBLE_EQ(score.high, 3.0 + half);
}

TEST(MseScoreTest, AnErrorIsNeverBelowNothing) {
  const Score score = MseScore(std::vector<double>{0.0, 0.0, 10.0});
  EXPECT_EQ(score.low, 0.0);
  EXPECT_GT(score.high, score.value);
}

TEST(MseScoreTest, EqualErrorsAndASingleOneHaveNoSpread) {
  for (const size_t samples : {1u, 5u}) {
    const Score score = MseScore(std::vector<double>(samples, 0.25));
    EXPECT_EQ(score.value, 0.25);
    EXPECT_EQ(score.low, 0.25);
    EXPECT_EQ(score.high, 0.25);
  }
  EXPECT_FALSE(MseScore({}).measured());
}

TEST(AucScoreTest, IsTheShareOfPairsInTheRightOrder) {
  // Anomalies 0.5 and 0.9 against 0.1, 0.6: 0.5 > 0.1, 0.9 > 0.1, 0.9 > 0.6.
  EXPECT_EQ(Auc({0.5, 0.1, 0.9, 0.6}, {1, 0, 1, 0}).value, 0.75);
  EXPECT_EQ(Auc({1.0, 2.0, 3.0}, {0, 0, 1}).value, 1.0);
  EXPECT_EQ(Auc({1.0, 2.0, 3.0}, {1, 0, 0}).value, 0.0);
}

TEST(AucScoreTest, TiesCountOneHalf) {
  // 2 against 2 and 1: a half and a whole.
  EXPECT_EQ(Auc({2.0, 2.0, 1.0}, {1, 0, 0}).value, 0.75);
  // Two anomalies of 2 and 3, normal ones 2, 2, 3: (0.5 + 0.5 + 0) + (1 + 1 + 0.5) of 6.
  EXPECT_EQ(Auc({2.0, 3.0, 2.0, 2.0, 3.0}, {1, 1, 0, 0, 0}).value, 3.5 / 6.0);
}

TEST(AucScoreTest, WhereAllAreEqualItIsAHalf) {
  const Score score = Auc({4.0, 4.0, 4.0, 4.0, 4.0}, {1, 0, 0, 1, 0});
  EXPECT_EQ(score.value, 0.5);
  EXPECT_LT(score.low, 0.5);
  EXPECT_GT(score.high, 0.5);
}

TEST(AucScoreTest, WithOneLabelNothingIsKnown) {
  for (const int32_t label : {0, 1}) {
    const Score score = Auc({1.0, 2.0}, {label, label});
    EXPECT_EQ(score.value, 0.5);
    EXPECT_EQ(score.low, 0.0);
    EXPECT_EQ(score.high, 1.0);
    EXPECT_EQ(score.total, 2);
  }
}

TEST(AucScoreTest, APairIsEnoughAndTellsLittle) {
  const Score score = Auc({2.0, 1.0}, {1, 0});
  EXPECT_EQ(score.value, 1.0);
  EXPECT_EQ(score.high, 1.0);
  EXPECT_LT(score.low, 0.25);
  EXPECT_FALSE(std::isnan(score.low));
}

TEST(AucScoreTest, EqualsCountingAllPairsOnRandomScores) {
  Random random(5);
  for (int round = 0; round < 100; ++round) {
    const auto samples = static_cast<size_t>(random.Between(2, 40));
    std::vector<double> errors(samples);
    std::vector<int32_t> labels(samples);
    // Few different values, so that many are tied.
    for (double& error : errors) error = static_cast<double>(random.Below(6)) / 8.0;
    for (int32_t& label : labels) label = static_cast<int32_t>(random.Below(2));
    labels[0] = 0;
    labels[1] = 1;
    int64_t won_twice = 0, pairs = 0;
    for (size_t i = 0; i < samples; ++i) {
      for (size_t j = 0; j < samples; ++j) {
        if (labels[i] != 1 || labels[j] != 0) continue;
        ++pairs;
        won_twice += 2 * (errors[i] > errors[j]) + (errors[i] == errors[j]);
      }
    }
    const Score score = Auc(errors, labels);
    EXPECT_EQ(score.value, static_cast<double>(won_twice) / (2.0 * static_cast<double>(pairs)));
    EXPECT_LE(score.low, score.value);
    EXPECT_GE(score.high, score.value);
  }
}

// Where both groups have 50 samples the standard error at 0.9 is Hanley and McNeil's 0.03212; the
// ends are where the value is 1.96 such errors away, with the error that would hold there.
TEST(AucScoreTest, TheIntervalIsHanleyAndMcNeilsSolvedForTheTrueValue) {
  std::vector<double> errors;
  std::vector<int32_t> labels;
  for (int i = 0; i < 50; ++i) {
    errors.push_back(i);  // normal
    labels.push_back(0);
  }
  for (int i = 0; i < 50; ++i) {
    errors.push_back(44.5);  // above 45 of 50
    labels.push_back(1);
  }
  const Score score = Auc(errors, labels);
  EXPECT_EQ(score.value, 0.9);
  EXPECT_NEAR(score.low, 0.8159163516, 1e-9);
  EXPECT_NEAR(score.high, 0.9462218232, 1e-9);
}

TEST(ExceedsByMoreThanChanceTest, ComparesInTheDirectionOfTheMetric) {
  const Score good = CountScore(Metric::kTop1, 950, 1000),
              bad = CountScore(Metric::kTop1, 900, 1000);
  EXPECT_TRUE(ExceedsByMoreThanChance(good, bad));
  EXPECT_FALSE(ExceedsByMoreThanChance(bad, good));
  EXPECT_FALSE(ExceedsByMoreThanChance(CountScore(Metric::kTop1, 910, 1000), bad));
  EXPECT_FALSE(ExceedsByMoreThanChance(good, Score()));

  const Score small{Metric::kMse, 0, 100, 0.10, 0.09, 0.11};
  const Score large{Metric::kMse, 0, 100, 0.13, 0.11, 0.15};
  const Score near{Metric::kMse, 0, 100, 0.12, 0.10, 0.14};
  EXPECT_TRUE(ExceedsByMoreThanChance(small, large));
  EXPECT_FALSE(ExceedsByMoreThanChance(large, small));
  EXPECT_FALSE(ExceedsByMoreThanChance(small, near));
}

TEST(FormatValueTest, SharesArePercentAndErrorsHaveFourDigits) {
  EXPECT_EQ(FormatValue(Metric::kTop1, 0.9173), "91.73 %");
  EXPECT_EQ(FormatValue(Metric::kTop5, 1.0), "100.00 %");
  EXPECT_EQ(FormatValue(Metric::kMse, 0.0123456), "0.01235");
  EXPECT_EQ(FormatValue(Metric::kAuc, 0.91234), "0.9123");
}

TEST(IsAmongLargestTest, TiesGoToTheLowerIndex) {
  const std::vector<float> outputs{3, 7, 7, 1, 7, 0, 7};
  EXPECT_TRUE(IsAmongLargest(outputs, 1, 1));
  EXPECT_FALSE(IsAmongLargest(outputs, 2, 1));
  EXPECT_TRUE(IsAmongLargest(outputs, 6, 4));
  EXPECT_TRUE(IsAmongLargest(outputs, 0, 5));
  EXPECT_FALSE(IsAmongLargest(outputs, 3, 5));
}

TEST(IsAmongLargestTest, ExactlyKOfThemAre) {
  Random random(9);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> outputs(8);
    for (float& output : outputs) output = static_cast<float>(random.Below(4));
    for (const int k : {1, 5}) {
      int among = 0;
      for (int64_t label = 0; label < 8; ++label) among += IsAmongLargest(outputs, label, k);
      EXPECT_EQ(among, k);
    }
  }
}

TEST(MeanSquaredDifferenceTest, ScalesTheIntegers) {
  const std::vector<float> integers{4, -2}, targets{1.5f, -1.0f};
  EXPECT_EQ(MeanSquaredDifference(integers, 0.5, targets), 0.125);
  EXPECT_EQ(MeanSquaredDifference(targets, 1.0, targets), 0.0);
}

// 2^15 steps of a scale of 1e30 against targets of 3e38, a billion times: still finite.
TEST(MeanSquaredDifferenceTest, FiniteNumbersNeverGiveWhatIsNone) {
  const std::vector<float> integers{32767, -32768};
  const float largest = std::numeric_limits<float>::max();
  const double error = MeanSquaredDifference(integers, 1e30, std::vector<float>{-largest, largest});
  EXPECT_TRUE(std::isfinite(error));
  const Score score = MseScore(std::vector<double>{error, 0.0});
  EXPECT_FALSE(std::isnan(score.low));
  EXPECT_FALSE(std::isnan(score.high));
}

}  // namespace
}  // namespace mico
