#include "worker/torch/convolution_sizes.h"

namespace mico {
namespace {

bool IsSymmetric(const Padding& padding) {
  return padding.top == padding.bottom && padding.left == padding.right;
}

}  // namespace

ConvolutionSizes SizesOf(const ConvAttributes& conv, int64_t in_channels) {
  const bool symmetric = IsSymmetric(conv.padding);
  return {.in_channels = in_channels,
          .out_channels = conv.out_channels,
          .kernel_height = conv.kernel_height,
          .kernel_width = conv.kernel_width,
          .stride_height = conv.stride_height,
          .stride_width = conv.stride_width,
          .dilation_height = conv.dilation_height,
          .dilation_width = conv.dilation_width,
          .padding_rows = symmetric ? conv.padding.top : 0,
          .padding_columns = symmetric ? conv.padding.left : 0,
          .groups = conv.groups};
}

BatchTensor Padded(const BatchTensor& input, const ConvAttributes& conv) {
  const Padding& padding = conv.padding;
  if (IsSymmetric(padding)) return input;
  const Shape shape{input.shape.channels, input.shape.height + padding.top + padding.bottom,
                    input.shape.width + padding.left + padding.right};
  return Pad(input, {.padding = padding}, shape);
}

}  // namespace mico
