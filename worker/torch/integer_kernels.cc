#include "worker/torch/integer_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

// The hot loops are compiled for several instruction sets and chosen at run time.
#if defined(__x86_64__)
#include <immintrin.h>
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

// Repeated columns have at least this many entries, and a multiple of what a vector holds.
constexpr size_t kLeastColumns = 64;
constexpr size_t kLanes = 16;

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

VectorLevel level_in_use = DetectLevel();

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
#if defined(__x86_64__)
  MICO_AVX512 MICO_INLINE __m512i Sixteen(int64_t i) const {
    return _mm512_cvttps_epi32(_mm512_loadu_ps(values + i));
  }
#endif
};
struct FromTwoFloats {
  const float* high;
  const float* low;
  int32_t factor;
  MICO_INLINE int32_t operator()(int64_t i) const {
    return static_cast<int32_t>(high[i]) * factor + static_cast<int32_t>(low[i]);
  }
#if defined(__x86_64__)
  MICO_AVX512 MICO_INLINE __m512i Sixteen(int64_t i) const {
    const __m512i scaled = _mm512_mullo_epi32(_mm512_cvttps_epi32(_mm512_loadu_ps(high + i)),
                                              _mm512_set1_epi32(factor));
    return _mm512_add_epi32(scaled, _mm512_cvttps_epi32(_mm512_loadu_ps(low + i)));
  }
#endif
};
struct FromDouble {
  const double* values;
  MICO_INLINE int32_t operator()(int64_t i) const { return static_cast<int32_t>(values[i]); }
#if defined(__x86_64__)
  MICO_AVX512 MICO_INLINE __m512i Sixteen(int64_t i) const {
    const __m256i first = _mm512_cvttpd_epi32(_mm512_loadu_pd(values + i));
    const __m256i second = _mm512_cvttpd_epi32(_mm512_loadu_pd(values + i + 8));
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
  }
#endif
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

// What is left from element `begin` on, at column `at`: less than a vector.
template <typename Source>
void RequantizeTail(const RequantizeLoop<Source>& loop, int64_t begin, size_t at) {
  const RequantizeTable::Columns& columns = loop.columns;
  for (int64_t i = begin; i < loop.elements; ++i, ++at) {
    const int64_t sum = loop.source(i) + columns.bias[at];
    const int64_t scaled = (sum * columns.multiplier[at] + columns.addend[at]) >> columns.shift[at];
    loop.out[i] = static_cast<float>(std::clamp<int64_t>(scaled, columns.lowest, columns.highest));
  }
}

#if defined(__x86_64__)
// Even and odd 32-bit lanes as the low halves of 64-bit ones, which is where vpmuldq multiplies.
MICO_AVX512 MICO_INLINE __m512i OddLanes(__m512i lanes) { return _mm512_srli_epi64(lanes, 32); }
constexpr __mmask16 kOddLanes = 0xAAAA;

// Sixteen sums, all with shift >= 32: the high half of the product, shifted further.
MICO_AVX512 MICO_INLINE __m512i ScaleByHighHalf(__m512i sum, __m512i multiplier, __m512i shift) {
  const __m512i even = _mm512_mul_epi32(sum, multiplier);
  const __m512i odd = _mm512_mul_epi32(OddLanes(sum), OddLanes(multiplier));
  const __m512i high = _mm512_mask_mov_epi32(OddLanes(even), kOddLanes, odd);
  return _mm512_srav_epi32(high, shift);
}

// Eight products of 64 bits from the low halves of the operands, shifted.
MICO_AVX512 MICO_INLINE __m512i ScaleEight(__m512i sum, __m512i multiplier, __m512i addend,
                                           __m512i shift) {
  return _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(sum, multiplier), addend), shift);
}

// The columns as vectors want them: 64-bit ones split into even and odd lanes.
struct WideColumns {
  std::vector<int32_t> high_shift;
  std::vector<int64_t> even_addend, odd_addend, even_shift, odd_shift;
};

