#include "worker/torch/batch_tensor.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

namespace mico {
namespace {

constexpr size_t kAlignment = 64;

}  // namespace

BatchTensor BatchTensor::Empty(int64_t count, const Shape& shape) {
  const auto bytes = static_cast<size_t>(count * shape.elements()) * sizeof(float);
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* memory = static_cast<float*>(std::aligned_alloc(kAlignment, rounded));
  if (memory == nullptr) throw std::bad_alloc();
  return {count, shape, std::shared_ptr<float>(memory, [](float* values) { std::free(values); })};
}

BatchTensor BatchTensor::Zeros(int64_t count, const Shape& shape) {
  BatchTensor tensor = Empty(count, shape);
  std::fill_n(tensor.data(), tensor.elements(), 0.0f);
  return tensor;
}

BatchTensor MaxPool(const BatchTensor& input, const PoolAttributes& pool, const Shape& out_shape) {
  BatchTensor output = BatchTensor::Empty(input.count, out_shape);
  const int64_t channels = input.shape.channels;
  // Padding is not part of the window: 0 could be larger than everything in it.
  const auto largest_of = [&](int64_t sample, int64_t row, int64_t column, WindowSpan rows,
                              WindowSpan columns) {
    float* result = output.At(sample, row, column);
    std::fill_n(result, channels, std::numeric_limits<float>::lowest());
    for (int64_t y = rows.first; y < rows.last; ++y) {
      for (int64_t x = columns.first; x < columns.last; ++x) {
        const float* pixel = input.At(sample, y, x);
        for (int64_t c = 0; c < channels; ++c) {
          result[c] = pixel[c] > result[c] ? pixel[c] : result[c];
        }
      }
    }
  };
  ForEachWindow(input, pool, out_shape, largest_of);
  return output;
}

BatchTensor Clamp(const BatchTensor& input, float lowest, float highest) {
  BatchTensor output = BatchTensor::Empty(input.count, input.shape);
  std::transform(input.data(), input.data() + input.elements(), output.data(), [&](float value) {
    const float raised = value < lowest ? lowest : value;
    return raised > highest ? highest : raised;
  });
  return output;
}

BatchTensor Concat(std::span<const BatchTensor> inputs, const Shape& out_shape) {
  BatchTensor output = BatchTensor::Empty(inputs[0].count, out_shape);
  float* place = output.data();
  for (const BatchTensor& input : inputs) {
    const int64_t channels = input.shape.channels;
    for (int64_t position = 0; position < input.positions(); ++position) {
      std::copy_n(input.data() + position * channels, channels,
                  place + position * out_shape.channels);
    }
    place += channels;
  }
  return output;
}

BatchTensor Slice(const BatchTensor& input, const SliceAttributes& slice, const Shape& out_shape) {
  BatchTensor output = BatchTensor::Empty(input.count, out_shape);
  float* out = output.data();
  for (int64_t sample = 0; sample < input.count; ++sample) {
    for (int64_t row = 0; row < out_shape.height; ++row) {
      for (int64_t column = 0; column < out_shape.width; ++column) {
        const float* from = input.At(sample, slice.start_row + row * slice.step_row,
                                     slice.start_column + column * slice.step_column) +
                            slice.start_channel;
        for (int64_t c = 0; c < out_shape.channels; ++c) *out++ = from[c * slice.step_channel];
      }
    }
  }
  return output;
}

BatchTensor Pad(const BatchTensor& input, const PadAttributes& pad, const Shape& out_shape) {
  BatchTensor output = BatchTensor::Zeros(input.count, out_shape);
  for (int64_t sample = 0; sample < input.count; ++sample) {
    for (int64_t row = 0; row < input.shape.height; ++row) {
      for (int64_t column = 0; column < input.shape.width; ++column) {
        std::copy_n(input.At(sample, row, column), input.shape.channels,
                    output.At(sample, row + pad.padding.top, column + pad.padding.left) +
                        pad.channels_before);
      }
    }
  }
  return output;
}

}  // namespace mico
