#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/onnx_arguments.h"
#include "model/onnx_node.h"
#include "model/onnx_tensor.h"

namespace mico {

// Every type that EvaluateConstant knows, in alphabetical order.
std::vector<std::string_view> ConstantOperatorTypes();

// Whether the operator reads only the shape of its input: what it gives is a constant even if the
// input is not.
bool AsksForShape(std::string_view type);

// Whether EvaluateConstant knows the operator.
bool IsConstantOperator(std::string_view type);

// The result of a node all of whose inputs are constants: the shape arithmetic that exporters leave
// behind, and rearranged weights. Unimplemented: an operator or element type that we do not fold.
// ResourceExhausted: more than 2^24 elements.
absl::StatusOr<ConstantTensor> EvaluateConstant(const OnnxNode& node, const Constants& inputs);

// What a Shape or Size node says about a tensor of `dims`.
ConstantTensor ShapeConstant(const OnnxNode& node, const std::vector<int64_t>& dims);

}  // namespace mico
