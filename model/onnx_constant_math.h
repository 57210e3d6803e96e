#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "model/onnx_arguments.h"
#include "model/onnx_node.h"
#include "model/onnx_tensor.h"

namespace mico {

// Computing with constants: what onnx_constants.cc lists and does not only move. The first input is
// there; all results have at most 2^24 elements.

// The number of elements of a result of `dims`. ResourceExhausted above 2^24.
absl::StatusOr<int64_t> CountResult(const std::vector<int64_t>& dims);
// The dims of a and b together by ONNX's rules.
absl::StatusOr<std::vector<int64_t>> BroadcastDims(const std::vector<int64_t>& a,
                                                   const std::vector<int64_t>& b);
// `tensor` repeated to `dims`, to which it broadcasts.
absl::StatusOr<ConstantTensor> BroadcastTo(const ConstantTensor& tensor,
                                           const std::vector<int64_t>& dims);

// Add, Div, Mod, Mul, Sub; Max and Min of any number of inputs.
absl::StatusOr<ConstantTensor> EvaluateArithmetic(const OnnxNode& node, const Constants& inputs);
// And, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Or: integers 0 and 1.
absl::StatusOr<ConstantTensor> EvaluateComparison(const OnnxNode& node, const Constants& inputs);
// Abs, Ceil, Floor, Neg, Not, Sqrt.
absl::StatusOr<ConstantTensor> EvaluateUnary(const OnnxNode& node, const Constants& inputs);
absl::StatusOr<ConstantTensor> EvaluateWhere(const OnnxNode& node, const Constants& inputs);
absl::StatusOr<ConstantTensor> EvaluateRange(const OnnxNode& node, const Constants& inputs);
// ReduceMax, ReduceMin, ReduceProd, ReduceSum.
absl::StatusOr<ConstantTensor> EvaluateReduction(const OnnxNode& node, const Constants& inputs);

}  // namespace mico
