#pragma once

#include <cstdint>
#include <vector>

namespace mico {

// Giving up schemes that cannot reach a floor, on what is known after a part of the samples.

// After how many samples a race looks who is still in it: 128, twice as many each time, all.
std::vector<int64_t> Looks(int64_t samples);

// Whether a scheme with `correct` right answers among `seen` of `total` samples (seen in random
// order) may still reach `floor` on all of them: not once the upper end of Wilson's (1927)
// one-sided interval at 99.9 % lies below, nor where all other answers being right is not enough.
bool CanReach(double floor, int64_t correct, int64_t seen, int64_t total);

}  // namespace mico
