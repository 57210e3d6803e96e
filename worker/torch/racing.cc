#include "worker/torch/racing.h"

#include <algorithm>
#include <cmath>

namespace mico {
namespace {

constexpr int64_t kFirstLook = 128;
// The standard normal distribution's quantile at 0.999.
constexpr double kQuantile = 3.0902323061678132;

double UpperEnd(int64_t correct, int64_t seen) {
  const auto n = static_cast<double>(seen);
  const double share = static_cast<double>(correct) / n;
  const double square = kQuantile * kQuantile;
  const double centre = share + square / (2 * n);
  const double spread = kQuantile * std::sqrt(share * (1 - share) / n + square / (4 * n * n));
  return (centre + spread) / (1 + square / n);
}

}  // namespace

std::vector<int64_t> Looks(int64_t samples) {
  std::vector<int64_t> looks;
  for (int64_t look = kFirstLook; look < samples; look *= 2) looks.push_back(look);
  looks.push_back(samples);
  return looks;
}

bool CanReach(double floor, int64_t correct, int64_t seen, int64_t total) {
  if (seen == 0) return true;
  const double best = static_cast<double>(correct + total - seen) / static_cast<double>(total);
  return std::min(best, UpperEnd(correct, seen)) >= floor;
}

}  // namespace mico
