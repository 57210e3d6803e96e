#pragma once

#include <cstdint>
#include <vector>

// A small classifier for a benchmark, trained where it is needed in a few seconds. C++17 like
// everything that sees libtorch's headers (worker/torch/convolution.h says why).
namespace mico {

// One layer: a 3x3 convolution of stride 1 or 2 with padding 1 and ReLU, or at the end a pointwise
// one behind a mean over all positions.
struct DigitsLayer {
  int64_t in_channels = 0, out_channels = 0, stride = 1, kernel = 3;
  std::vector<float> weights;  // [out][in][kernel][kernel]
  std::vector<float> bias;
};

// Trains `layers` (their sizes; weights are written) on `count` images of `side` x `side` values
// in [0, 1] with labels below 10. The same seed gives the same network on one machine.
void TrainDigits(const std::vector<float>& images, const std::vector<int64_t>& labels,
                 int64_t count, int64_t side, uint64_t seed, std::vector<DigitsLayer>& layers);

}  // namespace mico
