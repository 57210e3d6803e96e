// Numbers, lists and questions of a script: what is left of its Python.

#include <algorithm>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_constant_math.h"
#include "model/onnx_node.h"
#include "model/script_operators.h"

namespace mico {
namespace {

// A number out of a constant tensor of one element.
absl::StatusOr<ScriptValue> OnlyElement(const ScriptTensorValue& tensor) {
  if (tensor.view() != nullptr) {
    return Unsupported(
        "reads a value of the network's data; control flow that depends on data is not supported");
  }
  const ConstantTensor& constant = **tensor.constant();
  if (constant.size() != 1) {
    return Malformed(fmt::format("reads {} as one number", DimsToString(constant.dims)));
  }
  if (constant.is_float) return ScriptValue(static_cast<double>(constant.floats[0]));
  return ScriptValue(constant.integers[0]);
}

absl::StatusOr<ScriptValue> ToKind(std::string_view kind, const ScriptValue& value) {
  const auto* real = std::get_if<double>(&value);
  const auto* integer = std::get_if<int64_t>(&value);
  const auto* flag = std::get_if<bool>(&value);
  if (real == nullptr && integer == nullptr && flag == nullptr) {
    return Unsupported(fmt::format("of {}", DescribeScriptValue(value)));
  }
  const double number = real != nullptr      ? *real
                        : integer != nullptr ? static_cast<double>(*integer)
                                             : (*flag ? 1.0 : 0.0);
  if (kind == "aten::Bool") return ScriptValue(number != 0.0);
  if (kind == "aten::Float" || kind == "aten::FloatImplicit") return ScriptValue(number);
  if (kind == "aten::Int" || kind == "aten::IntImplicit") {
    if (integer != nullptr) return value;
    if (!(number > -9.0e15 && number < 9.0e15)) return Malformed("no such integer");
    return ScriptValue(static_cast<int64_t>(number));
  }
  return value;
}

bool IsNumber(const ScriptValue& value) {
  return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value) ||
         std::holds_alternative<bool>(value);
}

template <typename T>
absl::StatusOr<ScriptValue> Compare(std::string_view kind, const T& a, const T& b) {
  if (kind == "aten::eq") return ScriptValue(a == b);
  if (kind == "aten::ne") return ScriptValue(a != b);
  if (kind == "aten::lt") return ScriptValue(a < b);
  if (kind == "aten::le") return ScriptValue(a <= b);
  if (kind == "aten::gt") return ScriptValue(a > b);
  return ScriptValue(a >= b);
}

// One element of a constant tensor as a number, anything else as it is.
absl::StatusOr<ScriptValue> AsNumber(const ScriptCall& call, size_t index) {
  if (!call.IsTensor(index)) return call[index];
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer tensor, call.Tensor(index));
  return OnlyElement(*tensor);
}

double NumberOf(const ScriptValue& value) {
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
  return std::get<bool>(value) ? 1.0 : 0.0;
}

}  // namespace

absl::StatusOr<ScriptValue> ApplyNumber(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptValue value, AsNumber(call, 0));
  if (call.kind() != "prim::NumToTensor") return ToKind(call.kind(), value);
  if (const auto* real = std::get_if<double>(&value)) {
    return MakeScriptTensor({.is_float = true, .floats = {static_cast<float>(*real)}});
  }
  MICO_ASSIGN_OR_RETURN(const int64_t integer, call.Int(0));
  return MakeScriptTensor({.integers = {integer}});
}

absl::StatusOr<ScriptValue> ApplyComparison(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptValue a, AsNumber(call, 0));
  MICO_ASSIGN_OR_RETURN(const ScriptValue b, AsNumber(call, 1));
  if (IsNumber(a) && IsNumber(b)) return Compare(call.kind(), NumberOf(a), NumberOf(b));
  const auto* first = std::get_if<std::string>(&a);
  const auto* second = std::get_if<std::string>(&b);
  if (first != nullptr && second != nullptr) return Compare(call.kind(), *first, *second);
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> left, call.Ints(0));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> right, call.Ints(1));
  return Compare(call.kind(), left, right);
}

absl::StatusOr<ScriptValue> ApplyLogic(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const bool a, call.Bool(0));
  if (call.kind() == "aten::__not__") return ScriptValue(!a);
  MICO_ASSIGN_OR_RETURN(const bool b, call.Bool(1));
  return ScriptValue(call.kind() == "aten::__and__" ? a && b : a || b);
}

// Only None is ever asked for.
absl::StatusOr<ScriptValue> ApplyIs(ScriptCall& call) {
  if (!call.IsNone(0) && !call.IsNone(1)) return Unsupported("compares two things that are there");
  const bool is_same = call.IsNone(0) && call.IsNone(1);
  return ScriptValue(call.kind() == "aten::__is__" ? is_same : !is_same);
}

absl::StatusOr<ScriptValue> ApplyFirst(ScriptCall& call) { return call[0]; }

absl::StatusOr<ScriptValue> ApplyNothing(ScriptCall&) { return ScriptValue(ScriptNone{}); }

absl::StatusOr<ScriptValue> ApplyLen(ScriptCall& call) {
  if (call.IsTensor(0)) {
    MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer tensor, call.Tensor(0));
    if (tensor->dims().empty()) return Malformed("the length of a scalar");
    return ScriptValue(tensor->dims()[0]);
  }
  MICO_ASSIGN_OR_RETURN(const auto list, call.List(0));
  return ScriptValue(static_cast<int64_t>(list->items.size()));
}

absl::StatusOr<ScriptValue> ApplyGetItem(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const auto list, call.List(0));
  MICO_ASSIGN_OR_RETURN(const int64_t index, call.Int(1));
  MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(index, list->items.size()));
  return list->items[static_cast<size_t>(position)];
}

absl::StatusOr<ScriptValue> ApplyAppend(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const auto list, call.List(0));
  if (list->is_attribute) return Unsupported("changes an attribute of its module");
  list->items.push_back(call[1]);
  return call[0];
}

// What holds for every tensor of a network that we can quantize.
absl::StatusOr<ScriptValue> ApplyFacts(ScriptCall& call) {
  constexpr int64_t kFloat = 6;
  if (call.kind() == "aten::format") return ScriptValue(std::string("text"));
  if (call.kind() == "prim::device") return ScriptValue(std::string("cpu"));
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer tensor, call.Tensor(0));
  const bool is_float = tensor->view() != nullptr || (*tensor->constant())->is_float;
  if (call.kind() == "aten::is_floating_point") return ScriptValue(is_float);
  return ScriptValue(is_float ? kFloat : int64_t{4});
}

// zeros, ones: sizes dtype ...; full: sizes number dtype ...
absl::StatusOr<ScriptValue> ApplyFill(ScriptCall& call) {
  const bool is_full = call.kind() == "aten::full";
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, call.Ints(0));
  double number = call.kind() == "aten::ones" ? 1.0 : 0.0;
  if (is_full) {
    MICO_ASSIGN_OR_RETURN(number, call.Float(1));
  }
  MICO_RETURN_IF_ERROR(call.NeedFloatType(is_full ? 2 : 1));
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountResult(dims));
  return MakeScriptTensor({.dims = dims,
                           .is_float = true,
                           .floats = std::vector<float>(count, static_cast<float>(number))});
}

}  // namespace mico
