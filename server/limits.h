#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proto/messages.h"
#include "search/strategy.h"

namespace mico {

// What relative limits refer to: the network with every layer at its widest. Fields are absent
// while they are not known.
struct Reference {
  std::optional<int64_t> latency_cycles, ram_bytes, flash_bytes;
  std::optional<double> value;  // of the metric, on val
};

// The limits that can be said in absolute numbers now; those that lack their reference are absent.
// The memory of the target is a limit too.
Limits ResolveLimits(const RequestedLimits& requested, const Target& target,
                     const Reference& reference);

// Whether one of them is relative to what the widest network scores.
bool NeedsReferenceValue(const RequestedLimits& requested);

// InvalidArgument if limits on something that `space.cost` knows cannot be met by any scheme, a
// line for each of them: "flash: at least 212 KiB with every weight at 1 bit; asked: 180 KiB".
absl::Status CheckFloors(const SearchSpace& space, const Limits& limits, const Target& target);

// What the reader of a limit in seconds must know where the target counts instructions.
std::optional<std::string> WarnAboutSeconds(const RequestedLimits& requested, const Target& target);

// Why a finished trial is outside the limits, by how much: "latency 1200 (at most 1000)".
std::string DescribeViolations(const Trial& trial, const Limits& limits);
// 0 inside the limits; otherwise the sum of relative excesses.
double Violation(const Trial& trial, const Limits& limits);

}  // namespace mico
