#include "proto/fields.h"

#include "base/text.h"

namespace mico::fields {

absl::Status Bad(std::string_view field, std::string_view found, std::string_view needed) {
  return absl::InvalidArgumentError(fmt::format("{}: {}; needed: {}", field, found, needed));
}

absl::Status CheckText(std::string_view field, const std::string& text, size_t most,
                       bool may_be_empty) {
  if (text.size() > most) {
    return Bad(field, fmt::format("{} bytes", text.size()), fmt::format("at most {}", most));
  }
  if (text.empty() && !may_be_empty) return Bad(field, "empty", "a name");
  return absl::OkStatus();
}

absl::Status CheckName(std::string_view field, const std::string& text, bool may_be_empty) {
  MICO_RETURN_IF_ERROR(CheckText(field, text, kMostName, may_be_empty));
  const std::string printable = PrintableLine(text);
  if (printable == text) return absl::OkStatus();
  return Bad(field, fmt::format("'{}'", printable.substr(0, 80)),
             "a name without control characters");
}

std::string Said(std::string_view text, size_t most) { return ValidUtf8(text.substr(0, most)); }

absl::Status CheckCount(std::string_view field, int count, int most) {
  if (count <= most) return absl::OkStatus();
  return Bad(field, fmt::format("{} entries", count), fmt::format("at most {}", most));
}

absl::Status CheckNotNegative(std::string_view field, int64_t value) {
  if (value >= 0) return absl::OkStatus();
  return Bad(field, fmt::format("{}", value), "0 or more");
}

absl::StatusOr<int> ReadWidth(std::string_view field, uint32_t bits) {
  if (bits >= 1 && bits <= 8) return static_cast<int>(bits);
  return Bad(field, fmt::format("{} bits", bits), "1-8");
}

absl::StatusOr<Digest> ReadDigest(std::string_view field, const std::string& hex) {
  absl::StatusOr<Digest> digest = Digest::FromHex(hex);
  if (digest.ok()) return digest;
  return Bad(field, fmt::format("'{}'", hex.substr(0, 80)), "64 lower-case hexadecimal digits");
}

absl::StatusOr<Digest> ReadOptionalDigest(std::string_view field, const std::string& hex) {
  if (hex.empty()) return Digest();
  return ReadDigest(field, hex);
}

std::string MetricName(Metric metric) {
  return metric == Metric::kTop1 ? std::string() : std::string(ToString(metric));
}

absl::StatusOr<Metric> ReadMetric(std::string_view field, const std::string& name) {
  absl::StatusOr<Metric> metric = ParseMetric(name);
  if (metric.ok()) return metric;
  return Bad(field, fmt::format("'{}'", name.substr(0, 80)), "top1, top5, mse or auc");
}

absl::StatusOr<double> ReadBudget(std::string_view field, double budget, double most) {
  // Not a number compares with nothing; minus 0 is 0.
  if (budget >= 0.0 && budget <= most) return budget + 0.0;
  return Bad(field, fmt::format("{}", budget), fmt::format("more than 0 and at most {}", most));
}

absl::StatusOr<Optimizer> ReadOptimizer(std::string_view field, const std::string& name) {
  if (name.empty()) return Optimizer::kAdamW;
  absl::StatusOr<Optimizer> optimizer = ParseOptimizer(name);
  if (optimizer.ok()) return optimizer;
  return Bad(field, fmt::format("'{}'", name.substr(0, 80)), "adamw or sgd");
}

absl::StatusOr<Augmentation> ReadAugmentation(std::string_view field, const std::string& name) {
  if (name.empty()) return Augmentation::kAuto;
  absl::StatusOr<Augmentation> augmentation = ParseAugmentation(name);
  if (augmentation.ok()) return augmentation;
  return Bad(field, fmt::format("'{}'", name.substr(0, 80)), "auto, none, shift or shift+flip");
}

}  // namespace mico::fields
