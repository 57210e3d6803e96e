#include "worker/torch/trainable_network.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>
#include <limits>

#include "worker/torch/fake_quantize.h"

namespace mico {
namespace {

constexpr double kUnlimited = std::numeric_limits<float>::max();

// A copy of `values` with libtorch's own memory.
at::Tensor CopyOf(const std::vector<float>& values, at::IntArrayRef sizes) {
  return at::from_blob(const_cast<float*>(values.data()), sizes, at::kFloat).clone();
}

bool IsPadded(const TrainableStep& step) {
  return step.pad_top != 0 || step.pad_left != 0 || step.pad_bottom != 0 || step.pad_right != 0;
}

at::Tensor Padded(const TrainableStep& step, const at::Tensor& x, double value) {
  if (!IsPadded(step)) return x;
  const std::array<int64_t, 4> sides{step.pad_left, step.pad_right, step.pad_top, step.pad_bottom};
  return at::constant_pad_nd(x, sides, value);
}

at::Tensor RunConvolution(const TrainableStep& step, const LayerTensors& layer,
                          const at::Tensor& x) {
  const ConvolutionSizes& window = step.window;
  const bool symmetric = step.pad_top == step.pad_bottom && step.pad_left == step.pad_right;
  const std::array<int64_t, 2> strides{window.stride_height, window.stride_width};
  const std::array<int64_t, 2> dilation{window.dilation_height, window.dilation_width};
  const std::array<int64_t, 2> padding{symmetric ? step.pad_top : 0, symmetric ? step.pad_left : 0};
  return at::conv2d(symmetric ? x : Padded(step, x, 0.0), layer.weights, layer.bias, strides,
                    padding, dilation, window.groups);
}

// The mean of what lies inside; with count_include_pad, of all.
at::Tensor RunAveragePool(const TrainableStep& step, const at::Tensor& x) {
  const std::array<int64_t, 2> kernel{step.window.kernel_height, step.window.kernel_width};
  const std::array<int64_t, 2> strides{step.window.stride_height, step.window.stride_width};
  at::Tensor mean = at::avg_pool2d(Padded(step, x, 0.0), kernel, strides);
  if (step.count_include_pad || !IsPadded(step)) return mean;
  const at::Tensor ones = at::ones({1, 1, x.size(2), x.size(3)}, x.options());
  return mean / at::avg_pool2d(Padded(step, ones, 0.0), kernel, strides);
}

at::Tensor RunMaxPool(const TrainableStep& step, const at::Tensor& x) {
  const std::array<int64_t, 2> kernel{step.window.kernel_height, step.window.kernel_width};
  const std::array<int64_t, 2> strides{step.window.stride_height, step.window.stride_width};
  return at::max_pool2d(Padded(step, x, -kUnlimited), kernel, strides);
}

at::Tensor RunSlice(const TrainableStep& step, const TrainableTensor& output, at::Tensor x) {
  const std::array<int64_t, 3> sizes{output.channels, output.height, output.width};
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t start = step.slice_start[axis], distance = step.slice_step[axis];
    x = x.slice(axis + 1, start, start + (sizes[axis] - 1) * distance + 1, distance);
  }
  return x;
}

at::Tensor RunPad(const TrainableStep& step, const at::Tensor& x) {
  const std::array<int64_t, 6> sides{
      step.pad_left,   step.pad_right,           step.pad_top,
      step.pad_bottom, step.pad_channels_before, step.pad_channels_after};
  return at::constant_pad_nd(x, sides, 0.0);
}

// Whether a step computes, and so puts its result on a grid; others move what is on one.
bool Computes(TrainableKind kind) {
  return kind == TrainableKind::kConv || kind == TrainableKind::kAdd ||
         kind == TrainableKind::kAveragePool || kind == TrainableKind::kRequantize;
}

}  // namespace

TrainableNetwork::TrainableNetwork(const NetworkDescription& description)
    : description_(description) {
  layers_.resize(description.layers.size());
  for (const TrainableStep& step : description.steps) {
    if (step.kind != TrainableKind::kConv) continue;
    const TrainableLayer& layer = description.layers[step.layer];
    const ConvolutionSizes& window = step.window;
    layers_[step.layer].weights =
        CopyOf(layer.weights, {window.out_channels, window.in_channels / window.groups,
                               window.kernel_height, window.kernel_width})
            .contiguous(at::MemoryFormat::ChannelsLast);
    layers_[step.layer].bias = CopyOf(layer.bias, {window.out_channels});
  }
  for (const TrainableScale& scale : description.scales) {
    log_scales_.push_back(at::full({1}, std::log(scale.value), at::kDouble));
  }
}

void TrainableNetwork::Run(int first, int last, const LayerOf& layer_of,
                           const LogScaleOf& log_scale_of, const PassOptions& options,
                           std::vector<at::Tensor>& tensors) const {
  for (int i = first; i < last; ++i) {
    const TrainableStep& step = description_.steps[i];
    PassOptions of_step = options;
    of_step.seed = (options.seed + static_cast<uint64_t>(i)) * 0x9E3779B97F4A7C15u;
    tensors[step.output] = Finish(step, log_scale_of, of_step, RunStep(step, layer_of, tensors));
  }
}

at::Tensor TrainableNetwork::RunStep(const TrainableStep& step, const LayerOf& layer_of,
                                     const std::vector<at::Tensor>& tensors) const {
  const at::Tensor& x = tensors[step.inputs[0]];
  switch (step.kind) {
    case TrainableKind::kConv:
      return RunConvolution(step, layer_of(step.layer), x);
    case TrainableKind::kAdd:
      return x + tensors[step.inputs[1]];
    case TrainableKind::kMaxPool:
      return RunMaxPool(step, x);
    case TrainableKind::kAveragePool:
      return RunAveragePool(step, x);
    case TrainableKind::kConcat: {
      std::vector<at::Tensor> inputs;
      for (const int input : step.inputs) inputs.push_back(tensors[input]);
      return at::cat(inputs, 1);
    }
    case TrainableKind::kSlice:
      return RunSlice(step, description_.tensors[step.output], x);
    case TrainableKind::kPad:
      return RunPad(step, x);
    case TrainableKind::kRelu:
    case TrainableKind::kRequantize:
      break;
  }
  return x;
}

at::Tensor TrainableNetwork::Finish(const TrainableStep& step, const LogScaleOf& log_scale_of,
                                    const PassOptions& options, const at::Tensor& result) const {
  const TrainableTensor& tensor = description_.tensors[step.output];
  const double least = step.relu ? 0.0 : -kUnlimited;
  const double most = step.has_upper ? step.upper : kUnlimited;
  if (options.quantized && tensor.scale >= 0 && Computes(step.kind)) {
    return FakeQuantize(
        result.contiguous(at::MemoryFormat::ChannelsLast), log_scale_of(tensor.scale),
        {tensor.lowest, tensor.highest, least, most, options.dropped, options.seed});
  }
  if (!step.relu && !step.has_upper) return result;
  return at::clamp(result, least, most);
}

at::Tensor TrainableNetwork::OnGrid(int index, const at::Tensor& values) const {
  const TrainableTensor& tensor = description_.tensors[index];
  if (tensor.scale < 0) return values;
  return FakeQuantize(values.contiguous(at::MemoryFormat::ChannelsLast), log_scales_[tensor.scale],
                      {tensor.lowest, tensor.highest, -kUnlimited, kUnlimited, 0.0, 0});
}

}  // namespace mico
