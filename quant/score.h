#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mico {

// What a network is judged by; docs/metrics.md.
enum class Metric { kTop1, kTop5, kMse, kAuc };

// "top1" | "top5" | "mse" | "auc"
std::string_view ToString(Metric metric);
// Empty is top1. InvalidArgument lists the names.
absl::StatusOr<Metric> ParseMetric(std::string_view name);

// Whether it counts right answers (top1, top5) or looks at how far outputs are from their targets.
inline bool CountsAnswers(Metric metric) {
  return metric == Metric::kTop1 || metric == Metric::kTop5;
}
inline bool LowerIsBetter(Metric metric) { return metric == Metric::kMse; }

// A metric's value over some samples, with the ends of its 95 % interval. Equal samples and equal
// integers give equal bits on every machine.
struct Score {
  Metric metric = Metric::kTop1;
  int64_t correct = 0;  // top1 and top5: how many answers are right; otherwise 0
  int64_t total = 0;    // samples; 0: not measured
  double value = 0.0;   // top1, top5: correct / total; mse; auc
  double low = 0.0, high = 0.0;

  bool measured() const { return total > 0; }
  // What a search makes smaller: 1 - value, for mse the value itself.
  double error() const { return LowerIsBetter(metric) ? value : 1.0 - value; }
  // Both of the same metric.
  bool IsBetterThan(const Score& other) const {
    return LowerIsBetter(metric) ? value < other.value : value > other.value;
  }
  friend bool operator==(const Score&, const Score&) = default;
};

// `metric` counts answers; 0 <= correct <= total. The interval is Wilson's (1927).
Score CountScore(Metric metric, int64_t correct, int64_t total);

// The mean of `errors`, one of each sample, summed in their order. The interval is the normal
// approximation from their standard deviation, not below 0; a single sample tells nothing of its
// spread: both ends are then the value.
Score MseScore(std::span<const double> errors);

// How well `errors` as anomaly scores separate the samples labelled 1 from those labelled 0: the
// share of pairs in which the anomaly has the larger one, ties count one half; exact. The interval
// is Hanley and McNeil's (1982) in Newcombe's score form (2006, method 5), which is not empty where
// the separation is perfect. With one label only nothing is known: 0.5, from 0 to 1.
// Labels are 0 or 1, parallel to `errors`, which are not NaN.
Score AucScore(std::span<const double> errors, std::span<const int32_t> labels);

// Whether `better`, a score of the same metric on other samples, is better than `other` by more
// than the 95 % interval of their difference (Newcombe 1998, from the two intervals).
bool ExceedsByMoreThanChance(const Score& better, const Score& other);

// A value as people read it: "91.73 %" (top1, top5), "0.01234" (mse), "0.9123" (auc).
std::string FormatValue(Metric metric, double value);
inline std::string FormatValue(const Score& score) {
  return FormatValue(score.metric, score.value);
}

// Whether `label` is among the `k` largest outputs, ties to the lower index. k = 1 is argmax.
bool IsAmongLargest(std::span<const float> outputs, int64_t label, int k);

// The mean over all elements of (scale * output - target)^2, in double, summed in their order. Not
// NaN as long as nothing that goes in is infinite.
double MeanSquaredDifference(std::span<const float> outputs, double scale,
                             std::span<const float> targets);

}  // namespace mico
