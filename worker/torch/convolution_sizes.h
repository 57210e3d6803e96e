#pragma once

#include "model/graph.h"
#include "worker/torch/batch_tensor.h"
#include "worker/torch/convolution.h"

namespace mico {

// What libtorch needs to know of a layer. Padding that differs between sides is left out: Padded
// writes it into the input first.
ConvolutionSizes SizesOf(const ConvAttributes& conv, int64_t in_channels);
BatchTensor Padded(const BatchTensor& input, const ConvAttributes& conv);

}  // namespace mico
