#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "search/trial.h"

namespace mico {

// Which trials are worth training, ascending indices into `trials`, at most `most`: those of the
// front in (latency, error on val), then those of the front without these, and so on. Of a front
// that has more than are left, those whose neighbours are farthest away (the crowding distance of
// NSGA-II, Deb et al. 2002), its ends first, ties to the smaller number. Only finished trials on
// all of val count that were not trained and whose cost is inside `limits`; the limits on the value
// do not, because training may lift a trial over them.
std::vector<size_t> ChoosePromising(std::span<const Trial> trials, const Limits& limits,
                                    size_t most);

// Spearman's rank correlation of two lists of the same length, in [-1, 1]; equal values share the
// mean of their ranks. Absent where fewer than two are given or all values of one list are equal.
std::optional<double> RankCorrelation(std::span<const double> first,
                                      std::span<const double> second);

}  // namespace mico
