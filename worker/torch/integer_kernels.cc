#include "worker/torch/integer_kernels.h"

#include <algorithm>

// The hot loops are compiled for several instruction sets and chosen at run time.
#if defined(__x86_64__)
#define MICO_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define MICO_AVX2 __attribute__((target("avx2,fma")))
#endif
// Iterations of the next loop are independent.
#if defined(__clang__)
#define MICO_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define MICO_IVDEP _Pragma("GCC ivdep")
#endif
#define MICO_INLINE inline __attribute__((always_inline))

namespace mico {
namespace {

// Repeated columns have at least this many entries, or as many as there are channels.
constexpr size_t kLeastColumns = 64;

enum class VectorLevel { kBase, kAvx2, kAvx512 };

VectorLevel DetectLevel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return VectorLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return VectorLevel::kAvx2;
#endif
  return VectorLevel::kBase;
}

const VectorLevel kLevel = DetectLevel();

#if defined(__x86_64__)
template <typename Loop>
MICO_AVX512 void RunAvx512(const Loop& loop) {
  loop();
}
template <typename Loop>
MICO_AVX2 void RunAvx2(const Loop& loop) {
  loop();
}
#endif

// Where an accumulator comes from.
struct FromFloat {
  const float* values;
  MICO_INLINE int32_t operator()(int64_t i) const { return static_cast<int32_t>(values[i]); }
};
struct FromTwoFloats {
  const float* high;
  const float* low;
  int32_t factor;
  MICO_INLINE int32_t operator()(int64_t i) const {
    return static_cast<int32_t>(high[i]) * factor + static_cast<int32_t>(low[i]);
  }
};
struct FromDouble {
  const double* values;
  MICO_INLINE int32_t operator()(int64_t i) const { return static_cast<int32_t>(values[i]); }
};

// One run through the columns; `out` may be what `source` reads.
template <typename Source>
MICO_INLINE void RequantizeRun(const Source& source, const RequantizeTable::Columns& columns,
                               int64_t begin, int64_t length, float* out) {
  const int32_t* bias = columns.bias.data();
  const int32_t* multiplier = columns.multiplier.data();
  const int64_t* addend = columns.addend.data();
  const int64_t* shift = columns.shift.data();
  const int64_t lowest = columns.lowest, highest = columns.highest;
  MICO_IVDEP
  for (int64_t i = 0; i < length; ++i) {
    const int32_t sum = source(begin + i) + bias[i];
    const int64_t scaled = (static_cast<int64_t>(sum) * multiplier[i] + addend[i]) >> shift[i];
    const int64_t clamped = std::min(std::max(scaled, lowest), highest);
    out[begin + i] = static_cast<float>(static_cast<int32_t>(clamped));
  }
}

template <typename Source>
struct RequantizeLoop {
  const Source source;
  const RequantizeTable::Columns& columns;
  float* out;
  int64_t elements;

  MICO_INLINE void operator()() const {
    const auto run = static_cast<int64_t>(columns.bias.size());
    for (int64_t begin = 0; begin < elements; begin += run) {
      RequantizeRun(source, columns, begin, std::min(run, elements - begin), out);
    }
  }
};

struct AddLoop {
  const float* a;
  const float* b;
  int32_t multiplier_a, multiplier_b, shift, lowest, highest;
  float* out;
  int64_t elements;

  MICO_INLINE void operator()() const {
    const int32_t half = int32_t{1} << (shift - 1);
    MICO_IVDEP
    for (int64_t i = 0; i < elements; ++i) {
      const int32_t sum = static_cast<int32_t>(a[i]) * multiplier_a +
                          static_cast<int32_t>(b[i]) * multiplier_b + half;
      out[i] = static_cast<float>(std::min(std::max(sum >> shift, lowest), highest));
    }
  }
};

template <typename Loop>
void Dispatch(const Loop& loop) {
#if defined(__x86_64__)
  if (kLevel == VectorLevel::kAvx512) return RunAvx512(loop);
  if (kLevel == VectorLevel::kAvx2) return RunAvx2(loop);
#endif
  loop();
}

// Which of the pool's divisors stands for a window with `inside` elements inside the input.
size_t DivisorIndex(const PoolAttributes& pool, const StepNumbers& numbers, int64_t inside) {
  if (pool.count_include_pad) return 0;
  return std::lower_bound(numbers.divisors.begin(), numbers.divisors.end(), inside) -
         numbers.divisors.begin();
}

}  // namespace

