#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/exploration.pb.h"

namespace mico {

// Limits as people write them. "0.6x" is relative to the uniform 8-bit network; otherwise
//   latency   12ms, 800us, 1.5s, or a bare number of counts of the target's counter
//   bytes     65536, 64KiB, 1MiB, 96KB
//   accuracy  90%, 0.9
//   error     0.012
// InvalidArgument names the option, what was found and what is understood.
absl::StatusOr<v1::Limit> ParseLatencyLimit(std::string_view text);
absl::StatusOr<v1::Limit> ParseBytesLimit(std::string_view option, std::string_view text);
absl::StatusOr<v1::Limit> ParseAccuracyLimit(std::string_view text);
absl::StatusOr<v1::Limit> ParseErrorLimit(std::string_view text);
// A number above 0 and nothing else: "20", "0.5".
absl::StatusOr<double> ParseAmount(std::string_view option, std::string_view text);

// A whole number in decimal and nothing else; nothing where it is none or does not fit T.
template <typename T>
std::optional<T> ParseWholeNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "12.3 KiB", "1.2 MiB".
std::string FormatBytes(int64_t bytes);
// "1,234,567".
std::string FormatCount(int64_t count);
// "3m 20s"; "1h 05m"; "2d 03h".
std::string FormatSeconds(double seconds);

}  // namespace mico
