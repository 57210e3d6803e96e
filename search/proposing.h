#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "search/strategy.h"

namespace mico {

// Collects candidates for one proposal and keeps its promises: inside the space, not in the
// history, not twice, within the budget, at most `count`.
class ProposalBuilder {
 public:
  ProposalBuilder(const SearchSpace& space, const SearchHistory& history, int count);

  bool full() const { return static_cast<int>(proposal_.candidates.size()) >= count_; }
  // The budget does not allow one more evaluation of all val images.
  bool spent() const;
  // False if the candidate was not taken.
  bool Add(Candidate candidate);
  Proposal Take() { return std::move(proposal_); }

 private:
  // Whether it is a probe, and of which scheme.
  using Known = std::pair<bool, BitScheme>;

  const SearchSpace& space_;
  int count_;
  double left_;
  std::set<Known> known_;  // of the history and of the proposal
  Proposal proposal_;
};

// Whether any trial still waits for its result.
bool AnythingInFlight(const SearchHistory& history);

}  // namespace mico
