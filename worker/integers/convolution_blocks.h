#pragma once

#include <cstdint>

namespace mico {

// The innermost loops of IntegerConvolution: sums of products of a row of output pixels with one
// block of sixteen output channels. Inside this folder only.

constexpr int64_t kBlockChannels = 16;

// One row's work. Inputs and weights are words of 32 bits: four bytes that cannot be negative and
// four signed bytes with VNNI, two and two int16_t otherwise.
struct ConvolutionRow {
  const uint8_t* input = nullptr;  // the first pixel's first tap
  int64_t pixels = 0;
  int64_t pixel_stride = 0;  // bytes between the inputs of neighbours, where they are all the same
  const int64_t* pixel_offsets = nullptr;  // otherwise: bytes from `input` to each pixel's
  const int32_t* tap_offsets = nullptr;    // in bytes, `taps` of them
  int64_t taps = 0;
  int64_t words = 0;  // of each tap
  // [block][tap][word][kBlockChannels] words.
  const uint8_t* weights = nullptr;
  const int32_t* first = nullptr;  // sums begin with these: [block * kBlockChannels]
  int64_t channels = 0;            // of the sums; the last block may be partial
  int32_t* sums = nullptr;         // [pixel][sums_stride]
  int64_t sums_stride = 0;
};

void RunRowBase(const ConvolutionRow& row);  // words of two int16_t
#if defined(__x86_64__)
void RunRowAvx2(const ConvolutionRow& row);  // the same
void RunRowVnni(const ConvolutionRow& row);  // words of four bytes
#endif

}  // namespace mico
