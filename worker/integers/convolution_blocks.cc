#include "worker/integers/convolution_blocks.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "worker/integers/vector_targets.h"

namespace mico {
namespace {

constexpr int64_t kWordBytes = 4;
constexpr int64_t kVectorBytes = kBlockChannels * kWordBytes;

int64_t BlockBytes(const ConvolutionRow& row) { return row.taps * row.words * kVectorBytes; }

int64_t BlocksOf(const ConvolutionRow& row) {
  return (row.channels + kBlockChannels - 1) / kBlockChannels;
}

// The channels of a block that exist.
int64_t ChannelsOf(const ConvolutionRow& row, int64_t block) {
  return std::min(kBlockChannels, row.channels - block * kBlockChannels);
}

MICO_INLINE int32_t WordAt(const uint8_t* address) {
  int32_t word;
  std::memcpy(&word, address, sizeof(word));
  return word;
}

const uint8_t* InputAt(const ConvolutionRow& row, int64_t pixel) {
  return row.input +
         (row.pixel_offsets == nullptr ? pixel * row.pixel_stride : row.pixel_offsets[pixel]);
}

int32_t* SumsAt(const ConvolutionRow& row, int64_t pixel, int64_t block) {
  return row.sums + pixel * row.sums_stride + block * kBlockChannels;
}

// Sixteen sums of one pixel, in the order of the other two.
void RunPixelBase(const ConvolutionRow& row, int64_t pixel, int64_t block) {
  std::array<int32_t, kBlockChannels> sums;
  std::copy_n(row.first + block * kBlockChannels, kBlockChannels, sums.begin());
  const uint8_t* input = InputAt(row, pixel);
  const uint8_t* weights = row.weights + block * BlockBytes(row);
  for (int64_t tap = 0; tap < row.taps; ++tap) {
    for (int64_t word = 0; word < row.words; ++word, weights += kVectorBytes) {
      std::array<int16_t, 2> x;
      std::memcpy(x.data(), input + row.tap_offsets[tap] + word * kWordBytes, kWordBytes);
      std::array<int16_t, 2 * kBlockChannels> w;
      std::memcpy(w.data(), weights, kVectorBytes);
      for (int64_t c = 0; c < kBlockChannels; ++c) {
        sums[c] += int32_t{x[0]} * w[2 * c] + int32_t{x[1]} * w[2 * c + 1];
      }
    }
  }
  std::copy_n(sums.begin(), ChannelsOf(row, block), SumsAt(row, pixel, block));
}

#if defined(__x86_64__)

// `pixels` x 16 sums in registers.
template <int pixels>
MICO_AVX2 void RunTileAvx2(const ConvolutionRow& row, int64_t pixel, int64_t block) {
  const uint8_t* inputs[pixels];
  for (int p = 0; p < pixels; ++p) inputs[p] = InputAt(row, pixel + p);
  const uint8_t* weights = row.weights + block * BlockBytes(row);
  const auto load = [](const void* from)
                        MICO_AVX2 { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); };
  __m256i sums[pixels][2];
  for (int p = 0; p < pixels; ++p) {
    sums[p][0] = load(row.first + block * kBlockChannels);
    sums[p][1] = load(row.first + block * kBlockChannels + kBlockChannels / 2);
  }
  for (int64_t tap = 0; tap < row.taps; ++tap) {
    const int64_t offset = row.tap_offsets[tap];
    for (int64_t word = 0; word < row.words; ++word) {
      const __m256i low = load(weights), high = load(weights + kVectorBytes / 2);
      weights += kVectorBytes;
      for (int p = 0; p < pixels; ++p) {
        const __m256i value = _mm256_set1_epi32(WordAt(inputs[p] + offset + word * kWordBytes));
        sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(value, low));
        sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(value, high));
      }
    }
  }
  for (int p = 0; p < pixels; ++p) {
    std::array<int32_t, kBlockChannels> all;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(all.data()), sums[p][0]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(all.data() + kBlockChannels / 2), sums[p][1]);
    std::copy_n(all.begin(), ChannelsOf(row, block), SumsAt(row, pixel + p, block));
  }
}

