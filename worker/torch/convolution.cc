#include "worker/torch/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <type_traits>

namespace mico {
namespace {

template <typename T>
at::TensorOptions OptionsOf() {
  return at::TensorOptions(std::is_same_v<T, double> ? at::kDouble : at::kFloat);
}

// NHWC memory seen as the [N, C, H, W] tensor that libtorch works on.
template <typename T>
at::Tensor Wrap(const T* values, int64_t count, int64_t channels, int64_t height, int64_t width) {
  const std::array<int64_t, 4> sizes{count, channels, height, width};
  const std::array<int64_t, 4> strides{height * width * channels, 1, width * channels, channels};
  return at::from_blob(const_cast<T*>(values), sizes, strides, OptionsOf<T>());
}

}  // namespace

template <typename T>
struct Convolution<T>::State {
  ConvolutionSizes sizes;
  at::Tensor weights, bias;
};

template <typename T>
Convolution<T>::Convolution(const ConvolutionSizes& sizes, const T* weights, const T* bias)
    : state_(std::make_unique<State>()) {
  const c10::InferenceMode inference;
  state_->sizes = sizes;
  state_->weights = Wrap(weights, sizes.out_channels, sizes.in_channels / sizes.groups,
                         sizes.kernel_height, sizes.kernel_width)
                        .clone(at::MemoryFormat::ChannelsLast);
  if (bias == nullptr) return;
  state_->bias = at::empty({sizes.out_channels}, OptionsOf<T>());
  std::copy_n(bias, sizes.out_channels, state_->bias.template data_ptr<T>());
}

template <typename T>
Convolution<T>::~Convolution() = default;
template <typename T>
Convolution<T>::Convolution(Convolution&&) noexcept = default;
template <typename T>
Convolution<T>& Convolution<T>::operator=(Convolution&&) noexcept = default;

template <typename T>
std::shared_ptr<T> Convolution<T>::Run(const T* input, int64_t count, int64_t height,
                                       int64_t width) const {
  const c10::InferenceMode inference;
  const ConvolutionSizes& sizes = state_->sizes;
  const std::array<int64_t, 2> strides{sizes.stride_height, sizes.stride_width};
  const std::array<int64_t, 2> padding{sizes.padding_rows, sizes.padding_columns};
  const std::array<int64_t, 2> dilation{sizes.dilation_height, sizes.dilation_width};
  const at::Tensor tensor = Wrap(input, count, sizes.in_channels, height, width);
  // libtorch may answer in NCHW where a shape can be read as either; contiguous() settles it.
  const at::Tensor output =
      (state_->bias.defined()
           ? at::conv2d(tensor, state_->weights, state_->bias, strides, padding, dilation,
                        sizes.groups)
           : at::conv2d(tensor, state_->weights, {}, strides, padding, dilation, sizes.groups))
          .contiguous(at::MemoryFormat::ChannelsLast);
  T* values = output.template data_ptr<T>();
  return std::shared_ptr<T>(values, [output](T*) {});
}

template class Convolution<float>;
template class Convolution<double>;

void UseOneLibtorchThread() { at::set_num_threads(1); }

}  // namespace mico
