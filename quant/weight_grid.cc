#include "quant/weight_grid.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace mico {
namespace {

constexpr int kThresholds = 80;
constexpr double kLeastThreshold = 0.2;

std::vector<double> Magnitudes(std::span<const float> weights) {
  std::vector<double> magnitudes;
  magnitudes.reserve(weights.size());
  for (const float weight : weights) magnitudes.push_back(std::abs(static_cast<double>(weight)));
  return magnitudes;
}

double Mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// The search spends its time here, hence four sums that do not wait for one another. Their order is
// fixed: the result is the same on every machine.
double SquaredError(const std::vector<double>& magnitudes, double scale, int32_t highest) {
  const double inverse = 1.0 / scale;
  std::array<double, 4> sums{};
  const auto add = [&](size_t lane, double magnitude) {
    const int32_t nearest = std::min(static_cast<int32_t>(magnitude * inverse + 0.5), highest);
    const double error = magnitude - scale * nearest;
    sums[lane] += error * error;
  };
  size_t i = 0;
  for (; i + 4 <= magnitudes.size(); i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) add(lane, magnitudes[i + lane]);
  }
  for (; i < magnitudes.size(); ++i) add(0, magnitudes[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

int32_t HighestWeight(int bits) { return bits == 1 ? 1 : (int32_t{1} << (bits - 1)) - 1; }

double ChooseWeightScale(std::span<const float> weights, int bits) {
  if (weights.empty()) return 0.0;
  const std::vector<double> magnitudes = Magnitudes(weights);
  if (bits == 1) return Mean(magnitudes);
  const double largest = *std::max_element(magnitudes.begin(), magnitudes.end());
  if (largest == 0.0) return 0.0;
  const int32_t highest = HighestWeight(bits);
  double best_scale = 0.0;
  double best_error = std::numeric_limits<double>::infinity();
  for (int step = kThresholds - 1; step >= 0; --step) {
    const double part = kLeastThreshold + (1.0 - kLeastThreshold) * step / (kThresholds - 1);
    const double scale = largest * part / highest;
    const double error = SquaredError(magnitudes, scale, highest);
    if (error < best_error) {
      best_scale = scale;
      best_error = error;
    }
  }
  return best_scale;
}

int8_t QuantizeWeight(float weight, double scale, int bits) {
  if (bits == 1) return weight >= 0.0f ? 1 : -1;
  const double highest = HighestWeight(bits);
  const double nearest = std::floor(static_cast<double>(weight) / scale + 0.5);
  return static_cast<int8_t>(std::clamp(nearest, -highest, highest));
}

}  // namespace mico
