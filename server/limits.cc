#include "server/limits.h"

#include <algorithm>
#include <cmath>
#include <functional>
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

std::optional<double> ResolveValue(const std::optional<RequestedLimit>& limit,
                                   const std::optional<double>& reference) {
  if (!limit) return std::nullopt;
  if (limit->kind != RequestedLimit::Kind::kRelative) return limit->value;
  if (!reference) return std::nullopt;
  return limit->value * *reference;
}

std::optional<int64_t> Tighter(std::optional<int64_t> limit, int64_t capacity) {
  if (capacity <= 0) return limit;
  return limit ? std::min(*limit, capacity) : capacity;
}

std::string ExactBytes(int64_t bytes) { return fmt::format("{} bytes", bytes); }

std::string Bytes(int64_t bytes) {
  return bytes < 10'000 ? ExactBytes(bytes)
                        : fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024.0);
}

std::string Counts(int64_t count, const Target& target) {
  return fmt::format("{} {}", count, ToString(target.counts));
}

// One digit a layer, as in the tables of fronts.
std::string Digits(const BitScheme& scheme, int LayerBits::*width) {
  std::string digits;
  for (const LayerBits& layer : scheme.layers()) digits += std::to_string(layer.*width);
  return digits;
}

bool AllWeightsAlike(const BitScheme& scheme) {
  return std::all_of(scheme.layers().begin(), scheme.layers().end(), [&](const LayerBits& layer) {
    return layer.weight_bits == scheme[0].weight_bits;
  });
}

// Something that is limited, and how its amounts are told.
struct Resource {
  std::string_view name;
  int64_t Cost::*amount;
  std::optional<int64_t> limit;
  int64_t capacity = 0;  // what the target has; 0: as much as is asked for
  std::function<std::string(int64_t)> show, show_exactly;
};

// "with every weight at 1 bit", or what else makes it the least. Flash does not see the inputs.
std::string DescribeWidths(const BitScheme& scheme, const Resource& resource) {
  if (resource.amount == &Cost::flash_bytes && scheme.size() > 0 && AllWeightsAlike(scheme)) {
    const int bits = scheme[0].weight_bits;
    return fmt::format("with every weight at {} bit{}", bits, bits == 1 ? "" : "s");
  }
  return fmt::format("with weights of {} and inputs of {} bits",
                     Digits(scheme, &LayerBits::weight_bits),
                     Digits(scheme, &LayerBits::input_bits));
}

std::string DescribeFloor(const Resource& resource, const Floor& floor, const Target& target) {
  const int64_t least = floor.cost.*resource.amount;
  const int64_t limit = *resource.limit;
  // Amounts that differ must look different.
  const auto& show =
      resource.show(least) == resource.show(limit) ? resource.show_exactly : resource.show;
  const std::string whose =
      limit == resource.capacity ? fmt::format("target '{}' has", target.name) : "asked";
  return fmt::format("{}: at least {} {}; {}: {}", resource.name, show(least),
                     DescribeWidths(floor.scheme, resource), whose, show(limit));
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
  limits.min_accuracy = ResolveValue(requested.min_accuracy, reference.value);
  limits.max_error = ResolveValue(requested.max_error, reference.value);
  return limits;
}

bool NeedsReferenceValue(const RequestedLimits& requested) {
  const auto relative = [](const std::optional<RequestedLimit>& limit) {
    return limit && limit->kind == RequestedLimit::Kind::kRelative;
  };
  return relative(requested.min_accuracy) || relative(requested.max_error);
}

absl::Status CheckFloors(const SearchSpace& space, const Limits& limits, const Target& target) {
  const auto counts = [&target](int64_t count) { return Counts(count, target); };
  const Resource resources[] = {
      {"flash", &Cost::flash_bytes, limits.max_flash_bytes, target.flash_bytes, Bytes, ExactBytes},
      {"RAM", &Cost::peak_ram_bytes, limits.max_ram_bytes, target.ram_bytes, Bytes, ExactBytes},
      {"latency", &Cost::latency_cycles, limits.max_latency_cycles, 0, counts, counts}};
  std::vector<std::string> missed;
  for (const Resource& resource : resources) {
    if (!resource.limit) continue;
    MICO_ASSIGN_OR_RETURN(const Floor floor, LeastCost(space, resource.amount));
    if (floor.cost.*resource.amount <= *resource.limit) continue;
    missed.push_back(DescribeFloor(resource, floor, target));
  }
  if (missed.empty()) return absl::OkStatus();
  if (missed.size() == 1) return absl::InvalidArgumentError(missed[0]);
  return absl::InvalidArgumentError(
      fmt::format("{} limits cannot be met:\n  {}", missed.size(), fmt::join(missed, "\n  ")));
}

std::optional<std::string> WarnAboutSeconds(const RequestedLimits& requested,
                                            const Target& target) {
  const std::optional<RequestedLimit>& limit = requested.max_latency;
  if (!limit || limit->kind != RequestedLimit::Kind::kSeconds ||
      target.counts != CounterKind::kInstructions) {
    return std::nullopt;
  }
  return fmt::format(
      "max-latency: {:g} ms is taken as {} instructions, one a cycle at {:g} MHz: target '{}' "
      "counts instructions, not time",
      1e3 * limit->value, Resolve(limit, std::nullopt, target.clock_hz).value_or(0),
      static_cast<double>(target.clock_hz) / 1e6, target.name);
}

double Violation(const Trial& trial, const Limits& limits) {
  double sum = Excess(trial.cost.latency_cycles, limits.max_latency_cycles) +
               Excess(trial.cost.peak_ram_bytes, limits.max_ram_bytes) +
               Excess(trial.cost.flash_bytes, limits.max_flash_bytes);
  if (limits.min_accuracy) sum += std::max(0.0, *limits.min_accuracy - trial.val.value);
  if (limits.max_error) sum += std::max(0.0, trial.val.value / *limits.max_error - 1.0);
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
  const Metric metric = trial.val.metric;
  const std::string_view name = metric == Metric::kTop1 ? "accuracy" : ToString(metric);
  if (limits.min_accuracy && trial.val.measured() && trial.val.value < *limits.min_accuracy) {
    parts.push_back(fmt::format("{} {} (at least {})", name, FormatValue(metric, trial.val.value),
                                FormatValue(metric, *limits.min_accuracy)));
  }
  if (limits.max_error && trial.val.measured() && trial.val.value > *limits.max_error) {
    parts.push_back(fmt::format("{} {} (at most {})", name, FormatValue(metric, trial.val.value),
                                FormatValue(metric, *limits.max_error)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace mico
