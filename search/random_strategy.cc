#include "search/random_strategy.h"

#include "search/proposing.h"
#include "search/uniform_strategy.h"

namespace mico {
namespace {

// Draws that may miss (refused by a limit, or drawn before) before the search is given up.
uint64_t MostDraws(const SearchHistory& history) { return 5000 + 20 * history.trials.size(); }

int Draw(const std::vector<int>& options, Random& random) {
  return options[random.Below(options.size())];
}

// The draw of this number: a function of the job's seed alone, so that the sequence of trials does
// not depend on how many were asked for at a time.
BitScheme DrawScheme(const SearchSpace& space, uint64_t draw) {
  Random random(space.seed * 1'000'003 + draw);
  std::vector<LayerBits> layers;
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    const int weight_bits = Draw(space.weight_bits[layer], random);
    layers.push_back({weight_bits, Draw(space.input_bits[layer], random)});
  }
  return BitScheme(std::move(layers));
}

}  // namespace

Proposal RandomStrategy::Propose(const SearchSpace& space, const SearchHistory& history, int count,
                                 Random& random) const {
  ProposalBuilder proposal(space, history, count);
  for (Candidate& candidate : ReferenceCandidates(space)) proposal.Add(std::move(candidate));
  for (uint64_t draw = 0; draw < MostDraws(history) && !proposal.full() && !proposal.spent();
       ++draw) {
    BitScheme scheme = DrawScheme(space, draw);
    const absl::StatusOr<Cost> cost = space.cost(scheme);
    if (cost.ok() && space.limits.Admits(*cost)) proposal.Add({std::move(scheme), 0, ""});
  }
  Proposal result = proposal.Take();
  if (result.candidates.empty() && !AnythingInFlight(history)) {
    result.finished_because =
        proposal.spent() ? "the budget is spent" : "no further scheme within the limits was found";
  }
  return result;
}

}  // namespace mico
