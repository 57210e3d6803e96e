#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/quantized_model.h"

namespace mico {

// One sample's integers, NHWC order: element (y, x, c) at (y * width + x) * channels + c.
using IntegerTensor = std::vector<int32_t>;

// Network inputs (channels x height x width, as Dataset::Prepared gives them) to input integers
// (NHWC): clamp(floor(x / scale + 0.5)) in double. The one function used everywhere.
int32_t QuantizeInput(double prepared, double scale, TensorType type);
// The same for a whole sample; empty if it has another number of elements than the input.
IntegerTensor QuantizeInput(const QuantizedModel& model, std::span<const float> prepared);

// The oracle: the integer arithmetic of numerics.md, written for reading. `input` has the input
// tensor's elements; InvalidArgument if there are others or one is not on its grid. `model` passes
// Validate, as everything from Quantize and ParseQuantizedModel does. Gives every output, parallel
// to graph.outputs. Pure and thread-safe.
absl::StatusOr<std::vector<IntegerTensor>> RunInteger(const QuantizedModel& model,
                                                      std::span<const int32_t> input);
// The same, keeping every tensor (parallel to graph.tensors): for tests and self-checks.
absl::StatusOr<std::vector<IntegerTensor>> RunIntegerKeepingAll(const QuantizedModel& model,
                                                                std::span<const int32_t> input);

// The outputs of RunInteger one behind the other (LayOutOutputs): what mico_model_run writes.
IntegerTensor JoinOutputs(const QuantizedGraph& graph, const std::vector<IntegerTensor>& outputs);

// The largest element's index, ties to the lower.
int ArgMax(std::span<const int32_t> logits);

}  // namespace mico
