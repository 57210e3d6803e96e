#include "worker/integers/convolution.h"

#include <algorithm>
#include <cstring>

#include "worker/integers/convolution_blocks.h"
#include "worker/integers/vector_targets.h"

namespace mico {
namespace {

// Added to signed bytes, so that none is negative; the sums begin with what takes it away again.
constexpr int32_t kSignedOffset = 128;
// Prepared samples stay in the second-level cache, a row's sums in the first-level one.
constexpr int64_t kPreparedBytes = 256 << 10;
constexpr int64_t kRowSums = 4096;
// Rows of fewer pixels are joined: too few to keep the multipliers busy.
constexpr int64_t kShortRow = 16;

// Memory of this thread that is written before it is read.
uint8_t* Scratch(int64_t bytes) {
  thread_local std::vector<uint8_t> scratch;
  if (static_cast<int64_t>(scratch.size()) < bytes) scratch.resize(bytes);
  return scratch.data();
}
int32_t* SumScratch(int64_t elements) {
  thread_local std::vector<int32_t> scratch;
  if (static_cast<int64_t>(scratch.size()) < elements) scratch.resize(elements);
  return scratch.data();
}

struct WidenLoop {
  const uint8_t* bytes;
  bool is_signed;
  int64_t elements;
  int16_t* out;

  MICO_INLINE void operator()() const {
    if (is_signed) {
      const auto* values = reinterpret_cast<const int8_t*>(bytes);
      for (int64_t i = 0; i < elements; ++i) out[i] = static_cast<int16_t>(+values[i]);
    } else {
      for (int64_t i = 0; i < elements; ++i) out[i] = bytes[i];
    }
  }
};

struct OffsetLoop {
  const uint8_t* bytes;
  int64_t elements;
  uint8_t* out;

  MICO_INLINE void operator()() const {
    for (int64_t i = 0; i < elements; ++i) out[i] = bytes[i] ^ 0x80;
  }
};

struct DepthwiseLoop {
  const int16_t* input;
  const int16_t* weights;
  int64_t channels;
  int32_t* sums;

  MICO_INLINE void operator()() const {
    const int16_t* in = input;
    const int16_t* factors = weights;
    int32_t* out = sums;
    const int64_t count = channels;
    MICO_IVDEP
    for (int64_t c = 0; c < count; ++c) out[c] += int32_t{in[c]} * factors[c];
  }
};

bool IsPadded(const Padding& padding) {
  return padding.top != 0 || padding.bottom != 0 || padding.left != 0 || padding.right != 0;
}

}  // namespace

// Where the sums of a row go.
class IntegerConvolution::Sink {
 public:
  Sink(IntegerBatch& output, const RequantizeTable* table) : output_(output), table_(table) {}

  int32_t* Begin(int64_t position, int64_t pixels) {
    const int64_t channels = output_.shape.channels;
    return table_ == nullptr ? output_.As<int32_t>() + position * channels
                             : SumScratch(pixels * channels);
  }
  void End(int64_t position, int64_t pixels, const int32_t* sums) {
    if (table_ == nullptr) return;
    const int64_t channels = output_.shape.channels;
    table_->Apply(
        sums, pixels * channels,
        output_.As<uint8_t>() + position * channels * IntegerBatch::BytesOf(output_.type));
  }

