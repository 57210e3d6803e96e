#pragma once

#include "absl/status/statusor.h"
#include "model/model_package.h"

namespace mico {

// Equalization across layers (Nagel et al. 2019, "Data-Free Quantization Through Weight
// Equalization and Bias Correction", section 4.1): where a layer's output is read by one other
// layer alone, each channel between the two may be divided by a factor in the first and multiplied
// by it in the second. Factors sqrt(range in the first / range in the second) give all channels of
// the tensor between them a say in its one scale.
//
// Done only where one of the two layers is depthwise and the factors differ by kEqualizedSpread and
// more: elsewhere weights have a scale per channel anyway, and nothing is gained. Not across a
// ReLU6 or its like, whose limit would move.
//
// Factors are powers of two: every float that the network computes outside of the equalized
// tensors stays the same, bit for bit. Pure, from the weights alone; applying it again changes
// nothing that matters. A package without such layers comes back as it is.
inline constexpr double kEqualizedSpread = 16.0;
absl::StatusOr<ModelPackage> EqualizeChannels(ModelPackage package);

}  // namespace mico
