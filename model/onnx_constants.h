#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/onnx_arguments.h"
#include "model/onnx_node.h"
#include "model/onnx_tensor.h"

namespace mico {

// Whether EvaluateConstant knows the operator.
bool IsConstantOperator(std::string_view type);

// The result of a node all of whose inputs are constants: the shape arithmetic that exporters leave
// behind, and rearranged weights. Unimplemented: an operator or element type that we do not fold.
// ResourceExhausted: more than 2^24 elements.
absl::StatusOr<ConstantTensor> EvaluateConstant(const OnnxNode& node, const Constants& inputs);

// What a Shape node says about a tensor of `dims`.
ConstantTensor ShapeConstant(const OnnxNode& node, const std::vector<int64_t>& dims);

}  // namespace mico
