#include "search/pareto_front.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/random.h"

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

TEST(ParetoFrontTest, DominatedTrialsAreLeftOut) {
  const std::vector<Trial> trials{FinishedTrial(1, 10, 80), FinishedTrial(2, 20, 80),
                                  FinishedTrial(3, 5, 60), FinishedTrial(4, 30, 90)};
  EXPECT_THAT(ParetoFront(trials, {}), ElementsAre(2, 0, 3));
}

TEST(ParetoFrontTest, OfEqualPointsTheFirstStays) {
  const std::vector<Trial> trials{FinishedTrial(2, 10, 80), FinishedTrial(1, 10, 80)};
  EXPECT_THAT(ParetoFront(trials, {}), ElementsAre(1));
}

TEST(ParetoFrontTest, ProbesAndUnfinishedTrialsAreNeverInAFront) {
  std::vector<Trial> trials{FinishedTrial(1, 10, 80), FinishedTrial(2, 5, 99)};
  trials[0].samples = 10;
  trials[1].state = TrialState::kRunning;
  EXPECT_THAT(ParetoFront(trials, {}), IsEmpty());
}

TEST(ParetoFrontTest, OfErrorsTheSmallerIsTheBetter) {
  std::vector<Trial> trials{FinishedTrial(1, 10, 0), FinishedTrial(2, 20, 0),
                            FinishedTrial(3, 30, 0)};
  trials[0].val = MseScore(std::vector<double>{0.5, 0.5});
  trials[1].val = MseScore(std::vector<double>{0.75, 0.75});
  trials[2].val = MseScore(std::vector<double>{0.25, 0.25});
  EXPECT_THAT(ParetoFront(trials, {}), ElementsAre(0, 2));
  Limits limits;
  limits.max_error = 0.3;
  EXPECT_THAT(ParetoFront(trials, limits), ElementsAre(2));
}

TEST(ParetoFrontTest, OfRandomTrialsInAnyOrderItIsWhatNothingDominates) {
  Random random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<Trial> trials;
    for (int64_t number = 1; number <= 40; ++number) {
      trials.push_back(FinishedTrial(number, random.Between(1, 12), random.Between(1, 12)));
    }
    for (size_t i = trials.size(); i > 1; --i) std::swap(trials[i - 1], trials[random.Below(i)]);
    std::vector<int64_t> expected;
    for (const Trial& trial : trials) {
      const bool dominated = std::any_of(trials.begin(), trials.end(), [&](const Trial& other) {
        if (other.cost.latency_cycles > trial.cost.latency_cycles) return false;
        if (other.val.correct != trial.val.correct) return other.val.correct > trial.val.correct;
        return other.cost.latency_cycles < trial.cost.latency_cycles || other.number < trial.number;
      });
      if (!dominated) expected.push_back(trial.number);
    }
    std::vector<int64_t> found;
    int64_t last_latency = 0;
    for (const int index : ParetoFront(trials, {})) {
      EXPECT_GT(trials[index].cost.latency_cycles, last_latency);
      last_latency = trials[index].cost.latency_cycles;
      found.push_back(trials[index].number);
    }
    EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(expected));
  }
}

TEST(ParetoFrontTest, LimitsAreHard) {
  const std::vector<Trial> trials{FinishedTrial(1, 10, 80), FinishedTrial(2, 20, 95)};
  Limits limits;
  limits.max_latency_cycles = 19;
  EXPECT_THAT(ParetoFront(trials, limits), ElementsAre(0));
  limits.min_accuracy = 0.81;
  EXPECT_THAT(ParetoFront(trials, limits), IsEmpty());
}

TEST(HypervolumeTest, IsTheAreaUnderTheStaircase) {
  const std::vector<Objective> points{{0.25, 0.5}, {0.5, 0.25}, {0.75, 0.75}, {2.0, 0.0}};
  // 0.75 * 0.5 for the first, 0.5 * 0.25 more for the second, nothing for the others.
  EXPECT_DOUBLE_EQ(Hypervolume(points, {1.0, 1.0}), 0.75 * 0.5 + 0.5 * 0.25);
}

TEST(HypervolumeTest, NothingInsideTheReferenceIsZero) {
  EXPECT_EQ(Hypervolume({}, {1.0, 1.0}), 0.0);
  const std::vector<Objective> outside{{1.0, 0.5}};
  EXPECT_EQ(Hypervolume(outside, {1.0, 1.0}), 0.0);
}

// All sums by enumeration, then the non-dominated ones.
std::vector<std::pair<int64_t, double>> FrontByEnumeration(
    const std::vector<std::vector<AdditiveOption>>& layers) {
  std::vector<std::pair<int64_t, double>> sums{{0, 0.0}};
  for (const auto& options : layers) {
    std::vector<std::pair<int64_t, double>> next;
    for (const auto& [cost, loss] : sums) {
      for (const AdditiveOption& o : options) next.emplace_back(cost + o.cost, loss + o.loss);
    }
    sums = std::move(next);
  }
  std::sort(sums.begin(), sums.end());
  std::vector<std::pair<int64_t, double>> front;
  for (const auto& sum : sums) {
    if (front.empty() || sum.second < front.back().second) front.push_back(sum);
  }
  return front;
}

TEST(MergeAdditiveTest, EqualsEnumerationOnRandomSpaces) {
  Random random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<AdditiveOption>> layers(5);
    for (auto& options : layers) {
      for (int o = 0; o < 4; ++o) {
        // Losses are multiples of 1/64, so that sums are exact in any order.
        options.push_back({random.Between(0, 40), static_cast<double>(random.Below(64)) / 64.0});
      }
    }
    const AdditiveFront front = MergeAdditive(layers);
    ASSERT_TRUE(front.exact);
    const auto expected = FrontByEnumeration(layers);
    ASSERT_EQ(front.points.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      const AdditivePoint& point = front.points[i];
      EXPECT_EQ(point.cost, expected[i].first);
      EXPECT_EQ(point.loss, expected[i].second);
      int64_t cost = 0;
      for (size_t l = 0; l < layers.size(); ++l) cost += layers[l][point.choice[l]].cost;
      EXPECT_EQ(cost, point.cost) << "the choice gives the cost that the point states";
    }
  }
}

TEST(MergeAdditiveTest, SaysWhenThinningMadeItApproximate) {
  std::vector<std::vector<AdditiveOption>> layers;
  layers.reserve(10);
  for (int l = 0; l < 10; ++l) layers.push_back({{0, 1.0}, {int64_t{1} << l, 0.0}});
  EXPECT_TRUE(MergeAdditive(layers).exact);
  const AdditiveFront thinned = MergeAdditive(layers, 8);
  EXPECT_FALSE(thinned.exact);
  EXPECT_LE(thinned.points.size(), 8u);
}

}  // namespace
}  // namespace mico
