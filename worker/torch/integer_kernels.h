#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/graph.h"
#include "quant/quantized_model.h"
#include "quant/requantize.h"
#include "worker/torch/batch_tensor.h"

namespace mico {

// The arithmetic of the numerics on batches. Every tensor holds integers in float32, where those
// below 2^24 are exact.

// Which instruction sets the loops may use; they choose the best at start.
enum class VectorLevel { kBase, kAvx2, kAvx512 };
// For tests of the others: no more than `most` from now on, everywhere. Gives what is then in use.
VectorLevel LimitVectorLevel(VectorLevel most);

// Requantization and clamp of an accumulator, one set of numbers per channel:
//   y = clamp(((x + bias) * multiplier + addend) >> shift)
// The columns are repeated until they are long enough, and a multiple long enough, for vector
// loops.
class RequantizeTable {
 public:
  RequantizeTable(std::span<const int32_t> bias, std::span<const FixedPointScale> scales,
                  int32_t lowest, int32_t highest);

  // `elements` is a multiple of the number of channels. In place.
  void Apply(float* values, int64_t elements) const;
  // The accumulator is high * 2^high_shift + low, both exact; the result goes to `low`.
  void Apply(const float* high, int high_shift, float* low, int64_t elements) const;
  void Apply(const double* accumulators, float* out, int64_t elements) const;

  struct Columns {
    std::vector<int32_t> bias, multiplier;
    // Sums beyond +-bound give results beyond every clamp; at the bound the result still fits
    // int32.
    std::vector<int32_t> bound;
    std::vector<int64_t> addend, shift;
    int32_t lowest = 0, highest = 0;
    bool is_high_half = true;  // every shift >= 32 and every addend 0
  };

 private:
  Columns columns_;
};

BatchTensor AddIntegers(const BatchTensor& a, const BatchTensor& b, const StepNumbers& numbers);
BatchTensor AveragePoolIntegers(const BatchTensor& input, const PoolAttributes& pool,
                                const StepNumbers& numbers, const Shape& out_shape);
// One set of numbers for all channels.
BatchTensor RequantizeIntegers(const BatchTensor& input, const StepNumbers& numbers);

}  // namespace mico
