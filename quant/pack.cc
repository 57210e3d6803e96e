#include "quant/pack.h"

#include <algorithm>
#include <cstring>

namespace mico {
namespace {

bool IsOneBitWeight(TensorType type) { return type.is_signed && type.bits == 1; }

// The bits of one value in its container.
uint32_t Encode(int32_t value, TensorType type) {
  if (IsOneBitWeight(type)) return value > 0 ? 1 : 0;
  return static_cast<uint32_t>(value) & ((uint32_t{1} << type.container_bits()) - 1);
}

int32_t Decode(uint32_t field, TensorType type) {
  if (IsOneBitWeight(type)) return field != 0 ? 1 : -1;
  const int32_t value = static_cast<int32_t>(field);
  const int32_t half = int32_t{1} << (type.container_bits() - 1);
  return type.is_signed && value >= half ? value - 2 * half : value;
}

// Whole bytes first, which compilers turn into vector instructions.
template <int width, typename Field>
void PackFields(std::span<const int8_t> values, uint8_t* bytes, Field field) {
  constexpr size_t kInByte = 8 / width;
  const size_t whole = values.size() / kInByte;
  for (size_t byte = 0; byte < whole; ++byte) {
    uint32_t fields = 0;
    for (size_t i = 0; i < kInByte; ++i) {
      fields |= field(values[byte * kInByte + i]) << (i * width);
    }
    bytes[byte] = static_cast<uint8_t>(fields);
  }
  for (size_t i = whole * kInByte; i < values.size(); ++i) {
    bytes[whole] |= static_cast<uint8_t>(field(values[i]) << (i % kInByte * width));
  }
}

}  // namespace

std::vector<uint8_t> Pack(std::span<const int32_t> values, TensorType type) {
  const size_t width = type.container_bits();
  std::vector<uint8_t> bytes((values.size() * width + 7) / 8, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint32_t field = Encode(values[i], type);
    const size_t bit = i * width;
    bytes[bit / 8] |= static_cast<uint8_t>(field << (bit % 8));
    if (width == 16) bytes[bit / 8 + 1] |= static_cast<uint8_t>(field >> 8);
  }
  return bytes;
}

std::vector<int32_t> Unpack(std::span<const uint8_t> bytes, int64_t count, TensorType type) {
  const size_t width = type.container_bits();
  const size_t present = bytes.size() * 8 / width;
  std::vector<int32_t> values(std::min<size_t>(count, present));
  const uint32_t mask = (uint32_t{1} << width) - 1;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t bit = i * width;
    uint32_t field = bytes[bit / 8];
    if (width == 16) field |= static_cast<uint32_t>(bytes[bit / 8 + 1]) << 8;
    values[i] = Decode((field >> (bit % 8)) & mask, type);
  }
  return values;
}

std::vector<uint8_t> PackWeights(std::span<const int8_t> weights, int64_t per_channel, int bits) {
  const TensorType type{bits, true};
  const int width = type.container_bits();
  const size_t channel_bytes = (per_channel * width + 7) / 8;
  const size_t channels = per_channel > 0 ? weights.size() / per_channel : 0;
  std::vector<uint8_t> bytes(channels * channel_bytes, 0);
  for (size_t channel = 0; channel < channels; ++channel) {
    const int8_t* from = weights.data() + channel * per_channel;
    uint8_t* to = bytes.data() + channel * channel_bytes;
    if (width == 8) {
      std::memcpy(to, from, per_channel);
      continue;
    }
    const std::span<const int8_t> values(from, per_channel);
    if (bits == 1) {
      PackFields<1>(values, to, [](int8_t weight) { return weight > 0 ? 1U : 0U; });
    } else if (width == 2) {
      PackFields<2>(values, to, [](int8_t weight) { return weight & 3U; });
    } else {
      PackFields<4>(values, to, [](int8_t weight) { return weight & 15U; });
    }
  }
  return bytes;
}

std::vector<int8_t> UnpackWeights(std::span<const uint8_t> bytes, int64_t channels,
                                  int64_t per_channel, int bits) {
  const size_t channel_bytes = (per_channel * ContainerBits(bits) + 7) / 8;
  std::vector<int8_t> weights;
  for (int64_t channel = 0; channel < channels; ++channel) {
    const size_t start = channel * channel_bytes;
    if (start + channel_bytes > bytes.size()) break;
    const std::vector<int32_t> values =
        Unpack(bytes.subspan(start, channel_bytes), per_channel, TensorType{bits, true});
    weights.insert(weights.end(), values.begin(), values.end());
  }
  return weights;
}

}  // namespace mico
