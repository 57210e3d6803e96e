#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/onnx_node.h"
#include "model/onnx_tensor.h"

namespace mico {

// Parallel to a node's inputs; null where an input is left out or is not a constant.
using Constants = std::vector<ConstantPointer>;

// Arguments that were attributes before operator set `since` and are inputs from then on. Nothing
// if the node leaves them out; Unimplemented if the input is computed while the network runs.
absl::StatusOr<std::optional<std::vector<int64_t>>> IntegersArgument(const OnnxNode& node,
                                                                     const Constants& constants,
                                                                     std::string_view name,
                                                                     int input, int64_t since);
absl::StatusOr<std::optional<float>> FloatArgument(const OnnxNode& node, const Constants& constants,
                                                   std::string_view name, int input, int64_t since);

// `count` elements from `start`, `step` apart; step may be negative.
struct AxisSlice {
  int64_t start = 0, step = 1, count = 0;
};

// What a Slice node takes of a tensor of `dims`: one entry per dimension.
absl::StatusOr<std::vector<AxisSlice>> ReadSlices(const OnnxNode& node, const Constants& constants,
                                                  const std::vector<int64_t>& dims);

// The dims that Reshape, Flatten, Squeeze or Unsqueeze gives a tensor of `dims`. A Reshape to
// `batch` x ... means one sample of it.
absl::StatusOr<std::vector<int64_t>> ReadTargetDims(const OnnxNode& node,
                                                    const Constants& constants,
                                                    const std::vector<int64_t>& dims,
                                                    int64_t batch = 1);

// The permutation of a Transpose node; without the attribute, the axes reversed.
std::vector<int64_t> ReadPermutation(const OnnxNode& node, size_t rank);

}  // namespace mico
