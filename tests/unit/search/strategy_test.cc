#include "search/strategy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "search/pareto_front.h"
#include "search/uniform_strategy.h"

namespace mico {
namespace {

constexpr int kLayers = 5;
constexpr int64_t kImages = 1000;

// A landscape whose truth is known: latency is additive, accuracy falls with the summed sensitivity
// of the layers, plus a term that no single change shows.
class StrategyTest : public testing::TestWithParam<std::string> {
 protected:
  StrategyTest() {
    space_.weight_bits.assign(kLayers, {8, 4, 2});
    space_.input_bits.assign(kLayers, {8, 4, 2});
    space_.input_bits[0] = {8};
    space_.input_layers.assign(kLayers, false);
    space_.input_layers[0] = true;
    space_.val_samples = kImages;
    space_.cost = [](const BitScheme& scheme) -> absl::StatusOr<Cost> {
      Cost cost;
      for (size_t l = 0; l < scheme.size(); ++l) {
        const int64_t macs = 1000 * static_cast<int64_t>(l + 1);
        cost.latency_cycles += macs * (4 + scheme[l].weight_bits + scheme[l].input_bits);
        cost.flash_bytes += int64_t{100} * scheme[l].weight_bits;
        cost.peak_ram_bytes = std::max(cost.peak_ram_bytes, int64_t{10} * scheme[l].input_bits);
      }
      return cost;
    };
    history_.budget = 40;
  }

  static double Loss(const BitScheme& scheme) {
    double loss = 0.0;
    for (size_t l = 0; l < scheme.size(); ++l) {
      loss += (0.02 + 0.03 * static_cast<double>(l % 2)) * (8 - scheme[l].weight_bits) / 6.0;
      loss += 0.04 * static_cast<double>(kLayers - l) / kLayers * (8 - scheme[l].input_bits) / 6.0;
    }
    return loss;
  }

  static void Finish(Trial& trial) {
    const double loss = Loss(trial.scheme);
    const int64_t total = trial.is_probe() ? trial.samples : kImages;
    const double accuracy = 0.95 - loss - loss * loss;
    trial.val =
        CountScore(Metric::kTop1, std::llround(accuracy * static_cast<double>(total)), total);
    trial.divergence = 0.001 + loss;
    trial.state = TrialState::kFinished;
  }

  void Record(const Candidate& candidate) {
    Trial trial;
    trial.number = static_cast<int64_t>(history_.trials.size()) + 1;
    trial.scheme = candidate.scheme;
    trial.samples = candidate.samples;
    trial.label = candidate.label;
    trial.cost = space_.cost(candidate.scheme).value();
    history_.trials.push_back(trial);
  }

  Proposal Propose(int count) {
    Random random(17 + history_.trials.size());
    return MakeStrategy(GetParam()).value()->Propose(space_, history_, count, random);
  }

  // Runs the search to its end, `batch` at a time; returns why it ended.
  std::string Run(int batch) {
    for (int round = 0; round < 1000; ++round) {
      const Proposal proposal = Propose(batch);
      if (proposal.candidates.empty()) return proposal.finished_because;
      for (const Candidate& candidate : proposal.candidates) Record(candidate);
      for (Trial& trial : history_.trials) Finish(trial);
    }
    return "never ended";
  }

  std::vector<Objective> Front() const {
    std::vector<Objective> points;
    for (const int i : ParetoFront(history_.trials, space_.limits)) {
      const Trial& trial = history_.trials[i];
      points.push_back(
          {static_cast<double>(trial.cost.latency_cycles) / 300000.0, trial.val.error()});
    }
    return points;
  }

  SearchSpace space_;
  SearchHistory history_;
};

TEST_P(StrategyTest, KeepsItsPromises) {
  Run(4);
  for (size_t i = 0; i < history_.trials.size(); ++i) {
    const Trial& trial = history_.trials[i];
    EXPECT_TRUE(space_.Contains(trial.scheme)) << trial.scheme.ToString();
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(history_.trials[j].scheme == trial.scheme &&
                   history_.trials[j].is_probe() == trial.is_probe())
          << trial.scheme.ToString() << " proposed twice";
    }
  }
  EXPECT_LE(history_.Spent(space_), history_.budget + 1e-6);
}

TEST_P(StrategyTest, SaysWhyItEnds) {
  const std::string reason = Run(3);
  EXPECT_THAT(reason, testing::AnyOf(testing::HasSubstr("budget"), testing::HasSubstr("every"),
                                     testing::HasSubstr("within the limits")));
}

TEST_P(StrategyTest, SameHistorySameProposal) {
  for (int i = 0; i < 3; ++i) {
    for (const Candidate& candidate : Propose(5).candidates) Record(candidate);
    for (Trial& trial : history_.trials) Finish(trial);
  }
  const Proposal first = Propose(5);
  const Proposal second = Propose(5);
  ASSERT_EQ(first.candidates.size(), second.candidates.size());
  for (size_t i = 0; i < first.candidates.size(); ++i) {
    EXPECT_EQ(first.candidates[i].scheme, second.candidates[i].scheme);
  }
}

TEST_P(StrategyTest, TrialsDoNotDependOnBatchesOrTheOrderOfAnswers) {
  Run(4);
  std::vector<BitScheme> expected;
  for (const Trial& trial : history_.trials) expected.push_back(trial.scheme);
  std::sort(expected.begin(), expected.end());

  // Three at a time, and always the last trial in flight answers first.
  history_.trials.clear();
  for (int round = 0; round < 2000; ++round) {
    const Proposal proposal = Propose(3);
    for (const Candidate& candidate : proposal.candidates) Record(candidate);
    const auto waiting = std::find_if(history_.trials.rbegin(), history_.trials.rend(),
                                      [](auto& t) { return t.state == TrialState::kWaiting; });
    if (waiting == history_.trials.rend()) break;
    Finish(*waiting);
  }
  std::vector<BitScheme> got;
  for (const Trial& trial : history_.trials) got.push_back(trial.scheme);
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, expected);
}

