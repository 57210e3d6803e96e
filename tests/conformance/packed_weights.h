#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mico::conformance {

// docs/formats/packed-weights-c99.md, written a second time, field by field, so that the page and
// the code generator's packer are checked against something. Container widths; `weights` is
// [channels][per_channel]. Empty where the family has no kernel for the pair.
std::vector<uint32_t> PackForC99(std::span<const int8_t> weights, int64_t channels,
                                 int64_t per_channel, int weight_bits, int input_bits);

}  // namespace mico::conformance
