#include "quant/requantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace mico {

absl::StatusOr<FixedPointScale> ToFixedPoint(double factor) {
  if (!(factor >= 0x1p-31 && factor < 0x1p29)) {
    return absl::OutOfRangeError(
        fmt::format("requantization factor {}; needed from 2^-31 to below 2^29", factor));
  }
  int exponent = 0;
  const double fraction = std::frexp(factor, &exponent);  // in [1/2, 1)
  int64_t multiplier = static_cast<int64_t>(std::floor(fraction * 0x1p31 + 0.5));
  if (multiplier == int64_t{1} << 31) {
    if (exponent == 29) return FixedPointScale{std::numeric_limits<int32_t>::max(), -30};
    multiplier /= 2;
    ++exponent;
  }
  return FixedPointScale{static_cast<int32_t>(multiplier), -1 - exponent};
}

int32_t RoundingTerm(FixedPointScale scale) {
  if (scale.shift < 0) return 0;
  const int64_t twice = int64_t{1} << (32 + scale.shift);
  return static_cast<int32_t>((twice + scale.multiplier) / (int64_t{2} * scale.multiplier));
}

int32_t Requantize(int32_t accumulator, FixedPointScale scale) {
  int64_t product = static_cast<int64_t>(accumulator) * scale.multiplier;
  if (scale.shift < 0) product += int64_t{1} << (31 + scale.shift);
  const int64_t result = product >> (32 + scale.shift);
  return static_cast<int32_t>(std::clamp<int64_t>(result, std::numeric_limits<int32_t>::min(),
                                                  std::numeric_limits<int32_t>::max()));
}

}  // namespace mico
