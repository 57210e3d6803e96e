#include "server/limits.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "server/problem.h"

namespace mico {
namespace {

// Rounded down: a limit of 100.7 bytes is a limit of 100 bytes.
std::optional<int64_t> Resolve(const std::optional<RequestedLimit>& limit,
                               const std::optional<int64_t>& reference, int64_t clock_hz) {
  if (!limit) return std::nullopt;
  switch (limit->kind) {
    case RequestedLimit::Kind::kAbsolute:
      return static_cast<int64_t>(std::floor(limit->value));
    case RequestedLimit::Kind::kSeconds:
      return static_cast<int64_t>(
          std::floor(std::min(limit->value * static_cast<double>(clock_hz), 9e18)));
    case RequestedLimit::Kind::kRelative:
      if (!reference) return std::nullopt;
      return static_cast<int64_t>(std::floor(
          std::min(limit->value * static_cast<double>(*reference) * (1.0 + 1e-12), 9e18)));
  }
  return std::nullopt;
}

std::optional<int64_t> Tighter(std::optional<int64_t> limit, int64_t capacity) {
  if (capacity <= 0) return limit;
  return limit ? std::min(*limit, capacity) : capacity;
}

std::string Bytes(int64_t bytes) {
  return bytes < 10'000 ? fmt::format("{} bytes", bytes)
                        : fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024.0);
}

std::string Counts(int64_t count, const Target& target) {
  return fmt::format("{} {}", count, ToString(target.counts));
}

// "with every weight at 1 bit", or what else makes it the least.
std::string DescribeWidths(const BitScheme& scheme) {
  const int weight_bits = scheme.size() == 0 ? 0 : scheme[0].weight_bits;
  const bool uniform =
      std::all_of(scheme.layers().begin(), scheme.layers().end(),
                  [&](const LayerBits& layer) { return layer.weight_bits == weight_bits; });
  if (uniform) {
    return fmt::format("with every weight at {} bit{}", weight_bits, weight_bits == 1 ? "" : "s");
  }
  return fmt::format("with the widths {}", scheme.ToString());
}

absl::Status CheckFloor(const SearchSpace& space, int64_t Cost::*member,
                        const std::optional<int64_t>& limit, std::string_view what,
                        const std::function<std::string(int64_t)>& show) {
  if (!limit) return absl::OkStatus();
  MICO_ASSIGN_OR_RETURN(const Floor floor, LeastCost(space, member));
  if (floor.cost.*member <= *limit) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: at least {} {}; asked: {}", what,
                                                show(floor.cost.*member),
                                                DescribeWidths(floor.scheme), show(*limit)));
}

double Excess(int64_t value, const std::optional<int64_t>& limit) {
  if (!limit || value <= *limit) return 0.0;
  return static_cast<double>(value - *limit) / static_cast<double>(std::max<int64_t>(*limit, 1));
}

}  // namespace

Limits ResolveLimits(const RequestedLimits& requested, const Target& target,
                     const Reference& reference) {
  Limits limits;
  limits.max_latency_cycles =
      Resolve(requested.max_latency, reference.latency_cycles, target.clock_hz);
  limits.max_ram_bytes =
      Tighter(Resolve(requested.max_ram, reference.ram_bytes, 0), target.ram_bytes);
  limits.max_flash_bytes =
      Tighter(Resolve(requested.max_flash, reference.flash_bytes, 0), target.flash_bytes);
  if (requested.min_accuracy) {
    const bool relative = requested.min_accuracy->kind == RequestedLimit::Kind::kRelative;
    if (!relative) limits.min_accuracy = requested.min_accuracy->value;
    if (relative && reference.accuracy) {
      limits.min_accuracy = requested.min_accuracy->value * *reference.accuracy;
    }
  }
  return limits;
}

absl::Status CheckFloors(const SearchSpace& space, const Limits& limits, const Target& target) {
  MICO_RETURN_IF_ERROR(
      CheckFloor(space, &Cost::flash_bytes, limits.max_flash_bytes, "flash", Bytes));
  MICO_RETURN_IF_ERROR(
      CheckFloor(space, &Cost::peak_ram_bytes, limits.max_ram_bytes, "RAM", Bytes));
  return CheckFloor(space, &Cost::latency_cycles, limits.max_latency_cycles, "latency",
                    [&target](int64_t count) { return Counts(count, target); });
}

double Violation(const Trial& trial, const Limits& limits) {
  double sum = Excess(trial.cost.latency_cycles, limits.max_latency_cycles) +
               Excess(trial.cost.peak_ram_bytes, limits.max_ram_bytes) +
               Excess(trial.cost.flash_bytes, limits.max_flash_bytes);
  if (limits.min_accuracy) sum += std::max(0.0, *limits.min_accuracy - trial.accuracy());
  return sum;
}

std::string DescribeViolations(const Trial& trial, const Limits& limits) {
  std::vector<std::string> parts;
  const auto compare = [&parts](std::string_view what, int64_t value,
                                const std::optional<int64_t>& limit) {
    if (limit && value > *limit) {
      parts.push_back(fmt::format("{} {} (at most {})", what, value, *limit));
    }
  };
  compare("latency", trial.cost.latency_cycles, limits.max_latency_cycles);
  compare("RAM", trial.cost.peak_ram_bytes, limits.max_ram_bytes);
  compare("flash", trial.cost.flash_bytes, limits.max_flash_bytes);
  if (limits.min_accuracy && trial.total > 0 && trial.accuracy() < *limits.min_accuracy) {
    parts.push_back(fmt::format("accuracy {:.2f} % (at least {:.2f} %)", 100 * trial.accuracy(),
                                100 * *limits.min_accuracy));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace mico
