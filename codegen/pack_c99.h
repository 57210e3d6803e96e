#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mico {

// The packing of docs/formats/packed-weights-c99.md. `weights` is [out_channels][reduction];
// containers are those of the weights and of the input: 8, 4 or 2 each, or both 1.
std::vector<uint32_t> PackC99(std::span<const int8_t> weights, int64_t out_channels,
                              int64_t reduction, int weight_container, int input_container);
// How many words it gives.
int64_t CountC99Words(int64_t out_channels, int64_t reduction, int weight_container,
                      int input_container);

}  // namespace mico
