#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "search/strategy.h"
#include "tests/bench/network_bench.h"

// Which schemes are evaluated together where one asks what that saves.
namespace mico {

// Every layer at every pair of widths 8, 4 and 2, the last layer changing fastest.
std::vector<BitScheme> AllSchemes(size_t layers);

// The same widths where they may stand; costs are products of bits, for the shape of a front alone.
SearchSpace SpaceOf(const BenchNetwork& network, int64_t val_samples);

// What the sensitivity strategy asks for, evaluated on a part of val and recorded.
class StrategyRounds {
 public:
  StrategyRounds(TorchEvaluator& evaluator, const BenchNetwork& network, const SearchSpace& space);

  const SearchHistory& history() const { return history_; }
  // Its probes, with whatever it wants to know before.
  absl::StatusOr<std::vector<BitScheme>> Probes();
  // Then: `count` members of the front and more, as a search evaluates them.
  absl::StatusOr<std::vector<BitScheme>> Front(size_t count);

 private:
  Proposal Propose() const;
  absl::Status Record(const Proposal& proposal);

  TorchEvaluator& evaluator_;
  const BenchNetwork& network_;
  const SearchSpace& space_;
  SearchHistory history_;
};

// Of all schemes that begin with `fixed` and whose cost is within 2 % below 0.7 of the largest,
// those with the least sum of single-layer losses (of the history's probes): what a search that
// refines one limit looks at. Sums are kept by cost in steps of a thousandth of the limit, `count`
// of each.
absl::StatusOr<std::vector<BitScheme>> Neighbours(const SearchSpace& space,
                                                  const SearchHistory& history, size_t count,
                                                  const BitScheme& fixed);

}  // namespace mico
