#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "model/graph.h"
#include "quant/score.h"

namespace mico {

// What a metric compares the outputs of some samples with. Immutable; thread-safe to read.
class AnswerKey {
 public:
  // Samples `indices` of `split`. All must outlive the object.
  AnswerKey(Metric metric, const Dataset& dataset, Split split, std::span<const int64_t> indices)
      : metric_(metric), dataset_(dataset), split_(split), indices_(indices) {}

  Metric metric() const { return metric_; }
  size_t samples() const { return indices_.size(); }

  // The target of sample `i` of those chosen; empty for a metric that counts answers.
  std::vector<float> Target(int64_t i) const;
  // The label of sample `i`, for a metric that counts answers.
  int32_t Label(int64_t i) const { return dataset_.split(split_).labels[indices_[i]]; }
  // What sample `i` contributes: 1 or 0 for right or wrong, or the mean squared error. `outputs`,
  // [height][width][channels], are `scale` times too small.
  double Judge(int64_t i, std::span<const float> outputs, const Shape& shape, double scale,
               std::span<const float> target) const;
  // The score of all samples from what each contributes, in their order.
  Score Total(std::span<const double> contributions) const;

 private:
  const Metric metric_;
  const Dataset& dataset_;
  const Split split_;
  const std::span<const int64_t> indices_;
};

}  // namespace mico
