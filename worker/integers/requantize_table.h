#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/quantized_graph.h"
#include "quant/requantize.h"

namespace mico {

// Requantization and clamp of sums of products, one set of numbers per channel:
//   y = clamp(((x + bias) * multiplier + addend) >> shift)
// which is quant/requantize.h with addend = 0 and shift >= 32, or a rounding addend and less.
// Immutable; thread-safe.
class RequantizeTable {
 public:
  // `type`: of the results; lowest and highest lie in its range.
  RequantizeTable(std::span<const int32_t> bias, std::span<const FixedPointScale> scales,
                  int32_t lowest, int32_t highest, TensorType type);

  // `elements` is a multiple of the number of channels; the first belongs to channel 0. `out` has
  // the layout of IntegerBatch for the type.
  void Apply(const int32_t* sums, int64_t elements, void* out) const;
  // The same for stored integers instead of sums.
  void Apply(const uint8_t* values, int64_t elements, void* out) const;
  void Apply(const int8_t* values, int64_t elements, void* out) const;

  // Columns are repeated until they are long enough, and a multiple long enough, for vector loops.
  struct Columns {
    std::vector<int32_t> bias, multiplier;
    // Sums beyond +-bound give results beyond every clamp; at the bound the result still fits
    // int32.
    std::vector<int32_t> bound;
    std::vector<int64_t> addend, shift;
    // The 64-bit columns split into even and odd lanes; shift - 32.
    std::vector<int64_t> even_addend, odd_addend, even_shift, odd_shift;
    std::vector<int32_t> high_shift;
    int32_t lowest = 0, highest = 0;
    bool is_high_half = true;  // every shift >= 32 and every addend 0
  };

 private:
  Columns columns_;
  TensorType type_;
};

}  // namespace mico
