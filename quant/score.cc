#include "quant/score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 4> kNames{"top1", "top5", "mse", "auc"};

// The 97.5 % point of the normal distribution.
constexpr double kNormal95 = 1.959963984540054;

double Square(double x) { return x * x; }

// Twice the rank (from 1) of every value, ties sharing the mean of theirs: whole numbers.
std::vector<int64_t> DoubledRanks(std::span<const double> values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return values[a] < values[b]; });
  std::vector<int64_t> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (size_t i = first; i < end; ++i) ranks[order[i]] = static_cast<int64_t>(first + end + 1);
    first = end;
  }
  return ranks;
}

// The variance of the statistic where the true value is `auc`, Newcombe 2006, method 5.
double AucVariance(double auc, double positives, double negatives) {
  const double size = 0.5 * (positives + negatives);
  const double spread = 1.0 + (size - 1.0) * ((1.0 - auc) / (2.0 - auc) + auc / (1.0 + auc));
  return auc * (1.0 - auc) * spread / (positives * negatives);
}

// The true value furthest from `auc` towards `end` (0 or 1) that `auc` does not contradict. The
// steps of the bisection are more than a double has digits.
double AucLimit(double auc, double end, double positives, double negatives) {
  double inside = auc, outside = end;
  for (int step = 0; step < 64; ++step) {
    const double middle = 0.5 * (inside + outside);
    const bool contradicted =
        Square(auc - middle) > Square(kNormal95) * AucVariance(middle, positives, negatives);
    (contradicted ? outside : inside) = middle;
  }
  return inside;
}

}  // namespace

std::string_view ToString(Metric metric) { return kNames[static_cast<size_t>(metric)]; }

absl::StatusOr<Metric> ParseMetric(std::string_view name) {
  if (name.empty()) return Metric::kTop1;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Metric>(i);
  }
  return absl::InvalidArgumentError(
      fmt::format("metric '{}'; known: {}", name.substr(0, 80), fmt::join(kNames, ", ")));
}

Score CountScore(Metric metric, int64_t correct, int64_t total) {
  Score score{metric, correct, total};
  if (total == 0) return score;
  const double n = static_cast<double>(total);
  const double share = static_cast<double>(correct) / n;
  const double shrink = 1.0 + Square(kNormal95) / n;
  const double middle = (share + Square(kNormal95) / (2.0 * n)) / shrink;
  const double half =
      kNormal95 / shrink * std::sqrt(share * (1.0 - share) / n + Square(kNormal95 / (2.0 * n)));
  score.value = share;
  // Rounding must not move an end past the value, nor past what a share can be.
  score.low = correct == 0 ? 0.0 : std::clamp(middle - half, 0.0, share);
  score.high = correct == total ? 1.0 : std::clamp(middle + half, share, 1.0);
  return score;
}

Score MseScore(std::span<const double> errors) {
  Score score{Metric::kMse, 0, static_cast<int64_t>(errors.size())};
  if (errors.empty()) return score;
  const double n = static_cast<double>(errors.size());
  score.value = std::accumulate(errors.begin(), errors.end(), 0.0) / n;
  double squares = 0.0;
  for (const double error : errors) squares += Square(error - score.value);
  const double half = errors.size() == 1 ? 0.0 : kNormal95 * std::sqrt(squares / (n - 1.0) / n);
  score.low = std::max(score.value - half, 0.0);
  score.high = score.value + half;
  return score;
}

Score AucScore(std::span<const double> errors, std::span<const int32_t> labels) {
  Score score{Metric::kAuc, 0, static_cast<int64_t>(errors.size())};
  if (errors.empty()) return score;
  const int64_t positives = std::count(labels.begin(), labels.end(), 1);
  const int64_t negatives = score.total - positives;
  if (positives == 0 || negatives == 0) {
    score.value = 0.5;
    score.high = 1.0;
    return score;
  }
  const std::vector<int64_t> ranks = DoubledRanks(errors);
  int64_t doubled_sum = 0;
  for (size_t i = 0; i < ranks.size(); ++i) doubled_sum += labels[i] == 1 ? ranks[i] : 0;
  // Pairs won, twice: what the anomalies' ranks have above the least that they could have.
  const int64_t doubled_pairs = doubled_sum - positives * (positives + 1);
  const double ones = static_cast<double>(positives), zeros = static_cast<double>(negatives);
  score.value = static_cast<double>(doubled_pairs) / (2.0 * ones * zeros);
  score.low = AucLimit(score.value, 0.0, ones, zeros);
  score.high = AucLimit(score.value, 1.0, ones, zeros);
  return score;
}

bool ExceedsByMoreThanChance(const Score& better, const Score& other) {
  if (!better.measured() || !other.measured() || !better.IsBetterThan(other)) return false;
  const bool lower = LowerIsBetter(better.metric);
  const double towards_other = lower ? better.high - better.value : better.value - better.low;
  const double towards_better = lower ? other.value - other.low : other.high - other.value;
  return std::abs(better.value - other.value) >
         std::sqrt(Square(towards_other) + Square(towards_better));
}

std::string FormatValue(Metric metric, double value) {
  if (CountsAnswers(metric)) return fmt::format("{:.2f} %", 100.0 * value);
  return metric == Metric::kMse ? fmt::format("{:.4g}", value) : fmt::format("{:.4f}", value);
}

bool IsAmongLargest(std::span<const float> outputs, int64_t label, int k) {
  const float own = outputs[label];
  int64_t before = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    before += outputs[i] > own || (outputs[i] == own && static_cast<int64_t>(i) < label);
  }
  return before < k;
}

double MeanSquaredDifference(std::span<const float> outputs, double scale,
                             std::span<const float> targets) {
  double sum = 0.0;
  for (size_t i = 0; i < outputs.size(); ++i) sum += Square(scale * outputs[i] - targets[i]);
  return sum / static_cast<double>(outputs.size());
}

}  // namespace mico
