#pragma once

#include <span>
#include <vector>

#include "quant/calibration.h"

namespace mico {

// The least and the largest value; infinite both ways if some value is not finite.
struct TensorRange {
  float least = 0.0f, most = 0.0f;
};
TensorRange RangeOfValues(std::span<const float> values);

// Counts |x| of `values` into the bins of `statistics`, whose range is known and holds them all.
void CountInto(TensorStatistics& statistics, std::span<const float> values);
// Adds the counts of `from`; both have one range.
void MergeCounts(TensorStatistics& into, const TensorStatistics& from);

}  // namespace mico
