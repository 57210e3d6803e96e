#include "codegen/pack_c99.h"

namespace mico {
namespace {

int64_t DivideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

// The four orders of the format.
enum class Order { kBytes, kFields, kLanes, kBits };

Order OrderOf(int weight_container, int input_container) {
  if (weight_container == 1) return Order::kBits;
  if (weight_container == 8) return Order::kBytes;
  const bool lanes = input_container == 2 || (weight_container == 2 && input_container == 4);
  return lanes ? Order::kLanes : Order::kFields;
}

// Where one weight goes: which word and which bit of it.
struct Place {
  int64_t word = 0;
  int bit = 0;
};

Place InBytes(int64_t channel, int64_t k, int64_t reduction) {
  return {channel / 4 * reduction + k, static_cast<int>(8 * (channel % 4))};
}

Place InFields(int64_t channel, int64_t k, int64_t reduction, int container) {
  const int64_t j = channel % 8;
  const int64_t field = j / 2, half = j % 2;
  if (container == 4) {
    return {channel / 8 * reduction + k, static_cast<int>(16 * half + 4 * field)};
  }
  return {channel / 8 * DivideUp(reduction, 2) + k / 2,
          static_cast<int>(16 * half + 8 * (k % 2) + 2 * field)};
}

Place InLanes(int64_t channel, int64_t k, int64_t reduction, int container) {
  const int64_t groups = DivideUp(reduction, 16);
  const int64_t words = container == 4 ? 2 : 1;  // of one channel and group
  const int64_t product = k % 16 / 4, lane = 3 - k % 4;
  // A block of two channels holds, for each group, the words of one and then of the other.
  const int64_t first = ((channel / 2 * groups + k / 16) * 2 + channel % 2) * words;
  if (container == 4) {
    return {first + product / 2, static_cast<int>(8 * lane + 4 * (product % 2))};
  }
  return {first, static_cast<int>(8 * lane + 2 * product)};
}

Place InBits(int64_t channel, int64_t k, int64_t reduction) {
  const int64_t groups = DivideUp(reduction, 32);
  return {(channel / 2 * groups + k / 32) * 2 + channel % 2, static_cast<int>(k % 32)};
}

Place PlaceOf(Order order, int64_t channel, int64_t k, int64_t reduction, int container) {
  switch (order) {
    case Order::kBytes:
      return InBytes(channel, k, reduction);
    case Order::kFields:
      return InFields(channel, k, reduction, container);
    case Order::kLanes:
      return InLanes(channel, k, reduction, container);
    case Order::kBits:
      return InBits(channel, k, reduction);
  }
  return {};
}

// The bits of one weight: two's complement in bytes, offset to unsigned where narrower.
uint32_t Encode(int8_t weight, int container) {
  switch (container) {
    case 1:
      return weight > 0 ? 1 : 0;
    case 2:
      return static_cast<uint32_t>(weight + 1) & 0x3;
    case 4:
      return static_cast<uint32_t>(weight + 7) & 0xf;
    default:
      return static_cast<uint32_t>(weight) & 0xff;
  }
}

}  // namespace

int64_t CountC99Words(int64_t out_channels, int64_t reduction, int weight_container,
                      int input_container) {
  switch (OrderOf(weight_container, input_container)) {
    case Order::kBytes:
      return DivideUp(out_channels, 4) * reduction;
    case Order::kFields:
      return DivideUp(out_channels, 8) *
             (weight_container == 4 ? reduction : DivideUp(reduction, 2));
    case Order::kLanes:
      return DivideUp(out_channels, 2) * (weight_container == 4 ? 4 : 2) * DivideUp(reduction, 16);
    case Order::kBits:
      return DivideUp(out_channels, 2) * 2 * DivideUp(reduction, 32);
  }
  return 0;
}

std::vector<uint32_t> PackC99(std::span<const int8_t> weights, int64_t out_channels,
                              int64_t reduction, int weight_container, int input_container) {
  const Order order = OrderOf(weight_container, input_container);
  std::vector<uint32_t> words(
      CountC99Words(out_channels, reduction, weight_container, input_container), 0);
  for (int64_t channel = 0; channel < out_channels; ++channel) {
    for (int64_t k = 0; k < reduction; ++k) {
      const Place place = PlaceOf(order, channel, k, reduction, weight_container);
      words[place.word] |= Encode(weights[channel * reduction + k], weight_container) << place.bit;
    }
  }
  return words;
}

}  // namespace mico
