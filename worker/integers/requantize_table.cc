#include "worker/integers/requantize_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/integers/vector_targets.h"

namespace mico {
namespace {

// Repeated columns have at least this many entries, and a multiple of what a vector holds.
constexpr size_t kLeastColumns = 64;
constexpr size_t kLanes = 16;

// One run through the columns.
template <typename In, typename Out>
struct RequantizeLoop {
  const In* in;
  Out* out;
  int64_t elements;
  const RequantizeTable::Columns& columns;

  MICO_INLINE void operator()() const {
    const auto run = static_cast<int64_t>(columns.bias.size());
    for (int64_t begin = 0; begin < elements; begin += run) {
      Run(begin, std::min(run, elements - begin));
    }
  }

  MICO_INLINE void Run(int64_t begin, int64_t length) const {
    const In* values = in + begin;
    Out* results = out + begin;
    const int32_t* bias = columns.bias.data();
    const int32_t* multiplier = columns.multiplier.data();
    const int64_t* addend = columns.addend.data();
    const int64_t* shift = columns.shift.data();
    const int64_t lowest = columns.lowest, highest = columns.highest;
    MICO_IVDEP
    for (int64_t i = 0; i < length; ++i) {
      const int32_t sum = static_cast<int32_t>(values[i]) + bias[i];
      const int64_t scaled = (static_cast<int64_t>(sum) * multiplier[i] + addend[i]) >> shift[i];
      results[i] = static_cast<Out>(std::min(std::max(scaled, lowest), highest));
    }
  }

  // What is left from element `begin` on, at column `at`: less than a vector.
  void Tail(int64_t begin, size_t at) const {
    for (int64_t i = begin; i < elements; ++i, ++at) {
      const int64_t sum = static_cast<int64_t>(in[i]) + columns.bias[at];
      const int64_t scaled =
          (sum * columns.multiplier[at] + columns.addend[at]) >> columns.shift[at];
      out[i] = static_cast<Out>(std::clamp<int64_t>(scaled, columns.lowest, columns.highest));
    }
  }
};

#if defined(__x86_64__)
MICO_AVX512 MICO_INLINE __m512i LoadSixteen(const int32_t* values) {
  return _mm512_loadu_si512(values);
}
MICO_AVX512 MICO_INLINE __m512i LoadSixteen(const uint8_t* values) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}
MICO_AVX512 MICO_INLINE __m512i LoadSixteen(const int8_t* values) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}
MICO_AVX512 MICO_INLINE void StoreSixteen(__m512i values, uint8_t* out) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(values));
}
MICO_AVX512 MICO_INLINE void StoreSixteen(__m512i values, int8_t* out) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtepi32_epi8(values));
}
MICO_AVX512 MICO_INLINE void StoreSixteen(__m512i values, int16_t* out) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(values));
}

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

template <bool is_high_half, typename In, typename Out>
MICO_AVX512 void RequantizeAvx512(const RequantizeLoop<In, Out>& loop) {
  const RequantizeTable::Columns& columns = loop.columns;
  const __m512i lowest = _mm512_set1_epi32(columns.lowest);
  const __m512i highest = _mm512_set1_epi32(columns.highest);
  const auto load = [](const auto& column, size_t at)
                        MICO_AVX512 { return _mm512_loadu_si512(column.data() + at); };
  const size_t run = columns.bias.size();
  size_t at = 0;
  int64_t i = 0;
  for (; i + static_cast<int64_t>(kLanes) <= loop.elements; i += kLanes) {
    __m512i sum = _mm512_add_epi32(LoadSixteen(loop.in + i), load(columns.bias, at));
    const __m512i multiplier = load(columns.multiplier, at);
    __m512i scaled;
    if constexpr (is_high_half) {
      scaled = ScaleByHighHalf(sum, multiplier, load(columns.high_shift, at));
    } else {
      const __m512i bound = load(columns.bound, at);
      sum = _mm512_min_epi32(sum, bound);
      sum = _mm512_max_epi32(sum, _mm512_sub_epi32(_mm512_setzero_si512(), bound));
      const __m512i even = ScaleEight(sum, multiplier, load(columns.even_addend, at / 2),
                                      load(columns.even_shift, at / 2));
      const __m512i odd =
          ScaleEight(OddLanes(sum), OddLanes(multiplier), load(columns.odd_addend, at / 2),
                     load(columns.odd_shift, at / 2));
      scaled = _mm512_mask_mov_epi32(even, kOddLanes, _mm512_slli_epi64(odd, 32));
    }
    StoreSixteen(_mm512_min_epi32(_mm512_max_epi32(scaled, lowest), highest), loop.out + i);
    at = at + kLanes == run ? 0 : at + kLanes;
  }
  loop.Tail(i, at);
}
#endif

