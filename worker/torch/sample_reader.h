#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "model/graph.h"

namespace mico {

// Turns stored samples into prepared network inputs, NHWC float. For uint8 data it is a table per
// channel. Thread-safe to read; the data set must outlive it.
class SampleReader {
 public:
  // For a network that reads `input` (data/dataset.h: CheckReadableAs).
  SampleReader(const Dataset& dataset, Split split, const Shape& input);

  // Writes samples `indices` one after another.
  void Read(std::span<const int64_t> indices, float* out) const;

 private:
  float Convert(double stored, int64_t channel) const;

  const Dataset& dataset_;
  const SplitData& data_;
  Shape shape_;
  std::vector<float> table_;  // [channel][256]
};

}  // namespace mico
