#include "model/script_operators.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_node.h"

namespace mico {
namespace {

constexpr ScriptOperator kOperators[] = {
    {"aten::Bool", ApplyNumber},
    {"aten::Float", ApplyNumber},
    {"aten::FloatImplicit", ApplyNumber},
    {"aten::Int", ApplyNumber},
    {"aten::IntImplicit", ApplyNumber},
    {"aten::ScalarImplicit", ApplyNumber},
    {"aten::__and__", ApplyLogic},
    {"aten::__getitem__", ApplyGetItem},
    {"aten::__is__", ApplyIs},
    {"aten::__isnot__", ApplyIs},
    {"aten::__not__", ApplyLogic},
    {"aten::__or__", ApplyLogic},
    {"aten::_convolution", ApplyConvolution},
    {"aten::_convolution_mode", ApplyConvolution},
    {"aten::_unwrap_optional", ApplyFirst},
    {"aten::adaptive_avg_pool1d", ApplyAdaptiveAveragePool},
    {"aten::adaptive_avg_pool2d", ApplyAdaptiveAveragePool},
    {"aten::add", ApplyArithmetic},
    {"aten::addmm", ApplyAddmm},
    {"aten::alias", ApplyIdentity},
    {"aten::append", ApplyAppend},
    {"aten::avg_pool1d", ApplyAveragePool},
    {"aten::avg_pool2d", ApplyAveragePool},
    {"aten::batch_norm", ApplyBatchNorm},
    {"aten::cat", ApplyConcat},
    {"aten::chunk", ApplySplit},
    {"aten::clamp", ApplyClamp},
    {"aten::clamp_max", ApplyClamp},
    {"aten::clamp_min", ApplyClamp},
    {"aten::clone", ApplyClone},
    {"aten::constant_pad_nd", ApplyPad},
    {"aten::contiguous", ApplyIdentity},
    {"aten::conv1d", ApplyConvolution},
    {"aten::conv2d", ApplyConvolution},
    {"aten::convolution", ApplyConvolution},
    {"aten::detach", ApplyIdentity},
    {"aten::dim", ApplySize},
    {"aten::div", ApplyArithmetic},
    {"aten::dropout", ApplyDropout},
    {"aten::eq", ApplyComparison},
    {"aten::feature_dropout", ApplyDropout},
    {"aten::flatten", ApplyFlatten},
    {"aten::floor_divide", ApplyArithmetic},
    {"aten::floordiv", ApplyArithmetic},
    {"aten::format", ApplyFacts},
    {"aten::full", ApplyFill},
    {"aten::ge", ApplyComparison},
    {"aten::gt", ApplyComparison},
    {"aten::hardtanh", ApplyClamp},
    {"aten::is_floating_point", ApplyFacts},
    {"aten::item", ApplyNumber},
    {"aten::le", ApplyComparison},
    {"aten::len", ApplyLen},
    {"aten::linear", ApplyLinear},
    {"aten::log_softmax", ApplySoftmax},
    {"aten::lt", ApplyComparison},
    {"aten::matmul", ApplyMatmul},
    {"aten::max", ApplyBound},
    {"aten::max_pool1d", ApplyMaxPool},
    {"aten::max_pool2d", ApplyMaxPool},
    {"aten::maximum", ApplyBound},
    {"aten::mean", ApplyMean},
    {"aten::min", ApplyBound},
    {"aten::minimum", ApplyBound},
    {"aten::mm", ApplyMatmul},
    {"aten::mul", ApplyArithmetic},
    {"aten::narrow", ApplySlice},
    {"aten::ne", ApplyComparison},
    {"aten::neg", ApplyArithmetic},
    {"aten::numel", ApplySize},
    {"aten::ones", ApplyFill},
    {"aten::pad", ApplyPad},
    {"aten::permute", ApplyTranspose},
    {"aten::relu", ApplyRelu},
    {"aten::relu6", ApplyRelu6},
    {"aten::remainder", ApplyArithmetic},
    {"aten::reshape", ApplyReshape},
    {"aten::rsub", ApplyArithmetic},
    {"aten::select", ApplySelect},
    {"aten::size", ApplySize},
    {"aten::slice", ApplySlice},
    {"aten::softmax", ApplySoftmax},
    {"aten::split", ApplySplit},
    {"aten::split_with_sizes", ApplySplit},
    {"aten::squeeze", ApplySqueeze},
    {"aten::sub", ApplyArithmetic},
    {"aten::t", ApplyTranspose},
    {"aten::to", ApplyTo},
    {"aten::transpose", ApplyTranspose},
    {"aten::unsqueeze", ApplySqueeze},
    {"aten::view", ApplyReshape},
    {"aten::warn", ApplyNothing},
    {"aten::zeros", ApplyFill},
    {"prim::NumToTensor", ApplyNumber},
    {"prim::Print", ApplyNothing},
    {"prim::TupleIndex", ApplyGetItem},
    {"prim::Uninitialized", ApplyNothing},
    {"prim::device", ApplyFacts},
    {"prim::dtype", ApplyFacts},
    {"prim::max", ApplyArithmetic},
    {"prim::min", ApplyArithmetic},
    {"prim::unchecked_cast", ApplyFirst},
    {"prim::unchecked_unwrap_optional", ApplyFirst},
};

}  // namespace

bool WorksInPlace(std::string_view kind) {
  return kind.starts_with("aten::") && kind.ends_with('_') && !kind.ends_with("__");
}

const ScriptOperator* FindScriptOperator(std::string_view kind) {
  if (WorksInPlace(kind)) kind.remove_suffix(1);
  const auto found = std::ranges::find(kOperators, kind, &ScriptOperator::kind);
  return found == std::end(kOperators) ? nullptr : &*found;
}

std::vector<std::string_view> ScriptOperatorKinds() {
  std::vector<std::string_view> kinds;
  for (const ScriptOperator& listed : kOperators) kinds.push_back(listed.kind);
  return kinds;
}

std::string DescribeScriptValue(const ScriptValue& value) {
  struct Describer {
    std::string operator()(const ScriptNone&) { return "None"; }
    std::string operator()(const ScriptMissing&) { return "something unsupported"; }
    std::string operator()(const ScriptOther& other) { return other.what; }
    std::string operator()(bool) { return "a bool"; }
    std::string operator()(int64_t number) { return fmt::format("the integer {}", number); }
    std::string operator()(double number) { return fmt::format("the number {}", number); }
    std::string operator()(const std::string&) { return "a text"; }
    std::string operator()(const ScriptTensorPointer& tensor) {
      return fmt::format("a tensor {}", DimsToString(tensor->dims()));
    }
    std::string operator()(const std::shared_ptr<ScriptList>&) { return "a list"; }
    std::string operator()(const ScriptModuleValue&) { return "a module"; }
    std::string operator()(const ScriptFunctionValue&) { return "a function"; }
  };
  return std::visit(Describer(), value);
}

bool IsMissing(const ScriptValue& value) {
  if (std::holds_alternative<ScriptMissing>(value)) return true;
  const auto* list = std::get_if<std::shared_ptr<ScriptList>>(&value);
  return list != nullptr && std::ranges::any_of((*list)->items, [](const ScriptValue& item) {
           return std::holds_alternative<ScriptMissing>(item);
         });
}

const ScriptValue& ScriptCall::operator[](size_t index) const {
  static const ScriptValue none = ScriptNone{};
  return index < arguments_.size() ? arguments_[index] : none;
}

bool ScriptCall::IsNone(size_t index) const {
  return std::holds_alternative<ScriptNone>((*this)[index]);
}

bool ScriptCall::IsTensor(size_t index) const {
  return std::holds_alternative<ScriptTensorPointer>((*this)[index]);
}

absl::Status ScriptCall::WrongType(size_t index, std::string_view needed) const {
  return Unsupported(fmt::format("argument {} is {}; supported is {}", index,
                                 DescribeScriptValue((*this)[index]), needed));
}

absl::StatusOr<ScriptTensorPointer> ScriptCall::Tensor(size_t index) const {
  const auto* tensor = std::get_if<ScriptTensorPointer>(&(*this)[index]);
  if (tensor == nullptr) return WrongType(index, "a tensor");
  if ((*tensor)->IsStale()) {
    return Unsupported("reads a tensor after a view of it was changed in place");
  }
  return *tensor;
}

absl::StatusOr<ScriptTensorPointer> ScriptCall::OptionalTensor(size_t index) const {
  if (IsNone(index)) return ScriptTensorPointer();
  return Tensor(index);
}

absl::StatusOr<ScriptTensorPointer> ScriptCall::Operand(size_t index) const {
  if (IsTensor(index)) return Tensor(index);
  MICO_ASSIGN_OR_RETURN(const double number, Float(index));
  return MakeScriptTensor({.is_float = true, .floats = {static_cast<float>(number)}});
}

absl::StatusOr<int64_t> ScriptCall::Int(size_t index) const {
  const ScriptValue& value = (*this)[index];
  if (const auto* number = std::get_if<int64_t>(&value)) return *number;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  return WrongType(index, "an integer");
}

absl::StatusOr<double> ScriptCall::Float(size_t index) const {
  const ScriptValue& value = (*this)[index];
  if (const auto* number = std::get_if<double>(&value)) return *number;
  const absl::StatusOr<int64_t> integer = Int(index);
  if (!integer.ok()) return WrongType(index, "a number");
  return static_cast<double>(*integer);
}

absl::StatusOr<bool> ScriptCall::Bool(size_t index) const {
  const absl::StatusOr<int64_t> integer = Int(index);
  if (!integer.ok()) return WrongType(index, "a bool");
  return *integer != 0;
}

absl::StatusOr<std::string> ScriptCall::Text(size_t index) const {
  const auto* text = std::get_if<std::string>(&(*this)[index]);
  if (text == nullptr) return WrongType(index, "a text");
  return *text;
}

absl::StatusOr<std::shared_ptr<ScriptList>> ScriptCall::List(size_t index) const {
  const auto* list = std::get_if<std::shared_ptr<ScriptList>>(&(*this)[index]);
  if (list == nullptr) return WrongType(index, "a list");
  return *list;
}

absl::Status ScriptCall::NeedFloatType(size_t index) const {
  constexpr int64_t kFloat = 6;  // c10::ScalarType
  if (IsNone(index)) return absl::OkStatus();
  MICO_ASSIGN_OR_RETURN(const int64_t type, Int(index));
  if (type == kFloat) return absl::OkStatus();
  return Unsupported(fmt::format("gives element type {}; only float (6) is supported", type));
}

absl::StatusOr<std::vector<int64_t>> ScriptCall::Ints(size_t index, size_t count) const {
  std::vector<int64_t> integers;
  if (const auto* single = std::get_if<int64_t>(&(*this)[index]); single != nullptr && count > 0) {
    return std::vector<int64_t>(count, *single);
  }
  MICO_ASSIGN_OR_RETURN(const std::shared_ptr<ScriptList> list, List(index));
  for (const ScriptValue& item : list->items) {
    const auto* integer = std::get_if<int64_t>(&item);
    if (integer == nullptr) return WrongType(index, "a list of integers");
    integers.push_back(*integer);
  }
  if (integers.size() == 1 && count > 1) integers.assign(count, integers[0]);
  return integers;
}

}  // namespace mico