template <typename In, typename Out>
void Run(const RequantizeLoop<In, Out>& loop) {
#if defined(__x86_64__)
  if (VectorLevelInUse() >= VectorLevel::kAvx512) {
    return loop.columns.is_high_half ? RequantizeAvx512<true>(loop) : RequantizeAvx512<false>(loop);
  }
#endif
  Dispatch(loop);
}

template <typename In>
void RunInto(const In* in, int64_t elements, const RequantizeTable::Columns& columns,
             TensorType type, void* out) {
  if (type.bits > 8) {
    Run(RequantizeLoop<In, int16_t>{in, static_cast<int16_t*>(out), elements, columns});
  } else if (type.is_signed) {
    Run(RequantizeLoop<In, int8_t>{in, static_cast<int8_t*>(out), elements, columns});
  } else {
    Run(RequantizeLoop<In, uint8_t>{in, static_cast<uint8_t*>(out), elements, columns});
  }
}

// A sum from which on the result lies beyond every clamp (16 bits), yet fits int32.
int32_t BoundFor(FixedPointScale scale) {
  if (scale.shift >= 0) return std::numeric_limits<int32_t>::max();
  const double factor = std::ldexp(static_cast<double>(scale.multiplier), -(32 + scale.shift));
  return static_cast<int32_t>(std::max(1.0, std::ceil(0x1p17 / factor)));
}

void AppendChannel(int32_t bias, FixedPointScale scale, RequantizeTable::Columns& columns) {
  columns.bias.push_back(bias);
  columns.multiplier.push_back(scale.multiplier);
  columns.addend.push_back(scale.shift < 0 ? int64_t{1} << (31 + scale.shift) : 0);
  columns.shift.push_back(32 + scale.shift);
  columns.bound.push_back(BoundFor(scale));
  columns.is_high_half = columns.is_high_half && scale.shift >= 0;
}

void SplitLanes(RequantizeTable::Columns& columns) {
  for (size_t i = 0; i + 1 < columns.shift.size(); i += 2) {
    columns.even_addend.push_back(columns.addend[i]);
    columns.odd_addend.push_back(columns.addend[i + 1]);
    columns.even_shift.push_back(columns.shift[i]);
    columns.odd_shift.push_back(columns.shift[i + 1]);
  }
  for (const int64_t shift : columns.shift) {
    columns.high_shift.push_back(static_cast<int32_t>(shift - 32));
  }
}

}  // namespace

RequantizeTable::RequantizeTable(std::span<const int32_t> bias,
                                 std::span<const FixedPointScale> scales, int32_t lowest,
                                 int32_t highest, TensorType type)
    : type_(type) {
  columns_.lowest = lowest;
  columns_.highest = highest;
  do {
    for (size_t channel = 0; channel < bias.size(); ++channel) {
      AppendChannel(bias[channel], scales[channel], columns_);
    }
  } while (!bias.empty() &&
           (columns_.bias.size() < kLeastColumns || columns_.bias.size() % kLanes != 0));
  SplitLanes(columns_);
}

void RequantizeTable::Apply(const int32_t* sums, int64_t elements, void* out) const {
  RunInto(sums, elements, columns_, type_, out);
}
void RequantizeTable::Apply(const uint8_t* values, int64_t elements, void* out) const {
  RunInto(values, elements, columns_, type_, out);
}
void RequantizeTable::Apply(const int8_t* values, int64_t elements, void* out) const {
  RunInto(values, elements, columns_, type_, out);
}

}  // namespace mico
