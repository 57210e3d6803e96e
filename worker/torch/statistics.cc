#include "worker/torch/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace mico {

TensorRange RangeOfValues(std::span<const float> values) {
  // Lanes side by side, which compilers turn into vector instructions.
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> least, most, poison{};
  least.fill(std::numeric_limits<float>::infinity());
  most.fill(-std::numeric_limits<float>::infinity());
  const auto look = [&](size_t lane, float value) {
    least[lane] = value < least[lane] ? value : least[lane];
    most[lane] = value > most[lane] ? value : most[lane];
    poison[lane] += value - value;  // 0, or NaN for ever
  };
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) look(lane, values[i + lane]);
  }
  for (; i < values.size(); ++i) look(0, values[i]);
  const bool finite = std::all_of(poison.begin(), poison.end(), [](float p) { return p == 0.0f; });
  if (!finite) return {-HUGE_VALF, HUGE_VALF};
  return {*std::min_element(least.begin(), least.end()),
          *std::max_element(most.begin(), most.end())};
}

void CountInto(TensorStatistics& statistics, std::span<const float> values) {
  constexpr int kLast = TensorStatistics::kBins - 1;
  const double most = statistics.most_magnitude();
  for (const float value : values) {
    const double position =
        most > 0.0 ? std::fabs(static_cast<double>(value)) / most * TensorStatistics::kBins : 0.0;
    const int bin = std::min(static_cast<int>(position), kLast);
    ++(value < 0.0f ? statistics.negative : statistics.positive)[bin];
  }
}

void MergeCounts(TensorStatistics& into, const TensorStatistics& from) {
  for (int bin = 0; bin < TensorStatistics::kBins; ++bin) {
    into.negative[bin] += from.negative[bin];
    into.positive[bin] += from.positive[bin];
  }
}

}  // namespace mico