// `pixels` x `blocks` vectors of sums in registers. Where the inputs have one stride their
// addresses need no register each.
template <int pixels, int blocks, bool has_stride>
MICO_AVX512_VNNI void RunTileVnni(const ConvolutionRow& row, int64_t pixel, int64_t block) {
  constexpr int kInputs = pixels - (pixels - 1) * static_cast<int>(has_stride);
  const uint8_t* inputs[kInputs];
  for (int p = 0; p < kInputs; ++p) inputs[p] = InputAt(row, pixel + p);
  const int64_t block_bytes = BlockBytes(row);
  const uint8_t* weights = row.weights + block * block_bytes;
  __m512i sums[pixels][blocks];
  for (int b = 0; b < blocks; ++b) {
    const __m512i first = _mm512_loadu_si512(row.first + (block + b) * kBlockChannels);
    for (int p = 0; p < pixels; ++p) sums[p][b] = first;
  }
  for (int64_t tap = 0; tap < row.taps; ++tap) {
    int64_t offset = row.tap_offsets[tap];
    for (int64_t word = 0; word < row.words; ++word, offset += kWordBytes) {
      __m512i factors[blocks];
      for (int b = 0; b < blocks; ++b) {
        factors[b] = _mm512_loadu_si512(weights + b * block_bytes);
      }
      weights += kVectorBytes;
      for (int p = 0; p < pixels; ++p) {
        const uint8_t* at = has_stride ? inputs[0] + p * row.pixel_stride : inputs[p];
        const __m512i value = _mm512_set1_epi32(WordAt(at + offset));
        for (int b = 0; b < blocks; ++b) {
          sums[p][b] = _mm512_dpbusd_epi32(sums[p][b], value, factors[b]);
        }
      }
    }
  }
  for (int b = 0; b < blocks; ++b) {
    const auto mask = static_cast<__mmask16>((1U << ChannelsOf(row, block + b)) - 1U);
    for (int p = 0; p < pixels; ++p) {
      _mm512_mask_storeu_epi32(SumsAt(row, pixel + p, block + b), mask, sums[p][b]);
    }
  }
}

// All pixels of the row with `blocks` blocks: as many at once as leave registers for the rest.
template <int pixels, int blocks, bool has_stride>
void RunPixelsVnni(const ConvolutionRow& row, int64_t block, int64_t first_pixel) {
  int64_t pixel = first_pixel;
  for (; pixel + pixels <= row.pixels; pixel += pixels) {
    RunTileVnni<pixels, blocks, has_stride>(row, pixel, block);
  }
  if constexpr (pixels > 1) {
    if (pixel < row.pixels) RunPixelsVnni<pixels / 2, blocks, has_stride>(row, block, pixel);
  }
}

template <bool has_stride>
void RunBlocksVnni(const ConvolutionRow& row) {
  const int64_t blocks = BlocksOf(row);
  int64_t block = 0;
  for (; block + 4 <= blocks; block += 4) RunPixelsVnni<4, 4, has_stride>(row, block, 0);
  for (; block + 2 <= blocks; block += 2) RunPixelsVnni<8, 2, has_stride>(row, block, 0);
  for (; block < blocks; ++block) RunPixelsVnni<16, 1, has_stride>(row, block, 0);
}

#endif

}  // namespace

void RunRowBase(const ConvolutionRow& row) {
  for (int64_t block = 0; block < BlocksOf(row); ++block) {
    for (int64_t pixel = 0; pixel < row.pixels; ++pixel) RunPixelBase(row, pixel, block);
  }
}

#if defined(__x86_64__)

void RunRowAvx2(const ConvolutionRow& row) {
  constexpr int kPixels = 4;
  for (int64_t block = 0; block < BlocksOf(row); ++block) {
    int64_t pixel = 0;
    for (; pixel + kPixels <= row.pixels; pixel += kPixels) RunTileAvx2<kPixels>(row, pixel, block);
    for (; pixel < row.pixels; ++pixel) RunTileAvx2<1>(row, pixel, block);
  }
}

void RunRowVnni(const ConvolutionRow& row) {
  if (row.pixel_offsets == nullptr) {
    RunBlocksVnni<true>(row);
  } else {
    RunBlocksVnni<false>(row);
  }
}

#endif

}  // namespace mico
