#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/graph.h"
#include "worker/integers/integer_batch.h"
#include "worker/integers/requantize_table.h"

namespace mico {

// A convolution of bytes with exact sums in int32: the model's bound on accumulators
// (quant/quantized_model.h) keeps every total inside, and partial sums wrap around harmlessly.
// Sums of a row of pixels stay in the first-level cache until they are requantized. Immutable;
// thread-safe to run.
class IntegerConvolution {
 public:
  // `weights`: [out][kernel_h][kernel_w][in / groups]; `input` and `input_type`: what it will read.
  IntegerConvolution(const ConvAttributes& conv, std::span<const int8_t> weights,
                     const Shape& input, TensorType input_type, const Shape& output);

  // Sums of products without bias.
  IntegerBatch Sums(const IntegerBatch& input) const;
  // The same, requantized; `type` is that of the table.
  IntegerBatch Run(const IntegerBatch& input, const RequantizeTable& table, TensorType type) const;

 private:
  // What the innermost loops read as words of 32 bits (convolution_blocks.h).
  enum class Words { kFourBytes, kTwoShorts };
  // What the output channels of one group need.
  struct Group {
    std::vector<uint8_t> weights;
    std::vector<int32_t> first;
  };
  // Some samples as the loops read them: padded, widened, without negative bytes.
  struct Prepared {
    const uint8_t* values = nullptr;
    int64_t samples = 0;
  };
  // Output positions that lie one behind the other, and what their first reads.
  struct Row {
    const uint8_t* input = nullptr;
    int64_t pixels = 0, pixel_stride = 0;    // bytes
    const int64_t* pixel_offsets = nullptr;  // instead of the stride, where there is none
  };
  class Sink;

  int64_t ElementBytes() const { return words_ == Words::kFourBytes ? 1 : 2; }
  int64_t WordElements() const { return 4 / ElementBytes(); }
  int64_t PaddedSampleBytes() const;
  int64_t GroupChannels() const { return input_.channels / conv_.groups; }
  void SetTaps();
  Group Pack(std::span<const int8_t> weights, int64_t group) const;
  void PackDepthwise(std::span<const int8_t> weights);

  void RunOver(const IntegerBatch& input, Sink& sink) const;
  void RunPositions(const Prepared& prepared, int64_t position, Sink& sink) const;
  Prepared Prepare(const IntegerBatch& input, int64_t first, int64_t samples) const;
  void RunRow(const Row& row, int64_t position, Sink& sink) const;
  void SumGroups(const Row& row, int32_t* sums) const;
  void SumDepthwise(const Row& row, int32_t* sums) const;

  ConvAttributes conv_;
  Shape input_, output_;
  TensorType input_type_;
  Words words_ = Words::kFourBytes;
  bool is_depthwise_ = false;
  bool is_pointwise_ = false;  // every output position reads the input position of its number
  bool copies_ = true;         // the input is not read where it lies
  int64_t padded_height_ = 0, padded_width_ = 0;
  std::vector<int32_t> tap_offsets_;  // in bytes from an output position's first input
  int64_t tap_words_ = 0;
  std::vector<Group> groups_;
  std::vector<int16_t> depthwise_;  // [tap][channel]
};

}  // namespace mico
