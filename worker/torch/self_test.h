#pragma once

#include "absl/status/status.h"

namespace mico {

// Convolutions of integers in float32 and float64 on this machine against integer arithmetic, in
// shapes for which a library could choose an algorithm that is not exact (Winograd, FFT, reduced
// precision). Internal with the first difference.
absl::Status CheckConvolutionsAreExact();

}  // namespace mico
