#include "worker/integers/kernels.h"

#include <algorithm>
#include <vector>

#include "quant/window.h"
#include "worker/integers/requantize_table.h"
#include "worker/integers/vector_targets.h"

namespace mico {
namespace {

// Calls use(pointer to the elements in their own type).
template <typename Use>
void WithElements(const IntegerBatch& batch, const Use& use) {
  if (batch.type.bits > 8) return use(batch.As<int16_t>());
  if (batch.type.is_signed) return use(batch.As<int8_t>());
  use(batch.As<uint8_t>());
}
// The same for what is stored in bytes.
template <typename Use>
void WithBytes(const IntegerBatch& batch, const Use& use) {
  if (batch.type.is_signed) return use(batch.As<int8_t>());
  use(batch.As<uint8_t>());
}

template <typename A, typename B, typename Out>
struct AddLoop {
  const A* a;
  const B* b;
  Out* out;
  int64_t elements;
  const StepNumbers& numbers;

  MICO_INLINE void operator()() const {
    const int32_t multiplier_a = numbers.multiplier_a, multiplier_b = numbers.multiplier_b;
    const int32_t shift = numbers.shift, half = int32_t{1} << (shift - 1);
    const int32_t lowest = numbers.lowest, highest = numbers.highest;
    const int64_t count = elements;
    const A* first = a;
    const B* second = b;
    Out* result = out;
    MICO_IVDEP
    for (int64_t i = 0; i < count; ++i) {
      const int32_t sum = int32_t{first[i]} * multiplier_a + int32_t{second[i]} * multiplier_b;
      result[i] = static_cast<Out>(std::min(std::max((sum + half) >> shift, lowest), highest));
    }
  }
};

template <typename T>
struct LargestLoop {
  const T* values;
  T* largest;
  int64_t elements;

  MICO_INLINE void operator()() const {
    // Members are read once: a byte that is written could be one of them.
    const T* in = values;
    T* out = largest;
    const int64_t count = elements;
    MICO_IVDEP
    for (int64_t i = 0; i < count; ++i) out[i] = std::max(in[i], out[i]);
  }
};

// Adds up the positions of a window, channel by channel.
template <typename T>
struct SumLoop {
  const T* first;                // the window's first position
  int64_t rows, columns;         // positions
  int64_t row_stride, channels;  // elements
  int32_t* sums;

