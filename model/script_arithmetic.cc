// Arithmetic of a script: with the network's data, and with the numbers that shapes are made of.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_node.h"
#include "model/script_operators.h"

namespace mico {
namespace {

using Dims = std::vector<int64_t>;

// The operation without "aten::" or "prim::", and without the mark of those that work in place.
std::string_view Operation(const ScriptCall& call) {
  std::string_view name = call.kind().substr(call.kind().find("::") + 2);
  if (WorksInPlace(call.kind())) name.remove_suffix(1);
  return name;
}

absl::StatusOr<int64_t> Integers(std::string_view operation, int64_t a, int64_t b) {
  // Shapes stay far below; whoever computes beyond does not compute shapes.
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (std::max(std::abs(a), std::abs(b)) >= kLimit && operation != "min" && operation != "max") {
    return Unsupported(fmt::format("computes with {} and {}", a, b));
  }
  if (operation == "add") return a + b;
  if (operation == "sub") return a - b;
  if (operation == "rsub") return b - a;
  if (operation == "mul") return a * b;
  if (operation == "min") return std::min(a, b);
  if (operation == "max") return std::max(a, b);
  if (operation == "neg") return -a;
  if (b == 0) return Malformed("divides by zero");
  // Python rounds down.
  const int64_t quotient = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
  if (operation == "floordiv" || operation == "floor_divide") return quotient;
  if (operation == "remainder") return a - quotient * b;
  return Unsupported(fmt::format("no '{}' of two integers", operation));
}

absl::StatusOr<double> Floats(std::string_view operation, double a, double b) {
  if (operation == "add") return a + b;
  if (operation == "sub") return a - b;
  if (operation == "rsub") return b - a;
  if (operation == "mul") return a * b;
  if (operation == "div") return a / b;
  if (operation == "min") return std::min(a, b);
  if (operation == "max") return std::max(a, b);
  if (operation == "neg") return -a;
  if (operation == "floordiv" || operation == "floor_divide") return std::floor(a / b);
  if (operation == "remainder") return a - std::floor(a / b) * b;
  return Unsupported(fmt::format("no '{}' of two numbers", operation));
}

bool IsInteger(const ScriptCall& call, size_t index) {
  return std::holds_alternative<int64_t>(call[index]) || std::holds_alternative<bool>(call[index]);
}

absl::StatusOr<ScriptValue> WithNumbers(ScriptCall& call) {
  const std::string_view operation = Operation(call);
  const size_t second = operation == "neg" ? 0 : 1;
  if (std::holds_alternative<std::shared_ptr<ScriptList>>(call[0]) && operation == "add") {
    MICO_ASSIGN_OR_RETURN(const auto first_list, call.List(0));
    MICO_ASSIGN_OR_RETURN(const auto second_list, call.List(1));
    std::vector<ScriptValue> joined = first_list->items;
    joined.insert(joined.end(), second_list->items.begin(), second_list->items.end());
    return MakeScriptList(std::move(joined));
  }
  if (IsInteger(call, 0) && IsInteger(call, second) && operation != "div") {
    MICO_ASSIGN_OR_RETURN(const int64_t a, call.Int(0));
    MICO_ASSIGN_OR_RETURN(const int64_t b, call.Int(second));
    return Integers(operation, a, b);
  }
  MICO_ASSIGN_OR_RETURN(const double a, call.Float(0));
  MICO_ASSIGN_OR_RETURN(const double b, call.Float(second));
  return Floats(operation, a, b);
}

// Integer tensors of one element are what traced shapes are computed with. Absent for others.
std::optional<int64_t> ShapeNumber(const ScriptCall& call, size_t index) {
  if (const auto* number = std::get_if<int64_t>(&call[index])) return *number;
  const auto* tensor = std::get_if<ScriptTensorPointer>(&call[index]);
  if (tensor == nullptr || (*tensor)->constant() == nullptr) return std::nullopt;
  const ConstantTensor& constant = **(*tensor)->constant();
  if (constant.is_float || constant.size() != 1) return std::nullopt;
  return constant.integers[0];
}

// Integer constants beside floats count as floats.
absl::StatusOr<ScriptTensorPointer> FloatOperand(ScriptCall& call, size_t index) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer operand, call.Operand(index));
  if (operand->constant() == nullptr || (*operand->constant())->is_float) return operand;
  OnnxStep cast("Cast");
  return call.Do(cast.Input(std::move(operand)).Int("to", onnx_wire::TensorProto::FLOAT));
}