 private:
  IntegerBatch& output_;
  const RequantizeTable* const table_;
};

IntegerConvolution::IntegerConvolution(const ConvAttributes& conv, std::span<const int8_t> weights,
                                       const Shape& input, TensorType input_type,
                                       const Shape& output)
    : conv_(conv),
      input_(input),
      output_(output),
      input_type_(input_type),
      padded_height_(input.height + conv.padding.top + conv.padding.bottom),
      padded_width_(input.width + conv.padding.left + conv.padding.right) {
  is_depthwise_ =
      conv.groups > 1 && conv.groups == input.channels && conv.out_channels == input.channels;
  const bool has_bytes = VectorLevelInUse() >= VectorLevel::kAvx512Vnni && !is_depthwise_;
  words_ = has_bytes ? Words::kFourBytes : Words::kTwoShorts;
  copies_ = words_ == Words::kTwoShorts || input_type.is_signed || IsPadded(conv.padding);
  is_pointwise_ = conv.kernel_height == 1 && conv.kernel_width == 1 && conv.stride_height == 1 &&
                  conv.stride_width == 1 && !IsPadded(conv.padding);
  SetTaps();
  if (is_depthwise_) {
    PackDepthwise(weights);
    return;
  }
  for (int64_t group = 0; group < conv.groups; ++group) groups_.push_back(Pack(weights, group));
}

int64_t IntegerConvolution::PaddedSampleBytes() const {
  return padded_height_ * padded_width_ * input_.channels * ElementBytes();
}

// A row of the kernel whose inputs lie one behind the other is one tap.
void IntegerConvolution::SetTaps() {
  const bool is_row = conv_.dilation_width == 1 && conv_.groups == 1;
  const int64_t columns = is_row ? 1 : conv_.kernel_width;
  const int64_t elements = GroupChannels() * (is_row ? conv_.kernel_width : 1);
  tap_words_ = (elements + WordElements() - 1) / WordElements();
  for (int64_t y = 0; y < conv_.kernel_height; ++y) {
    for (int64_t x = 0; x < columns; ++x) {
      const int64_t position = y * conv_.dilation_height * padded_width_ + x * conv_.dilation_width;
      tap_offsets_.push_back(static_cast<int32_t>(position * input_.channels * ElementBytes()));
    }
  }
}

// [block][tap][word][channel of the block][element of the word]; what is beyond the elements of a
// tap is 0, and so is what is beyond the channels.
IntegerConvolution::Group IntegerConvolution::Pack(std::span<const int8_t> weights,
                                                   int64_t group) const {
  const int64_t channels = conv_.out_channels / conv_.groups;
  const int64_t blocks = (channels + kBlockChannels - 1) / kBlockChannels;
  const auto taps = static_cast<int64_t>(tap_offsets_.size());
  const int64_t per_channel = conv_.kernel_height * conv_.kernel_width * GroupChannels();
  const int64_t per_tap = per_channel / taps;
  const int64_t in_word = WordElements();
  std::vector<int16_t> packed(blocks * taps * tap_words_ * kBlockChannels * in_word, 0);
  Group result;
  result.first.assign(blocks * kBlockChannels, 0);
  for (int64_t channel = 0; channel < channels; ++channel) {
    const int8_t* from = weights.data() + (group * channels + channel) * per_channel;
    const int64_t block = channel / kBlockChannels, lane = channel % kBlockChannels;
    int32_t sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t i = 0; i < per_tap; ++i) {
        const int64_t word = (block * taps + tap) * tap_words_ + i / in_word;
        packed[(word * kBlockChannels + lane) * in_word + i % in_word] =
            static_cast<int16_t>(+from[tap * per_tap + i]);
        sum += static_cast<int16_t>(+from[tap * per_tap + i]);
      }
    }
    const bool has_offset = words_ == Words::kFourBytes && input_type_.is_signed;
    result.first[channel] = has_offset ? -kSignedOffset * sum : 0;
  }
  result.weights.resize(packed.size() * ElementBytes());
  if (words_ == Words::kTwoShorts) {
    std::memcpy(result.weights.data(), packed.data(), result.weights.size());
  } else {
    std::transform(packed.begin(), packed.end(), result.weights.begin(),
                   [](int16_t weight) { return static_cast<uint8_t>(weight); });
  }
  return result;
}

void IntegerConvolution::PackDepthwise(std::span<const int8_t> weights) {
  const int64_t taps = conv_.kernel_height * conv_.kernel_width;
  depthwise_.resize(weights.size());
  for (int64_t channel = 0; channel < input_.channels; ++channel) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      depthwise_[tap * input_.channels + channel] =
          static_cast<int16_t>(+weights[channel * taps + tap]);
    }
  }
}

IntegerBatch IntegerConvolution::Sums(const IntegerBatch& input) const {
  IntegerBatch output = IntegerBatch::Empty(input.count, output_, kSums);
  Sink sink(output, nullptr);
  RunOver(input, sink);
  return output;
}

IntegerBatch IntegerConvolution::Run(const IntegerBatch& input, const RequantizeTable& table,
                                     TensorType type) const {
  IntegerBatch output = IntegerBatch::Empty(input.count, output_, type);
  Sink sink(output, &table);
  RunOver(input, sink);
  return output;
}

void IntegerConvolution::RunOver(const IntegerBatch& input, Sink& sink) const {
  const int64_t together = copies_ ? std::max<int64_t>(kPreparedBytes / PaddedSampleBytes(), 1)
                                   : std::max<int64_t>(input.count, 1);
  for (int64_t first = 0; first < input.count; first += together) {
    const Prepared prepared = Prepare(input, first, std::min(together, input.count - first));
    RunPositions(prepared, first * output_.height * output_.width, sink);
  }
}

