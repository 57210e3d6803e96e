#pragma once

#include <cstdint>
#include <memory>

// The one door to libtorch. C++17, and no header of ours: those of Debian's libtorch do not compile
// as C++20 with clang.
namespace mico {

// Tensors are [count][height][width][channels] (NHWC), padding is with zeros, the same on both
// sides.
struct ConvolutionSizes {
  int64_t in_channels = 1, out_channels = 1;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t dilation_height = 1, dilation_width = 1;
  int64_t padding_rows = 0, padding_columns = 0;
  int64_t groups = 1;
};

// A convolution in float with libtorch, on the calling thread alone. Thread-safe to run.
// Throws what libtorch throws (std::exception).
class Convolution {
 public:
  // weights: [out][kernel_h][kernel_w][in / groups]; bias: [out]. Both are copied.
  Convolution(const ConvolutionSizes& sizes, const float* weights, const float* bias);
  ~Convolution();
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;

  // The output for `count` samples, in memory of libtorch.
  std::shared_ptr<float> Run(const float* input, int64_t count, int64_t height,
                             int64_t width) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// libtorch splits no call of this thread over others: samples are split over threads instead.
void UseOneLibtorchThread();

}  // namespace mico