// The second operand times alpha.
absl::StatusOr<ScriptTensorPointer> Scaled(ScriptCall& call, ScriptTensorPointer operand,
                                           size_t alpha_index) {
  if (call.IsNone(alpha_index)) return operand;
  MICO_ASSIGN_OR_RETURN(const double alpha, call.Float(alpha_index));
  if (alpha == 1.0) return operand;
  OnnxStep step("Mul");
  return call.Do(step.Input(std::move(operand)).Input(static_cast<float>(alpha)));
}

absl::StatusOr<ScriptValue> WithTensors(ScriptCall& call) {
  const std::string_view operation = Operation(call);
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer a, FloatOperand(call, 0));
  if (operation == "neg") {
    OnnxStep step("Mul");
    return call.Do(step.Input(std::move(a)).Input(-1.0f));
  }
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer b, FloatOperand(call, 1));
  const bool has_alpha = operation == "add" || operation == "sub" || operation == "rsub";
  if (operation == "rsub") std::swap(a, b);
  ScriptTensorPointer& scaled = b;
  if (has_alpha) {
    MICO_ASSIGN_OR_RETURN(scaled, Scaled(call, std::move(b), 2));
  } else if (operation == "div" && !call.IsNone(2)) {
    return Unsupported("a rounding_mode");
  }
  const std::string_view type = operation == "add"                          ? "Add"
                                : operation == "sub" || operation == "rsub" ? "Sub"
                                : operation == "mul"                        ? "Mul"
                                : operation == "div"                        ? "Div"
                                                                            : "";
  if (type.empty()) return Unsupported("supported on integers only, and it reads a tensor");
  OnnxStep step(type);
  return call.Do(step.Input(std::move(a)).Input(std::move(b)));
}

absl::StatusOr<ScriptTensorPointer> Transposed(ScriptCall& call, ScriptTensorPointer matrix) {
  OnnxStep step("Transpose");
  return call.Do(step.Input(std::move(matrix)).Ints("perm", {1, 0}));
}

// A vector of `count` equal numbers where the script has none.
ScriptTensorPointer OrAll(ScriptTensorPointer vector, int64_t count, float otherwise) {
  if (vector != nullptr) return vector;
  return MakeScriptTensor(
      {.dims = {count}, .is_float = true, .floats = std::vector<float>(count, otherwise)});
}

}  // namespace

absl::StatusOr<ScriptValue> ApplyArithmetic(ScriptCall& call) {
  if (!call.IsTensor(0) && !call.IsTensor(1)) return WithNumbers(call);
  const std::optional<int64_t> a = ShapeNumber(call, 0), b = ShapeNumber(call, 1);
  if (a.has_value() && b.has_value()) {
    std::string_view operation = Operation(call);
    if (operation == "div" && !call.IsNone(2)) operation = "floordiv";
    if (operation != "div") {
      MICO_ASSIGN_OR_RETURN(const int64_t result, Integers(operation, *a, *b));
      return MakeScriptTensor({.integers = {result}});
    }
  }
  return WithTensors(call);
}

// input weight bias
absl::StatusOr<ScriptValue> ApplyLinear(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer weights, call.Tensor(1));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer bias, call.OptionalTensor(2));
  if (input->dims().size() == 2) {
    OnnxStep step("Gemm");
    step.Input(std::move(input)).Input(std::move(weights)).Input(std::move(bias));
    return call.Do(step.Int("transB", 1));
  }
  MICO_ASSIGN_OR_RETURN(weights, Transposed(call, std::move(weights)));
  OnnxStep product("MatMul");
  product.Input(std::move(input)).Input(std::move(weights));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer result, call.Do(product));
  if (bias == nullptr) return result;
  OnnxStep sum("Add");
  return call.Do(sum.Input(std::move(result)).Input(std::move(bias)));
}

