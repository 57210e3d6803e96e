#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "model/graph.h"
#include "quant/window.h"

namespace mico {

// Values of some samples, [count][height][width][channels] float32. Copies share the values.
struct BatchTensor {
  int64_t count = 0;
  Shape shape;
  std::shared_ptr<float> values;

  // Not initialised.
  static BatchTensor Empty(int64_t count, const Shape& shape);
  static BatchTensor Zeros(int64_t count, const Shape& shape);

  int64_t elements() const { return count * shape.elements(); }
  int64_t positions() const { return count * shape.height * shape.width; }
  float* data() const { return values.get(); }
  std::span<const float> span() const { return {values.get(), static_cast<size_t>(elements())}; }
  // One position's channels.
  float* At(int64_t sample, int64_t row, int64_t column) const {
    return data() + ((sample * shape.height + row) * shape.width + column) * shape.channels;
  }
};

// Operators that only move values, for integers and floats alike.
BatchTensor MaxPool(const BatchTensor& input, const PoolAttributes& pool, const Shape& out_shape);
BatchTensor Clamp(const BatchTensor& input, float lowest, float highest);
BatchTensor Concat(std::span<const BatchTensor> inputs, const Shape& out_shape);
BatchTensor Slice(const BatchTensor& input, const SliceAttributes& slice, const Shape& out_shape);
BatchTensor Pad(const BatchTensor& input, const PadAttributes& pad, const Shape& out_shape);

// Calls visit(sample, row, column, rows inside, columns inside) for every output position of a
// pool; the last two are spans of input rows and columns (quant/window.h).
template <typename Visit>
void ForEachWindow(const BatchTensor& input, const PoolAttributes& pool, const Shape& out_shape,
                   Visit visit) {
  for (int64_t row = 0; row < out_shape.height; ++row) {
    const WindowSpan rows = RowsOf(pool, input.shape, row);
    for (int64_t column = 0; column < out_shape.width; ++column) {
      const WindowSpan columns = ColumnsOf(pool, input.shape, column);
      for (int64_t sample = 0; sample < input.count; ++sample) {
        visit(sample, row, column, rows, columns);
      }
    }
  }
}

}  // namespace mico
