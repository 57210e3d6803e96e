#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/messages.h"
#include "quant/score.h"

// How single fields of messages are believed. Each check names the field, what was found and what
// was needed, as InvalidArgument.
namespace mico::fields {

// Nothing that we make comes near these; what is larger is a mistake or an attack.
inline constexpr int kMostLayers = 10'000;
inline constexpr int kMostSchemes = 10'000;
inline constexpr int kMostReconstructions = 64;  // one for each pair of widths
inline constexpr int kMostSignatures = 100'000;
inline constexpr int kMostTargets = 1'000;
inline constexpr size_t kMostName = 1'000;
inline constexpr size_t kMostSignature = 4'000;
inline constexpr size_t kMostError = 64'000;
inline constexpr int kMostChecks = 100;
inline constexpr size_t kMostCheckText = 4'000;
inline constexpr double kMostEpochs = 10'000;
inline constexpr double kMostMinutes = 7 * 24 * 60;  // a week
inline constexpr int64_t kMostPromoted = 10'000;

absl::Status Bad(std::string_view field, std::string_view found, std::string_view needed);

absl::Status CheckText(std::string_view field, const std::string& text, size_t most,
                       bool may_be_empty = true);
// A name that goes into messages, logs and tables.
absl::Status CheckName(std::string_view field, const std::string& text, bool may_be_empty = true);
absl::Status CheckCount(std::string_view field, int count, int most);
absl::Status CheckNotNegative(std::string_view field, int64_t value);

absl::StatusOr<int> ReadWidth(std::string_view field, uint32_t bits);
absl::StatusOr<Digest> ReadDigest(std::string_view field, const std::string& hex);
// Empty stands for "none".
absl::StatusOr<Digest> ReadOptionalDigest(std::string_view field, const std::string& hex);
absl::StatusOr<Metric> ReadMetric(std::string_view field, const std::string& name);
// 0 stands for "no limit".
absl::StatusOr<double> ReadBudget(std::string_view field, double budget, double most);
// Empty is the default.
absl::StatusOr<Optimizer> ReadOptimizer(std::string_view field, const std::string& name);
absl::StatusOr<Augmentation> ReadAugmentation(std::string_view field, const std::string& name);

// Descending, each once.
template <typename Widths>
absl::StatusOr<std::vector<int>> ReadWidths(std::string_view field, const Widths& widths) {
  MICO_RETURN_IF_ERROR(CheckCount(field, widths.size(), 8));
  std::vector<int> result;
  for (uint32_t bits : widths) {
    MICO_ASSIGN_OR_RETURN(const int width, ReadWidth(field, bits));
    result.push_back(width);
  }
  std::sort(result.rbegin(), result.rend());
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) {
    return Bad(field, "a width twice", "each once");
  }
  return result;
}

// What a program of somebody else's said, cut to what a message may carry.
std::string Said(std::string_view text, size_t most);
// The default is not written: what was stored or hashed before there were several stays the same.
std::string MetricName(Metric metric);

}  // namespace mico::fields