// bias input weight beta alpha
absl::StatusOr<ScriptValue> ApplyAddmm(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer bias, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(1));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer weights, call.Tensor(2));
  MICO_ASSIGN_OR_RETURN(const double beta, call.Float(3));
  MICO_ASSIGN_OR_RETURN(const double alpha, call.Float(4));
  OnnxStep step("Gemm");
  step.Input(std::move(input)).Input(std::move(weights)).Input(std::move(bias));
  return call.Do(step.Float("alpha", alpha).Float("beta", beta));
}

absl::StatusOr<ScriptValue> ApplyMatmul(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer a, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer b, call.Tensor(1));
  OnnxStep step("MatMul");
  return call.Do(step.Input(std::move(a)).Input(std::move(b)));
}

// input weight bias running_mean running_var training momentum eps cudnn_enabled
absl::StatusOr<ScriptValue> ApplyBatchNorm(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const bool is_training, call.Bool(5));
  if (is_training || call.IsNone(3) || call.IsNone(4)) {
    return Unsupported(
        "normalises by the statistics of the batch; needs those of training: save the network "
        "after eval(), with track_running_stats");
  }
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer scale, call.OptionalTensor(1));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer offset, call.OptionalTensor(2));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer mean, call.Tensor(3));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer variance, call.Tensor(4));
  MICO_ASSIGN_OR_RETURN(const double epsilon, call.Float(7));
  const int64_t channels = mean->dims().empty() ? 1 : mean->dims()[0];
  OnnxStep step("BatchNormalization");
  step.Input(std::move(input)).Input(OrAll(std::move(scale), channels, 1.0f));
  step.Input(OrAll(std::move(offset), channels, 0.0f)).Input(std::move(mean));
  return call.Do(step.Input(std::move(variance)).Float("epsilon", epsilon));
}

absl::StatusOr<ScriptValue> ApplyRelu(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  OnnxStep step("Relu");
  return call.Do(step.Input(std::move(input)));
}

absl::StatusOr<ScriptValue> ApplyRelu6(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  OnnxStep step("Clip");
  return call.Do(step.Input(std::move(input)).Input(0.0f).Input(6.0f));
}

// clamp, hardtanh: input least most; clamp_min: input least; clamp_max: input most
absl::StatusOr<ScriptValue> ApplyClamp(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  const std::string_view operation = Operation(call);
  constexpr float kNone = std::numeric_limits<float>::infinity();
  float low = -kNone, high = kNone;
  if (operation != "clamp_max" && !call.IsNone(1)) {
    MICO_ASSIGN_OR_RETURN(low, call.Float(1));
  }
  const size_t most = operation == "clamp_max" ? 1 : 2;
  if (operation != "clamp_min" && !call.IsNone(most)) {
    MICO_ASSIGN_OR_RETURN(high, call.Float(most));
  }
  OnnxStep step("Clip");
  return call.Do(step.Input(std::move(input)).Input(low).Input(high));
}

absl::StatusOr<ScriptValue> ApplyBound(ScriptCall& call) {
  if (call.size() != 2) return Unsupported("supported of two tensors only");
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer a, FloatOperand(call, 0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer b, FloatOperand(call, 1));
  OnnxStep step(Operation(call).starts_with("max") ? "Max" : "Min");
  return call.Do(step.Input(std::move(a)).Input(std::move(b)));
}

// input dim dtype
absl::StatusOr<ScriptValue> ApplySoftmax(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  MICO_RETURN_IF_ERROR(call.NeedFloatType(2));
  OnnxStep step(call.kind() == "aten::softmax" ? "Softmax" : "LogSoftmax");
  return call.Do(step.Input(std::move(input)).Int("axis", axis));
}

}  // namespace mico
