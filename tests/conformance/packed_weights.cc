#include "tests/conformance/packed_weights.h"

namespace mico::conformance {
namespace {

// Fields are written at (word, bit); the page gives both as functions of channel and index.
class FieldWriter {
 public:
  FieldWriter(std::span<const int8_t> weights, int64_t channels, int64_t per_channel, int bits)
      : weights_(weights), channels_(channels), per_channel_(per_channel), bits_(bits) {}

  template <typename Place>
  std::vector<uint32_t> Write(int64_t words, int offset, Place place) const {
    std::vector<uint32_t> result(words, 0);
    for (int64_t o = 0; o < channels_; ++o) {
      for (int64_t k = 0; k < per_channel_; ++k) {
        const auto [word, bit] = place(o, k);
        result[word] |= Field(weights_[o * per_channel_ + k], offset) << bit;
      }
    }
    return result;
  }

 private:
  uint32_t Field(int weight, int offset) const {
    if (bits_ == 1) return weight > 0 ? 1 : 0;
    return static_cast<uint32_t>(weight + offset) & ((1u << bits_) - 1);
  }

  std::span<const int8_t> weights_;
  int64_t channels_, per_channel_;
  int bits_;
};

struct Position {
  int64_t word;
  int64_t bit;
};

int64_t Blocks(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace

std::vector<uint32_t> PackForC99(std::span<const int8_t> weights, int64_t channels,
                                 int64_t per_channel, int weight_bits, int input_bits) {
  const FieldWriter writer(weights, channels, per_channel, weight_bits);
  const int64_t K = per_channel;
  if (weight_bits == 8) {
    return writer.Write(Blocks(channels, 4) * K, 0, [&](int64_t o, int64_t k) {
      return Position{o / 4 * K + k, 8 * (o % 4)};
    });
  }
  if (weight_bits == 4 && input_bits >= 4) {
    return writer.Write(Blocks(channels, 8) * K, 7, [&](int64_t o, int64_t k) {
      return Position{o / 8 * K + k, 16 * (o % 2) + 4 * (o % 8 / 2)};
    });
  }
  if (weight_bits == 2 && input_bits == 8) {
    const int64_t words = Blocks(K, 2);
    return writer.Write(Blocks(channels, 8) * words, 1, [&](int64_t o, int64_t k) {
      return Position{o / 8 * words + k / 2, 16 * (o % 2) + 8 * (k % 2) + 2 * (o % 8 / 2)};
    });
  }
  if (weight_bits == 4 && input_bits == 2) {
    const int64_t groups = Blocks(K, 16);
    return writer.Write(Blocks(channels, 2) * groups * 4, 7, [&](int64_t o, int64_t k) {
      const int64_t product = k % 16 / 4;
      return Position{(o / 2 * groups + k / 16) * 4 + 2 * (o % 2) + product / 2,
                      8 * (3 - k % 4) + 4 * (product % 2)};
    });
  }
  if (weight_bits == 2) {
    const int64_t groups = Blocks(K, 16);
    return writer.Write(Blocks(channels, 2) * groups * 2, 1, [&](int64_t o, int64_t k) {
      return Position{(o / 2 * groups + k / 16) * 2 + o % 2, 8 * (3 - k % 4) + 2 * (k % 16 / 4)};
    });
  }
  if (weight_bits == 1 && input_bits == 1) {
    const int64_t groups = Blocks(K, 32);
    return writer.Write(Blocks(channels, 2) * groups * 2, 0, [&](int64_t o, int64_t k) {
      return Position{(o / 2 * groups + k / 32) * 2 + o % 2, k % 32};
    });
  }
  return {};
}

}  // namespace mico::conformance