TEST_P(StrategyTest, OnlyReferencesAndProbesMayBreakALimit) {
  space_.limits.max_latency_cycles = 220000;
  Run(4);
  for (const Trial& trial : history_.trials) {
    if (trial.is_probe() || !trial.label.empty()) continue;
    EXPECT_LE(trial.cost.latency_cycles, 220000) << trial.scheme.ToString();
  }
}

TEST_P(StrategyTest, ShowsTheUniformEightBitNetwork) {
  Run(4);
  EXPECT_TRUE(std::any_of(history_.trials.begin(), history_.trials.end(),
                          [](const Trial& t) { return t.label == "uniform w8a8"; }));
}

TEST_P(StrategyTest, WaitsForResultsInsteadOfEnding) {
  for (int i = 0; i < 200; ++i) {
    const Proposal proposal = Propose(4);
    if (proposal.candidates.empty()) {
      EXPECT_EQ(proposal.finished_because, "") << "nothing has come back yet";
      return;
    }
    for (const Candidate& candidate : proposal.candidates) Record(candidate);
  }
}

INSTANTIATE_TEST_SUITE_P(All, StrategyTest, testing::ValuesIn(StrategyNames()));

class SensitivityTest : public StrategyTest {};

TEST_P(SensitivityTest, BeatsRandomAtEqualBudget) {
  Run(4);
  const double ours = Hypervolume(Front(), {1.0, 0.25});
  history_.trials.clear();
  double random_mean = 0.0;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    history_.trials.clear();
    for (int round = 0; round < 100; ++round) {
      Random random(1000 * seed + history_.trials.size());
      const Proposal proposal =
          MakeStrategy("random").value()->Propose(space_, history_, 4, random);
      if (proposal.candidates.empty()) break;
      for (const Candidate& candidate : proposal.candidates) Record(candidate);
      for (Trial& trial : history_.trials) Finish(trial);
    }
    random_mean += Hypervolume(Front(), {1.0, 0.25}) / 5;
  }
  EXPECT_GT(ours, random_mean);
}

TEST_P(SensitivityTest, MeetsAFlashLimitThatLatencyAloneWouldMiss) {
  space_.limits.max_flash_bytes = 100 * kLayers * 3;
  Run(4);
  EXPECT_FALSE(ParetoFront(history_.trials, space_.limits).empty());
}

TEST_P(SensitivityTest, ProbesCostTheirShareOfImages) {
  Run(4);
  double probes = 0.0;
  for (const Trial& trial : history_.trials) {
    if (trial.is_probe()) probes += static_cast<double>(trial.samples) / kImages;
  }
  EXPECT_GT(probes, 0.0);
  EXPECT_LE(probes, 0.36 * history_.budget);
}

TEST_P(SensitivityTest, ChoosesTheSameByErrorsInTheirUnit) {
  Run(4);
  const std::vector<Trial> by_accuracy = history_.trials;
  // A power of two keeps the numbers the same.
  space_.error_unit = 8.0;
  history_.trials.clear();
  for (int round = 0; round < 1000; ++round) {
    const Proposal proposal = Propose(4);
    if (proposal.candidates.empty()) break;
    for (const Candidate& candidate : proposal.candidates) Record(candidate);
    for (Trial& trial : history_.trials) {
      Finish(trial);
      trial.val = MseScore(std::vector<double>{8.0 * trial.val.error()});
    }
  }
  ASSERT_EQ(history_.trials.size(), by_accuracy.size());
  for (size_t i = 0; i < by_accuracy.size(); ++i) {
    EXPECT_EQ(history_.trials[i].scheme, by_accuracy[i].scheme) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Default, SensitivityTest, testing::Values("sensitivity"));

TEST(StrategyCatalogueTest, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const auto strategy = MakeStrategy("annealing");
  ASSERT_FALSE(strategy.ok());
  EXPECT_THAT(std::string(strategy.status().message()),
              testing::AllOf(testing::HasSubstr("annealing"), testing::HasSubstr("sensitivity")));
}

}  // namespace
}  // namespace mico
