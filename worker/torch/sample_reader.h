#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "quant/quantized_graph.h"

namespace mico {

// Turns stored samples into network inputs, NHWC float: prepared values, or the integers of a
// quantized input (the same that QuantizeInput gives). For uint8 data it is a table per channel.
// Thread-safe to read; the data set must outlive it.
class SampleReader {
 public:
  // Prepared values, for a network that reads `input` (data/dataset.h: CheckReadableAs).
  SampleReader(const Dataset& dataset, Split split, const Shape& input);
  // Integers.
  SampleReader(const Dataset& dataset, Split split, const Shape& input, double scale,
               TensorType type);

  // Writes samples `indices` one after another.
  void Read(std::span<const int64_t> indices, float* out) const;

 private:
  struct Grid {
    double scale;
    TensorType type;
  };
  SampleReader(const Dataset& dataset, Split split, const Shape& input, std::optional<Grid> grid);

  float Convert(double stored, int64_t channel) const;

  const Dataset& dataset_;
  const SplitData& data_;
  Shape shape_;
  std::optional<Grid> grid_;
  std::vector<float> table_;  // [channel][256]
};

}  // namespace mico
