#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "worker/evaluator.h"

namespace mico {

std::vector<int64_t> ChooseSamples(int64_t count, int64_t samples, uint64_t seed) {
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0);
  if (samples <= 0 || samples >= count) return indices;
  // The front of a Fisher-Yates shuffle: asking for more only continues it.
  Random random(seed);
  for (int64_t i = 0; i < samples; ++i) {
    std::swap(indices[i], indices[i + static_cast<int64_t>(random.Below(count - i))]);
  }
  indices.resize(samples);
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace mico