WideColumns Widen(const RequantizeTable::Columns& columns) {
  WideColumns wide;
  for (size_t i = 0; i < columns.shift.size(); i += 2) {
    wide.even_addend.push_back(columns.addend[i]);
    wide.odd_addend.push_back(columns.addend[i + 1]);
    wide.even_shift.push_back(columns.shift[i]);
    wide.odd_shift.push_back(columns.shift[i + 1]);
  }
  for (const int64_t shift : columns.shift) {
    wide.high_shift.push_back(static_cast<int32_t>(shift - 32));
  }
  return wide;
}

template <typename Source>
MICO_AVX512 void RequantizeAvx512(const RequantizeLoop<Source>& loop) {
  const RequantizeTable::Columns& columns = loop.columns;
  const WideColumns wide = Widen(columns);
  const __m512i lowest = _mm512_set1_epi32(columns.lowest);
  const __m512i highest = _mm512_set1_epi32(columns.highest);
  const auto load = [](const auto& column, size_t at)
                        MICO_AVX512 { return _mm512_loadu_si512(column.data() + at); };
  const size_t run = columns.bias.size();
  size_t at = 0;
  int64_t i = 0;
  for (; i + static_cast<int64_t>(kLanes) <= loop.elements; i += kLanes) {
    __m512i sum = _mm512_add_epi32(loop.source.Sixteen(i), load(columns.bias, at));
    const __m512i multiplier = load(columns.multiplier, at);
    __m512i scaled;
    if (columns.is_high_half) {
      scaled = ScaleByHighHalf(sum, multiplier, load(wide.high_shift, at));
    } else {
      const __m512i bound = load(columns.bound, at);
      sum = _mm512_min_epi32(sum, bound);
      sum = _mm512_max_epi32(sum, _mm512_sub_epi32(_mm512_setzero_si512(), bound));
      const __m512i even = ScaleEight(sum, multiplier, load(wide.even_addend, at / 2),
                                      load(wide.even_shift, at / 2));
      const __m512i odd = ScaleEight(OddLanes(sum), OddLanes(multiplier),
                                     load(wide.odd_addend, at / 2), load(wide.odd_shift, at / 2));
      scaled = _mm512_mask_mov_epi32(even, kOddLanes, _mm512_slli_epi64(odd, 32));
    }
    const __m512i clamped = _mm512_min_epi32(_mm512_max_epi32(scaled, lowest), highest);
    _mm512_storeu_ps(loop.out + i, _mm512_cvtepi32_ps(clamped));
    at = at + kLanes == run ? 0 : at + kLanes;
  }
  RequantizeTail(loop, i, at);
}
#endif

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
  if (level_in_use == VectorLevel::kAvx512) return RunAvx512(loop);
  if (level_in_use == VectorLevel::kAvx2) return RunAvx2(loop);
#endif
  loop();
}

template <typename Source>
void Dispatch(const RequantizeLoop<Source>& loop) {
#if defined(__x86_64__)
  if (level_in_use == VectorLevel::kAvx512) return RequantizeAvx512(loop);
  if (level_in_use == VectorLevel::kAvx2) return RunAvx2(loop);
#endif
  loop();
}

// A sum from which on the result lies beyond every clamp (16 bits), yet fits int32.
int32_t BoundFor(FixedPointScale scale) {
  if (scale.shift >= 0) return std::numeric_limits<int32_t>::max();
  const double factor = std::ldexp(static_cast<double>(scale.multiplier), -(32 + scale.shift));
  return static_cast<int32_t>(std::max(1.0, std::ceil(0x1p17 / factor)));
}

// Which of the pool's divisors stands for a window with `inside` elements inside the input.
size_t DivisorIndex(const PoolAttributes& pool, const StepNumbers& numbers, int64_t inside) {
  if (pool.count_include_pad) return 0;
  return std::lower_bound(numbers.divisors.begin(), numbers.divisors.end(), inside) -
         numbers.divisors.begin();
}

}  // namespace

VectorLevel LimitVectorLevel(VectorLevel most) {
  level_in_use = std::min(DetectLevel(), most);
  return level_in_use;
}

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
      columns_.bound.push_back(BoundFor(scale));
      columns_.is_high_half = columns_.is_high_half && scale.shift >= 0;
    }
  } while (!bias.empty() &&
           (columns_.bias.size() < kLeastColumns || columns_.bias.size() % kLanes != 0));
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
