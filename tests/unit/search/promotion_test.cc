#include "search/promotion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Trial FinishedTrial(int64_t number, int64_t latency, int64_t correct) {
  Trial trial;
  trial.number = number;
  trial.state = TrialState::kFinished;
  trial.cost.latency_cycles = latency;
  trial.val = CountScore(Metric::kTop1, correct, 100);
  return trial;
}

// Two fronts: trials 2, 4 and 5, then 1 and 3; trial 6 is behind both.
std::vector<Trial> TwoFronts() {
  return {FinishedTrial(1, 20, 60), FinishedTrial(2, 10, 60), FinishedTrial(3, 30, 70),
          FinishedTrial(4, 20, 80), FinishedTrial(5, 30, 90), FinishedTrial(6, 40, 50)};
}

TEST(ChoosePromisingTest, FrontAfterFrontIsTaken) {
  EXPECT_THAT(ChoosePromising(TwoFronts(), {}, 3), ElementsAre(1, 3, 4));
  EXPECT_THAT(ChoosePromising(TwoFronts(), {}, 5), ElementsAre(0, 1, 2, 3, 4));
}

TEST(ChoosePromisingTest, WhereThereAreFewerAllAreTaken) {
  EXPECT_THAT(ChoosePromising(TwoFronts(), {}, 100), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(ChoosePromising({}, {}, 3), IsEmpty());
}

TEST(ChoosePromisingTest, OfAFrontTheEndsAndThoseWithFarNeighboursAreTaken) {
  // Trial 3 stands close to 2, trial 4 alone.
  const std::vector<Trial> front{FinishedTrial(1, 10, 10), FinishedTrial(2, 20, 20),
                                 FinishedTrial(3, 22, 22), FinishedTrial(4, 60, 60),
                                 FinishedTrial(5, 90, 90)};
  EXPECT_THAT(ChoosePromising(front, {}, 3), ElementsAre(0, 3, 4));
  EXPECT_THAT(ChoosePromising(front, {}, 4), ElementsAre(0, 2, 3, 4));
}

TEST(ChoosePromisingTest, TiesGoToTheSmallerNumber) {
  std::vector<Trial> front{FinishedTrial(4, 10, 10), FinishedTrial(3, 20, 20),
                           FinishedTrial(2, 30, 30), FinishedTrial(1, 40, 40)};
  EXPECT_THAT(ChoosePromising(front, {}, 1), ElementsAre(3));
  EXPECT_THAT(ChoosePromising(front, {}, 3), ElementsAre(0, 2, 3));
  // Equal points: the later number is behind the earlier one.
  front = {FinishedTrial(2, 10, 10), FinishedTrial(1, 10, 10)};
  EXPECT_THAT(ChoosePromising(front, {}, 1), ElementsAre(1));
}

TEST(ChoosePromisingTest, LimitsOnTheCostHoldAndThoseOnTheValueDoNot) {
  Limits limits;
  limits.max_latency_cycles = 25;
  limits.min_accuracy = 0.99;
  EXPECT_THAT(ChoosePromising(TwoFronts(), limits, 3), ElementsAre(0, 1, 3));
}

TEST(ChoosePromisingTest, WhatWasNotWhollyEvaluatedOrIsTrainedDoesNotCount) {
  std::vector<Trial> trials = TwoFronts();
  trials[0].samples = 10;
  trials[1].state = TrialState::kFailed;
  trials[2].state = TrialState::kWaiting;
  trials[3].gave_up = true;
  trials[4].trained = true;
  EXPECT_THAT(ChoosePromising(trials, {}, 6), ElementsAre(5));
}

TEST(ChoosePromisingTest, OfErrorsLessIsBetter) {
  std::vector<Trial> trials{FinishedTrial(1, 10, 0), FinishedTrial(2, 20, 0)};
  trials[0].val = {Metric::kMse, 0, 9, 0.5, 0.4, 0.6};
  trials[1].val = {Metric::kMse, 0, 9, 0.7, 0.6, 0.8};
  EXPECT_THAT(ChoosePromising(trials, {}, 1), ElementsAre(0));
}

TEST(RankCorrelationTest, IsOneForTheSameOrderAndMinusOneForTheReverse) {
  const std::vector<double> rising{0.1, 0.2, 0.5, 0.9}, steep{1, 10, 100, 1000};
  const std::vector<double> falling{4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(*RankCorrelation(rising, steep), 1.0);
  EXPECT_DOUBLE_EQ(*RankCorrelation(rising, falling), -1.0);
}

TEST(RankCorrelationTest, EqualValuesShareTheMeanOfTheirRanks) {
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5 of variances 4.5 and 5.
  const std::vector<double> tied{1, 2, 2, 3}, ranks{1, 2, 3, 4};
  EXPECT_NEAR(*RankCorrelation(tied, ranks), 4.5 / std::sqrt(4.5 * 5.0), 1e-12);
}

TEST(RankCorrelationTest, IsAbsentWhereNothingCanBeSaid) {
  const std::vector<double> equal{0.5, 0.5, 0.5}, rising{1, 2, 3};
  EXPECT_FALSE(RankCorrelation(equal, rising));
  EXPECT_FALSE(RankCorrelation(rising, equal));
  EXPECT_FALSE(RankCorrelation(std::vector<double>{1}, std::vector<double>{1}));
  EXPECT_FALSE(RankCorrelation(rising, std::vector<double>{1, 2}));
  EXPECT_FALSE(RankCorrelation({}, {}));
}

}  // namespace
}  // namespace mico