// In rows that are as long as the loops like them.
void IntegerConvolution::RunPositions(const Prepared& prepared, int64_t position,
                                      Sink& sink) const {
  const int64_t positions = output_.height * output_.width;
  const int64_t sample_bytes = PaddedSampleBytes();
  const int64_t element = input_.channels * ElementBytes();
  const int64_t stride = conv_.stride_width * element;
  const auto row_offset = [&](int64_t row) {
    return row / output_.height * sample_bytes +
           row % output_.height * conv_.stride_height * padded_width_ * element;
  };
  if (is_pointwise_) {
    return RunRow({prepared.values, prepared.samples * positions, element}, position, sink);
  }
  if (positions == 1) {
    return RunRow({prepared.values, prepared.samples, sample_bytes}, position, sink);
  }
  const int64_t rows = prepared.samples * output_.height;
  if (output_.width >= kShortRow) {
    for (int64_t row = 0; row < rows; ++row) {
      RunRow({prepared.values + row_offset(row), output_.width, stride},
             position + row * output_.width, sink);
    }
    return;
  }
  std::vector<int64_t> offsets;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t x = 0; x < output_.width; ++x) offsets.push_back(row_offset(row) + x * stride);
  }
  RunRow({prepared.values, rows * output_.width, 0, offsets.data()}, position, sink);
}

IntegerConvolution::Prepared IntegerConvolution::Prepare(const IntegerBatch& input, int64_t first,
                                                         int64_t samples) const {
  const int64_t in_sample = input_.elements();
  const uint8_t* values = input.As<uint8_t>() + first * in_sample;
  if (!copies_) return {values, samples};
  const int64_t element = ElementBytes(), sample_bytes = PaddedSampleBytes();
  uint8_t* scratch = Scratch(samples * sample_bytes + IntegerBatch::kReadableBehind);
  const bool has_offset = words_ == Words::kFourBytes && input_type_.is_signed;
  std::memset(scratch, has_offset ? kSignedOffset : 0, samples * sample_bytes);
  const int64_t in_row = input_.width * input_.channels;
  for (int64_t sample = 0; sample < samples; ++sample) {
    for (int64_t y = 0; y < input_.height; ++y) {
      const int64_t position = (y + conv_.padding.top) * padded_width_ + conv_.padding.left;
      uint8_t* out = scratch + sample * sample_bytes + position * input_.channels * element;
      if (words_ == Words::kTwoShorts) {
        Dispatch(WidenLoop{values, input_type_.is_signed, in_row, reinterpret_cast<int16_t*>(out)});
      } else if (has_offset) {
        Dispatch(OffsetLoop{values, in_row, out});
      } else {
        std::memcpy(out, values, in_row);
      }
      values += in_row;
    }
  }
  return {scratch, samples};
}

void IntegerConvolution::RunRow(const Row& row, int64_t position, Sink& sink) const {
  const int64_t most = std::max<int64_t>(kRowSums / output_.channels, 1);
  for (int64_t first = 0; first < row.pixels; first += most) {
    const int64_t pixels = std::min(most, row.pixels - first);
    const Row part{row.input + first * row.pixel_stride, pixels, row.pixel_stride,
                   row.pixel_offsets == nullptr ? nullptr : row.pixel_offsets + first};
    int32_t* sums = sink.Begin(position + first, pixels);
    if (is_depthwise_) {
      SumDepthwise(part, sums);
    } else {
      SumGroups(part, sums);
    }
    sink.End(position + first, pixels, sums);
  }
}

void IntegerConvolution::SumGroups(const Row& row, int32_t* sums) const {
  const int64_t channels = conv_.out_channels / conv_.groups;
  for (int64_t group = 0; group < conv_.groups; ++group) {
    const ConvolutionRow work{
        .input = row.input + group * GroupChannels() * ElementBytes(),
        .pixels = row.pixels,
        .pixel_stride = row.pixel_stride,
        .pixel_offsets = row.pixel_offsets,
        .tap_offsets = tap_offsets_.data(),
        .taps = static_cast<int64_t>(tap_offsets_.size()),
        .words = tap_words_,
        .weights = groups_[group].weights.data(),
        .first = groups_[group].first.data(),
        .channels = channels,
        .sums = sums + group * channels,
        .sums_stride = output_.channels,
    };
#if defined(__x86_64__)
    if (words_ == Words::kFourBytes) {
      RunRowVnni(work);
      continue;
    }
    if (VectorLevelInUse() >= VectorLevel::kAvx2) {
      RunRowAvx2(work);
      continue;
    }
#endif
    RunRowBase(work);
  }
}

void IntegerConvolution::SumDepthwise(const Row& row, int32_t* sums) const {
  const int64_t channels = input_.channels;
  for (int64_t pixel = 0; pixel < row.pixels; ++pixel, sums += channels) {
    std::fill_n(sums, channels, 0);
    const uint8_t* input = row.input + (row.pixel_offsets == nullptr ? pixel * row.pixel_stride
                                                                     : row.pixel_offsets[pixel]);
    for (size_t tap = 0; tap < tap_offsets_.size(); ++tap) {
      Dispatch(DepthwiseLoop{reinterpret_cast<const int16_t*>(input + tap_offsets_[tap]),
                             depthwise_.data() + tap * channels, channels, sums});
    }
  }
}

}  // namespace mico
