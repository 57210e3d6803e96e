#include "search/random_strategy.h"

#include "search/proposing.h"
#include "search/uniform_strategy.h"

namespace mico {
namespace {

// Draws that may miss (refused by a limit, or known already) before a proposal is given up.
constexpr int kMostDraws = 5000;

int Draw(const std::vector<int>& options, Random& random) {
  return options[random.Below(options.size())];
}

BitScheme DrawScheme(const SearchSpace& space, Random& random) {
  std::vector<LayerBits> layers;
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    layers.push_back(
        {Draw(space.weight_bits[layer], random), Draw(space.input_bits[layer], random)});
  }
  return BitScheme(std::move(layers));
}

}  // namespace

Proposal RandomStrategy::Propose(const SearchSpace& space, const SearchHistory& history, int count,
                                 Random& random) const {
  ProposalBuilder proposal(space, history, count);
  for (Candidate& candidate : ReferenceCandidates(space)) proposal.Add(std::move(candidate));
  for (int draw = 0; draw < kMostDraws && !proposal.full() && !proposal.spent(); ++draw) {
    BitScheme scheme = DrawScheme(space, random);
    const absl::StatusOr<Cost> cost = space.cost(scheme);
    if (cost.ok() && space.limits.Admits(*cost)) proposal.Add({std::move(scheme), 0, ""});
  }
  Proposal result = proposal.Take();
  if (result.candidates.empty() && !AnythingInFlight(history)) {
    result.finished_because = proposal.spent() ? "the budget is spent"
                                               : "no further scheme within the limits was found";
  }
  return result;
}

}  // namespace mico
