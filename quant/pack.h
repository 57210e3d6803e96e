#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_graph.h"

namespace mico {

// The canonical packing (docs/formats/packing.md): containers of 1, 2, 4, 8 or 16 bits, little end
// first, element 0 in the lowest bits of byte 0, back to back, the last byte filled with zero bits.
// Signed values are stored in two's complement of the container's width. 1-bit weights: bit 0 is
// -1, bit 1 is +1; 1-bit activations are 0 and 1.
std::vector<uint8_t> Pack(std::span<const int32_t> values, TensorType type);
// Gives fewer than `count` values if `bytes` holds fewer.
std::vector<int32_t> Unpack(std::span<const uint8_t> bytes, int64_t count, TensorType type);

// Weights: like Pack with a signed type, but every output channel (`per_channel` values) starts on
// a byte boundary. `weights` holds whole channels; UnpackWeights gives as many as `bytes` holds.
std::vector<uint8_t> PackWeights(std::span<const int8_t> weights, int64_t per_channel, int bits);
std::vector<int8_t> UnpackWeights(std::span<const uint8_t> bytes, int64_t channels,
                                  int64_t per_channel, int bits);

}  // namespace mico
