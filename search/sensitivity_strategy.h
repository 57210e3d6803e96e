#pragma once

#include <vector>

#include "search/pareto_front.h"
#include "search/strategy.h"

namespace mico {

// Per-layer sensitivities, the exact front of their additive model, and true evaluations of its
// members.
//
// 1. The reference networks (search/uniform_strategy.h) on all of val.
// 2. Probes on a part of val: the uniform 8-bit network with one layer's weights, or one layer's
//    input, at each narrower width. The loss of a change is its divergence (docs/metrics.md) above
//    the uniform network's. (Single-layer sensitivities as in HAWQ-V3, Yao et al. 2021, for
//    classifiers with the divergence of the outputs that ZeroQ, Cai et al. 2020, uses; both
//    measured here in the integers of the device.)
// 3. The loss of a scheme is taken as the sum over its layers, its latency as the sum of what each
//    layer's change saves; the non-dominated sums are found exactly (MergeAdditive). Members
//    outside the limits by their true cost are dropped.
// 4. Members are evaluated on all of val: the middle, the ends, then always the member that halves
//    the largest rectangle (latency x error) between evaluated neighbours, until the budget is
//    spent; in rounds, so that the result does not depend on the order of answers.
class SensitivityStrategy : public SearchStrategy {
 public:
  Proposal Propose(const SearchSpace& space, const SearchHistory& history, int count,
                   Random& random) const override;
};

}  // namespace mico