RequantizeTable::RequantizeTable(std::span<const int32_t> bias,
                                 std::span<const FixedPointScale> scales, int32_t lowest,
                                 int32_t highest) {
  columns_.lowest = lowest;
  columns_.highest = highest;
  do {
    for (size_t channel = 0; channel < bias.size(); ++channel) {
      const FixedPointScale scale = scales[channel];
      columns_.bias.push_back(bias[channel]);
      columns_.multiplier.push_back(scale.multiplier);
      columns_.addend.push_back(scale.shift < 0 ? int64_t{1} << (31 + scale.shift) : 0);
      columns_.shift.push_back(32 + scale.shift);
    }
  } while (columns_.bias.size() < kLeastColumns && !bias.empty());
}

void RequantizeTable::Apply(float* values, int64_t elements) const {
  Dispatch(RequantizeLoop<FromFloat>{{values}, columns_, values, elements});
}

void RequantizeTable::Apply(const float* high, int high_shift, float* low, int64_t elements) const {
  Dispatch(RequantizeLoop<FromTwoFloats>{
      {high, low, int32_t{1} << high_shift}, columns_, low, elements});
}

void RequantizeTable::Apply(const double* accumulators, float* out, int64_t elements) const {
  Dispatch(RequantizeLoop<FromDouble>{{accumulators}, columns_, out, elements});
}

BatchTensor AddIntegers(const BatchTensor& a, const BatchTensor& b, const StepNumbers& numbers) {
  const BatchTensor sum = BatchTensor::Empty(a.count, a.shape);
  Dispatch(AddLoop{a.data(), b.data(), numbers.multiplier_a, numbers.multiplier_b, numbers.shift,
                   numbers.lowest, numbers.highest, sum.data(), sum.elements()});
  return sum;
}

BatchTensor AveragePoolIntegers(const BatchTensor& input, const PoolAttributes& pool,
                                const StepNumbers& numbers, const Shape& out_shape) {
  const BatchTensor output = BatchTensor::Empty(input.count, out_shape);
  const int64_t channels = input.shape.channels;
  std::vector<int32_t> sums(channels);
  const auto mean_of = [&](int64_t sample, int64_t row, int64_t column, WindowSpan rows,
                           WindowSpan columns) {
    const size_t divisor = DivisorIndex(pool, numbers, rows.size() * columns.size());
    std::fill(sums.begin(), sums.end(), numbers.bias[divisor]);
    for (int64_t y = rows.first; y < rows.last; ++y) {
      for (int64_t x = columns.first; x < columns.last; ++x) {
        const float* pixel = input.At(sample, y, x);
        for (int64_t c = 0; c < channels; ++c) sums[c] += static_cast<int32_t>(pixel[c]);
      }
    }
    float* result = output.At(sample, row, column);
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t mean = Requantize(sums[c], numbers.scales[divisor]);
      result[c] = static_cast<float>(std::clamp(mean, numbers.lowest, numbers.highest));
    }
  };
  ForEachWindow(input, pool, out_shape, mean_of);
  return output;
}

BatchTensor RequantizeIntegers(const BatchTensor& input, const StepNumbers& numbers) {
  const BatchTensor output = BatchTensor::Empty(input.count, input.shape);
  std::copy_n(input.data(), input.elements(), output.data());
  RequantizeTable(numbers.bias, numbers.scales, numbers.lowest, numbers.highest)
      .Apply(output.data(), output.elements());
  return output;
}

}  // namespace mico
