#pragma once

#include "search/strategy.h"

namespace mico {

// The reference networks, then schemes drawn uniformly from the space among those whose cost the
// limits admit, until the budget is spent. What every other strategy has to beat.
class RandomStrategy : public SearchStrategy {
 public:
  Proposal Propose(const SearchSpace& space, const SearchHistory& history, int count,
                   Random& random) const override;
};

}  // namespace mico
