#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace mico {

// A positive real factor as integers: factor = multiplier * 2^-(32 + shift).
struct FixedPointScale {
  int32_t multiplier = 1 << 30;  // in [2^30, 2^31)
  int shift = 0;                 // in [-30, 29]
  friend bool operator==(const FixedPointScale&, const FixedPointScale&) = default;
};

// The nearest FixedPointScale. OutOfRange if `factor` is not in [2^-31, 2^29) or not finite.
absl::StatusOr<FixedPointScale> ToFixedPoint(double factor);

// The rounding term r that is added to the bias when shift >= 0: round(2^(31 + shift) /
// multiplier), halves up; 0 when shift < 0.
int32_t RoundingTerm(FixedPointScale scale);

// The requantization of docs/formats/requantization.md, before clamping. `accumulator` already
// contains the bias and, for shift >= 0, the rounding term. Exact: the generated C performs the
// same integer operations in the same order.
//   shift >= 0: floor(accumulator * multiplier / 2^(32 + shift))
//   shift <  0: floor((accumulator * multiplier + 2^(31 + shift)) / 2^(32 + shift))
// A result outside int32 (possible only with shift < 0) is given as the nearest int32: every caller
// clamps to at most 16 bits, so nobody sees the difference.
int32_t Requantize(int32_t accumulator, FixedPointScale scale);

}  // namespace mico
