#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/exploration.pb.h"

namespace mico {

// Limits as people write them. "0.6x" is relative to the uniform 8-bit network; otherwise
//   latency   12ms, 800us, 1.5s, or a bare number of counts of the target's counter
//   bytes     65536, 64KiB, 1MiB, 96KB
//   accuracy  90%, 0.9
// InvalidArgument names the option, what was found and what is understood.
absl::StatusOr<v1::Limit> ParseLatencyLimit(std::string_view text);
absl::StatusOr<v1::Limit> ParseBytesLimit(std::string_view option, std::string_view text);
absl::StatusOr<v1::Limit> ParseAccuracyLimit(std::string_view text);

// "12.3 KiB", "1.2 MiB".
std::string FormatBytes(int64_t bytes);
// "1,234,567".
std::string FormatCount(int64_t count);
// "3m 20s".
std::string FormatSeconds(double seconds);

}  // namespace mico