  MICO_INLINE void operator()() const {
    // Members are read once: what is written could be one of them.
    int32_t* out = sums;
    const int64_t count = channels;
    for (int64_t y = 0; y < rows; ++y) {
      for (int64_t x = 0; x < columns; ++x) {
        const T* in = first + y * row_stride + x * count;
        MICO_IVDEP
        for (int64_t i = 0; i < count; ++i) out[i] += in[i];
      }
    }
  }
};

int64_t IndexOf(const Shape& shape, int64_t sample, int64_t row, int64_t column) {
  return ((sample * shape.height + row) * shape.width + column) * shape.channels;
}

// Calls visit(sample, row, column, rows inside, columns inside) for every output position.
template <typename Visit>
void ForEachWindow(const IntegerBatch& input, const PoolAttributes& pool, const Shape& out_shape,
                   const Visit& visit) {
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

// Which of the pool's divisors stands for a window with `inside` elements inside the input.
size_t DivisorIndex(const PoolAttributes& pool, const StepNumbers& numbers, int64_t inside) {
  if (pool.count_include_pad) return 0;
  return std::lower_bound(numbers.divisors.begin(), numbers.divisors.end(), inside) -
         numbers.divisors.begin();
}

// The table of every divisor, for all channels.
std::vector<RequantizeTable> TablesOf(const StepNumbers& numbers, int64_t channels,
                                      TensorType type) {
  std::vector<RequantizeTable> tables;
  for (size_t i = 0; i < numbers.scales.size(); ++i) {
    const std::vector<int32_t> bias(channels, numbers.bias[i]);
    const std::vector<FixedPointScale> scales(channels, numbers.scales[i]);
    tables.emplace_back(bias, scales, numbers.lowest, numbers.highest, type);
  }
  return tables;
}

}  // namespace

IntegerBatch AddIntegers(const IntegerBatch& a, const IntegerBatch& b, const StepNumbers& numbers,
                         TensorType type) {
  IntegerBatch sum = IntegerBatch::Empty(a.count, a.shape, type);
  WithBytes(a, [&](const auto* first) {
    WithBytes(b, [&](const auto* second) {
      WithElements(sum, [&](auto* out) {
        Dispatch(
            AddLoop<std::remove_cvref_t<decltype(*first)>, std::remove_cvref_t<decltype(*second)>,
                    std::remove_cvref_t<decltype(*out)>>{first, second, out, sum.elements(),
                                                         numbers});
      });
    });
  });
  return sum;
}

IntegerBatch AveragePoolIntegers(const IntegerBatch& input, const PoolAttributes& pool,
                                 const StepNumbers& numbers, const Shape& out_shape,
                                 TensorType type) {
  IntegerBatch output = IntegerBatch::Empty(input.count, out_shape, type);
  const int64_t channels = input.shape.channels;
  const std::vector<RequantizeTable> tables = TablesOf(numbers, channels, type);
  std::vector<int32_t> sums(channels);
  WithBytes(input, [&](const auto* values) {
    using T = std::remove_cvref_t<decltype(*values)>;
    const auto mean_of = [&](int64_t sample, int64_t row, int64_t column, WindowSpan rows,
                             WindowSpan columns) {
      std::fill(sums.begin(), sums.end(), 0);
      const T* first = values + IndexOf(input.shape, sample, rows.first, columns.first);
      Dispatch(SumLoop<T>{first, rows.size(), columns.size(), input.shape.width * channels,
                          channels, sums.data()});
      const size_t divisor = DivisorIndex(pool, numbers, rows.size() * columns.size());
      tables[divisor].Apply(sums.data(), channels,
                            output.As<uint8_t>() + IndexOf(out_shape, sample, row, column) *
                                                       IntegerBatch::BytesOf(type));
    };
    ForEachWindow(input, pool, out_shape, mean_of);
  });
  return output;
}

IntegerBatch MaxPoolIntegers(const IntegerBatch& input, const PoolAttributes& pool,
                             const Shape& out_shape) {
  IntegerBatch output = IntegerBatch::Empty(input.count, out_shape, input.type);
  const int64_t channels = input.shape.channels;
  WithBytes(input, [&](const auto* values) {
    using T = std::remove_cvref_t<decltype(*values)>;
    // Padding is not part of the window: 0 could be larger than everything in it.
    const auto largest_of = [&](int64_t sample, int64_t row, int64_t column, WindowSpan rows,
                                WindowSpan columns) {
      T* largest = output.As<T>() + IndexOf(out_shape, sample, row, column);
      std::copy_n(values + IndexOf(input.shape, sample, rows.first, columns.first), channels,
                  largest);
      for (int64_t y = rows.first; y < rows.last; ++y) {
        for (int64_t x = columns.first; x < columns.last; ++x) {
          Dispatch(LargestLoop<T>{values + IndexOf(input.shape, sample, y, x), largest, channels});
        }
      }
    };
    ForEachWindow(input, pool, out_shape, largest_of);
  });
  return output;
}

IntegerBatch ClampIntegers(const IntegerBatch& input, const StepNumbers& numbers, TensorType type) {
  IntegerBatch output = IntegerBatch::Empty(input.count, input.shape, type);
  WithBytes(input, [&](const auto* values) {
    WithElements(output, [&](auto* out) {
      std::transform(values, values + input.elements(), out, [&](int32_t value) {
        return static_cast<std::remove_cvref_t<decltype(*out)>>(
            std::clamp(value, numbers.lowest, numbers.highest));
      });
    });
  });
  return output;
}

IntegerBatch RequantizeIntegers(const IntegerBatch& input, const StepNumbers& numbers,
                                TensorType type) {
  IntegerBatch output = IntegerBatch::Empty(input.count, input.shape, type);
  const RequantizeTable table(numbers.bias, numbers.scales, numbers.lowest, numbers.highest, type);
  WithBytes(input, [&](const auto* values) {
    table.Apply(values, output.elements(), output.As<uint8_t>());
  });
  return output;
}

IntegerBatch ConcatIntegers(std::span<const IntegerBatch> inputs, const Shape& out_shape) {
  IntegerBatch output = IntegerBatch::Empty(inputs[0].count, out_shape, inputs[0].type);
  uint8_t* place = output.As<uint8_t>();
  for (const IntegerBatch& input : inputs) {
    const int64_t channels = input.shape.channels;
    for (int64_t position = 0; position < input.positions(); ++position) {
      std::copy_n(input.As<uint8_t>() + position * channels, channels,
                  place + position * out_shape.channels);
    }
    place += channels;
  }
  return output;
}

IntegerBatch SliceIntegers(const IntegerBatch& input, const SliceAttributes& slice,
                           const Shape& out_shape) {
  IntegerBatch output = IntegerBatch::Empty(input.count, out_shape, input.type);
  uint8_t* out = output.As<uint8_t>();
  for (int64_t sample = 0; sample < input.count; ++sample) {
    for (int64_t row = 0; row < out_shape.height; ++row) {
      for (int64_t column = 0; column < out_shape.width; ++column) {
        const int64_t at = IndexOf(input.shape, sample, slice.start_row + row * slice.step_row,
                                   slice.start_column + column * slice.step_column);
        const uint8_t* from = input.As<uint8_t>() + at + slice.start_channel;
        for (int64_t c = 0; c < out_shape.channels; ++c) *out++ = from[c * slice.step_channel];
      }
    }
  }
  return output;
}

IntegerBatch PadIntegers(const IntegerBatch& input, const PadAttributes& pad,
                         const Shape& out_shape) {
  IntegerBatch output = IntegerBatch::Empty(input.count, out_shape, input.type);
  std::fill_n(output.As<uint8_t>(), output.elements(), uint8_t{0});
  const int64_t channels = input.shape.channels;
  for (int64_t sample = 0; sample < input.count; ++sample) {
    for (int64_t row = 0; row < input.shape.height; ++row) {
      for (int64_t column = 0; column < input.shape.width; ++column) {
        std::copy_n(
            input.As<uint8_t>() + IndexOf(input.shape, sample, row, column), channels,
            output.As<uint8_t>() +
                IndexOf(out_shape, sample, row + pad.padding.top, column + pad.padding.left) +
                pad.channels_before);
      }
    }
  }
  return output;
}

}  // namespace mico
