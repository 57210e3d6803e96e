#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "worker/torch/convolution.h"

// A quantized network as whoever trains it sees it: the steps and grids that LowerGraph and
// Quantize imply, in types that the C++17 files of libtorch can read.
namespace mico {

enum class TrainableKind {
  kConv,
  kAdd,
  kMaxPool,
  kAveragePool,
  kRelu,
  kConcat,
  kSlice,
  kPad,
  kRequantize,
};

struct TrainableStep {
  TrainableKind kind = TrainableKind::kConv;
  std::vector<int> inputs;  // indices of tensors
  int output = 0;
  // kConv, pools: kernel, strides, dilation and groups; the padding in it is not used.
  ConvolutionSizes window;
  // kConv, pools, kPad.
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int64_t pad_channels_before = 0, pad_channels_after = 0;  // kPad
  bool count_include_pad = false;                           // kAveragePool
  // kSlice: first element and distance for channels, rows, columns.
  int64_t slice_start[3] = {0, 0, 0};
  int64_t slice_step[3] = {1, 1, 1};
  // What the step does to its result: max(0, x), min(x, upper).
  bool relu = false, has_upper = false;
  double upper = 0.0;
  int layer = -1;  // kConv: index of a TrainableLayer
};

// One tensor, and the integers that it may hold. Several tensors may share a scale.
struct TrainableTensor {
  int64_t channels = 1, height = 1, width = 1;
  double lowest = 0.0, highest = 0.0;
  int scale = -1;  // index of a TrainableScale; -1: as fine as a float (16-bit outputs)
};

struct TrainableScale {
  double value = 1.0;
  bool is_learned = false;
};

// The grid of a layer's weights: scale * (-highest ... highest), at 1 bit scale * {-1, 1}.
struct TrainableLayer {
  std::vector<float> weights;  // [out][in / groups][kernel_h][kernel_w]
  std::vector<float> bias;     // [out]
  int weight_bits = 8;
  std::vector<double> scales;  // [out], positive
  // [out]: what goes with weights that are rounded to the nearest.
  std::vector<float> rounded_bias;

  // The largest integer of the grid.
  double highest() const { return weight_bits == 1 ? 1.0 : (1 << (weight_bits - 1)) - 1; }
};

// Steps in execution order; every tensor is written once, tensor `input` by nobody.
struct NetworkDescription {
  std::vector<TrainableTensor> tensors;
  std::vector<TrainableStep> steps;
  std::vector<TrainableScale> scales;
  std::vector<TrainableLayer> layers;
  int input = 0;

  // About what a tensor's values are: a quarter of the largest that its grid holds.
  double ReachOf(int tensor) const {
    const TrainableTensor& of = tensors[tensor];
    if (of.scale < 0) return 1.0;
    return std::max(of.highest, -of.lowest) / 4 * scales[of.scale].value;
  }
};

}  // namespace mico
