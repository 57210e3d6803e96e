#include "client/units.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "fmt/format.h"

namespace mico {
namespace {

constexpr double kLargestLimit = 1e15;

struct Quantity {
  double number = 0.0;
  std::string_view unit;
};

// A finite positive number, then its unit.
std::optional<Quantity> SplitQuantity(std::string_view text) {
  Quantity quantity;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), quantity.number);
  // The upper end is what the server takes.
  if (error != std::errc() || !(quantity.number > 0.0 && quantity.number <= kLargestLimit)) {
    return std::nullopt;
  }
  quantity.unit = text.substr(static_cast<size_t>(end - text.data()));
  return quantity;
}

absl::Status NotUnderstood(std::string_view option, std::string_view text,
                           std::string_view understood) {
  return absl::InvalidArgumentError(fmt::format("{}: '{}'; needed: {}", option, text, understood));
}

v1::Limit Relative(double share) {
  v1::Limit limit;
  limit.set_relative(share);
  return limit;
}

v1::Limit Absolute(double value) {
  v1::Limit limit;
  limit.set_absolute(value);
  return limit;
}

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 3> kTimeUnits{{{"s", 1.0}, {"ms", 1e-3}, {"us", 1e-6}}};
constexpr std::array<Unit, 7> kByteUnits{{{"", 1.0},
                                          {"B", 1.0},
                                          {"KiB", 1024.0},
                                          {"MiB", 1024.0 * 1024.0},
                                          {"KB", 1e3},
                                          {"kB", 1e3},
                                          {"MB", 1e6}}};

}  // namespace

absl::StatusOr<v1::Limit> ParseLatencyLimit(std::string_view text) {
  const std::optional<Quantity> quantity = SplitQuantity(text);
  if (quantity) {
    if (quantity->unit == "x") return Relative(quantity->number);
    if (quantity->unit.empty()) return Absolute(quantity->number);
    for (const Unit& unit : kTimeUnits) {
      if (quantity->unit != unit.name) continue;
      v1::Limit limit;
      limit.set_absolute_seconds(quantity->number * unit.factor);
      return limit;
    }
  }
  return NotUnderstood("max-latency", text, "like 0.6x, 12ms, 800us, 1.5s or a number of counts");
}

absl::StatusOr<v1::Limit> ParseBytesLimit(std::string_view option, std::string_view text) {
  const std::optional<Quantity> quantity = SplitQuantity(text);
  if (quantity) {
    if (quantity->unit == "x") return Relative(quantity->number);
    for (const Unit& unit : kByteUnits) {
      const double bytes = quantity->number * unit.factor;
      if (quantity->unit == unit.name && bytes <= kLargestLimit) return Absolute(bytes);
    }
  }
  return NotUnderstood(option, text, "like 0.6x, 64KiB, 1MiB, 96KB or a number of bytes");
}

absl::StatusOr<v1::Limit> ParseAccuracyLimit(std::string_view text) {
  const std::optional<Quantity> quantity = SplitQuantity(text);
  if (quantity) {
    if (quantity->unit == "x") return Relative(quantity->number);
    const double accuracy = quantity->unit == "%" ? quantity->number / 100.0 : quantity->number;
    const bool unit_known = quantity->unit.empty() || quantity->unit == "%";
    if (unit_known && accuracy <= 1.0) return Absolute(accuracy);
  }
  return NotUnderstood("min-accuracy", text, "like 90%, 0.9 or 0.98x");
}

absl::StatusOr<v1::Limit> ParseErrorLimit(std::string_view text) {
  const std::optional<Quantity> quantity = SplitQuantity(text);
  if (quantity && quantity->unit == "x") return Relative(quantity->number);
  if (quantity && quantity->unit.empty()) return Absolute(quantity->number);
  return NotUnderstood("max-error", text, "like 0.012 or 1.05x");
}

absl::StatusOr<double> ParseAmount(std::string_view option, std::string_view text) {
  const std::optional<Quantity> quantity = SplitQuantity(text);
  if (quantity && quantity->unit.empty()) return quantity->number;
  return NotUnderstood(option, text, "a number above 0, like 20 or 0.5");
}

std::string FormatBytes(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < int64_t{1024} * 1024) return fmt::format("{:.1f} KiB", value / 1024.0);
  return fmt::format("{:.2f} MiB", value / (1024.0 * 1024.0));
}

std::string FormatCount(int64_t count) {
  std::string digits = std::to_string(count);
  for (int position = static_cast<int>(digits.size()) - 3; position > (count < 0 ? 1 : 0);
       position -= 3) {
    digits.insert(static_cast<size_t>(position), 1, ',');
  }
  return digits;
}

std::string FormatSeconds(double seconds) {
  // An estimate may be anything; a century stands for "never".
  const double bounded = seconds > 0.0 ? std::min(seconds, 3.2e9) : 0.0;
  const auto whole = static_cast<int64_t>(std::llround(bounded));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d {:02}h", whole / 86400, whole / 3600 % 24);
}

}  // namespace mico
