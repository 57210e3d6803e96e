#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mico {

// The largest integer weight of `bits` bits: the grid is symmetric; 1 bit is {-1, +1}.
int32_t HighestWeight(int bits);

// The scale of one output channel with the least squared error, over 80 clipping thresholds between
// 20 % and 100 % of its largest magnitude (ties to the larger); at 1 bit the mean magnitude.
// 0 for weights that are all zero.
double ChooseWeightScale(std::span<const float> weights, int bits);

// clamp(floor(weight / scale + 0.5)); at 1 bit the sign, 0 counting as positive. scale > 0.
int8_t QuantizeWeight(float weight, double scale, int bits);

}  // namespace mico
