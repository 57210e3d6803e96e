#include "worker/torch/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>

namespace mico {
namespace {

// NHWC memory seen as the [N, C, H, W] tensor that libtorch works on.
at::Tensor Wrap(const float* values, int64_t count, int64_t channels, int64_t height,
                int64_t width) {
  const std::array<int64_t, 4> sizes{count, channels, height, width};
  const std::array<int64_t, 4> strides{height * width * channels, 1, width * channels, channels};
  return at::from_blob(const_cast<float*>(values), sizes, strides, at::kFloat);
}

}  // namespace

struct Convolution::State {
  ConvolutionSizes sizes;
  at::Tensor weights, bias;
};

Convolution::Convolution(const ConvolutionSizes& sizes, const float* weights, const float* bias)
    : state_(std::make_unique<State>()) {
  const c10::InferenceMode inference;
  state_->sizes = sizes;
  state_->weights = Wrap(weights, sizes.out_channels, sizes.in_channels / sizes.groups,
                         sizes.kernel_height, sizes.kernel_width)
                        .clone(at::MemoryFormat::ChannelsLast);
  state_->bias = at::empty({sizes.out_channels}, at::kFloat);
  std::copy_n(bias, sizes.out_channels, state_->bias.data_ptr<float>());
}

Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;

std::shared_ptr<float> Convolution::Run(const float* input, int64_t count, int64_t height,
                                        int64_t width) const {
  const c10::InferenceMode inference;
  const ConvolutionSizes& sizes = state_->sizes;
  const std::array<int64_t, 2> strides{sizes.stride_height, sizes.stride_width};
  const std::array<int64_t, 2> padding{sizes.padding_rows, sizes.padding_columns};
  const std::array<int64_t, 2> dilation{sizes.dilation_height, sizes.dilation_width};
  const at::Tensor tensor = Wrap(input, count, sizes.in_channels, height, width);
  // libtorch may answer in NCHW where a shape can be read as either; contiguous() settles it.
  const at::Tensor output =
      at::conv2d(tensor, state_->weights, state_->bias, strides, padding, dilation, sizes.groups)
          .contiguous(at::MemoryFormat::ChannelsLast);
  return std::shared_ptr<float>(output.data_ptr<float>(), [output](float*) {});
}

void UseOneLibtorchThread() { at::set_num_threads(1); }

}  // namespace mico
