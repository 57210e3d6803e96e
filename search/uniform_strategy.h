#pragma once

#include <vector>

#include "search/strategy.h"

namespace mico {

// The network with every layer at these widths, or at the nearest wider width that a layer offers
// (the widest if none is wider). Labelled "uniform w4a4".
Candidate UniformCandidate(const SearchSpace& space, int weight_bits, int input_bits);

// Every pair of a weight width and an activation width that the space offers, widest first.
std::vector<Candidate> AllUniformCandidates(const SearchSpace& space);

// The uniform networks that every result shows beside its front: equal widths for weights and
// activations, and every weight width with 8-bit activations.
std::vector<Candidate> ReferenceCandidates(const SearchSpace& space);

// Evaluates all uniform networks, nothing else: the yardstick.
class UniformStrategy : public SearchStrategy {
 public:
  Proposal Propose(const SearchSpace& space, const SearchHistory& history, int count,
                   Random& random) const override;
};

}  // namespace mico
