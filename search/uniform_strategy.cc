#include "search/uniform_strategy.h"

#include <algorithm>
#include <functional>
#include <set>

#include "fmt/format.h"
#include "search/proposing.h"

namespace mico {
namespace {

// `options` descend; the narrowest one that is at least `bits`, else the widest.
int NearestWider(const std::vector<int>& options, int bits) {
  int chosen = options.front();
  for (const int option : options) {
    if (option >= bits) chosen = option;
  }
  return chosen;
}

std::vector<int> WidthsOffered(const std::vector<std::vector<int>>& layers) {
  std::set<int, std::greater<>> widths;
  for (const std::vector<int>& options : layers) widths.insert(options.begin(), options.end());
  return {widths.begin(), widths.end()};
}

void AddDistinct(std::vector<Candidate>& candidates, Candidate candidate) {
  const bool known = std::any_of(candidates.begin(), candidates.end(),
                                 [&](const Candidate& c) { return c.scheme == candidate.scheme; });
  if (!known) candidates.push_back(std::move(candidate));
}

}  // namespace

Candidate UniformCandidate(const SearchSpace& space, int weight_bits, int input_bits) {
  std::vector<LayerBits> layers;
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    layers.push_back({NearestWider(space.weight_bits[layer], weight_bits),
                      NearestWider(space.input_bits[layer], input_bits)});
  }
  return {BitScheme(std::move(layers)), 0, fmt::format("uniform w{}a{}", weight_bits, input_bits)};
}

std::vector<Candidate> AllUniformCandidates(const SearchSpace& space) {
  std::vector<Candidate> candidates;
  for (const int weight_bits : WidthsOffered(space.weight_bits)) {
    for (const int input_bits : WidthsOffered(space.input_bits)) {
      AddDistinct(candidates, UniformCandidate(space, weight_bits, input_bits));
    }
  }
  return candidates;
}

std::vector<Candidate> ReferenceCandidates(const SearchSpace& space) {
  const std::vector<int> weight_widths = WidthsOffered(space.weight_bits);
  const std::vector<int> input_widths = WidthsOffered(space.input_bits);
  std::vector<Candidate> candidates;
  for (const int bits : weight_widths) {
    if (std::find(input_widths.begin(), input_widths.end(), bits) == input_widths.end()) continue;
    AddDistinct(candidates, UniformCandidate(space, bits, bits));
  }
  for (const int bits : weight_widths) {
    AddDistinct(candidates, UniformCandidate(space, bits, input_widths.front()));
  }
  return candidates;
}

Proposal UniformStrategy::Propose(const SearchSpace& space, const SearchHistory& history, int count,
                                  Random& random) const {
  ProposalBuilder proposal(space, history, count);
  for (Candidate& candidate : AllUniformCandidates(space)) proposal.Add(std::move(candidate));
  Proposal result = proposal.Take();
  if (result.candidates.empty() && !AnythingInFlight(history)) {
    result.finished_because =
        proposal.spent() ? "the budget is spent" : "every uniform network has been evaluated";
  }
  return result;
}

}  // namespace mico
