#include "model/script_builder.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_constants.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

// Attributes and inputs of the steps are written as this operator set has them.
constexpr int64_t kOpset = 13;
constexpr int64_t kMostFoldedElements = int64_t{1} << 26;

// Operators whose result PyTorch computes as a view of their first input, or may.
constexpr std::string_view kViews[] = {"Identity", "Reshape",   "Slice",
                                       "Squeeze",  "Transpose", "Unsqueeze"};

bool IsView(std::string_view type) {
  return std::find(std::begin(kViews), std::end(kViews), type) != std::end(kViews);
}

}  // namespace

ScriptTensorPointer MakeScriptTensor(ConstantTensor constant) {
  return std::make_shared<ScriptTensorValue>(
      ScriptTensorValue{.content = std::make_shared<const ConstantTensor>(std::move(constant))});
}

OnnxStep& OnnxStep::Input(ScriptTensorPointer tensor) {
  // The name only says that there is one.
  proto_.add_input(tensor == nullptr ? "" : "given");
  inputs_.push_back(std::move(tensor));
  return *this;
}

OnnxStep& OnnxStep::Input(const std::vector<int64_t>& integers) {
  return Input(
      MakeScriptTensor({.dims = {static_cast<int64_t>(integers.size())}, .integers = integers}));
}

OnnxStep& OnnxStep::Input(float number) {
  return Input(MakeScriptTensor({.is_float = true, .floats = {number}}));
}

OnnxStep& OnnxStep::Int(std::string_view name, int64_t value) {
  onnx_wire::AttributeProto& attribute = *proto_.add_attribute();
  attribute.set_name(std::string(name));
  attribute.set_i(value);
  return *this;
}

OnnxStep& OnnxStep::Ints(std::string_view name, const std::vector<int64_t>& values) {
  onnx_wire::AttributeProto& attribute = *proto_.add_attribute();
  attribute.set_name(std::string(name));
  for (const int64_t value : values) attribute.add_ints(value);
  return *this;
}

OnnxStep& OnnxStep::Float(std::string_view name, double value) {
  onnx_wire::AttributeProto& attribute = *proto_.add_attribute();
  attribute.set_name(std::string(name));
  attribute.set_f(static_cast<float>(value));
  return *this;
}

OnnxStep& OnnxStep::Text(std::string_view name, std::string_view value) {
  onnx_wire::AttributeProto& attribute = *proto_.add_attribute();
  attribute.set_name(std::string(name));
  attribute.set_s(std::string(value));
  return *this;
}

ScriptTensorPointer ScriptBuilder::AddInput(const std::vector<int64_t>& dims) {
  const auto view = [&] {
    if (dims.size() == 3) {
      const Shape shape{dims[0], dims[1], dims[2]};
      return LayoutView::Image(draft_.AddInput("input", shape), shape);
    }
    if (dims.size() == 2) {
      const Shape shape{dims[0], 1, dims[1]};
      return LayoutView::Signal(draft_.AddInput("input", shape), shape);
    }
    const Shape shape{.channels = dims[0]};
    return LayoutView::Features(draft_.AddInput("input", shape), shape, 2);
  };
  names_.insert("input");
  return std::make_shared<ScriptTensorValue>(ScriptTensorValue{.content = view()});
}

std::string ScriptBuilder::UniqueName(std::string_view name) {
  const std::string base = PlainName(name);
  std::string unique = base;
  while (!names_.insert(unique).second) unique = fmt::format("{}_{}", base, ++copies_[base]);
  return unique;
}

absl::StatusOr<ScriptTensorPointer> ScriptBuilder::Fold(const OnnxStep& step,
                                                        std::string_view name) {
  Constants constants;
  for (const ScriptTensorPointer& input : step.inputs_) {
    constants.push_back(input == nullptr ? nullptr : *input->constant());
  }
  const OnnxNode node(step.proto_, std::string(name), kOpset);
  if (node.type() == "Identity") {
    return std::make_shared<ScriptTensorValue>(ScriptTensorValue{.content = constants[0]});
  }
  if (!IsConstantOperator(node.type())) return Unsupported("does not depend on the input");
  MICO_ASSIGN_OR_RETURN(ConstantTensor result, EvaluateConstant(node, constants));
  folded_elements_ += result.size();
  if (folded_elements_ > kMostFoldedElements) {
    return absl::ResourceExhaustedError(
        fmt::format("constants of more than {} elements in all", kMostFoldedElements));
  }
  return MakeScriptTensor(std::move(result));
}

absl::StatusOr<ScriptTensorPointer> ScriptBuilder::Do(const OnnxStep& step, std::string_view name) {
  OnnxInputs inputs;
  std::string after_softmax;
  for (const ScriptTensorPointer& input : step.inputs_) {
    const LayoutView* view = input == nullptr ? nullptr : input->view();
    const ConstantPointer* constant = input == nullptr ? nullptr : input->constant();
    inputs.views.push_back(view == nullptr ? std::nullopt : std::optional(*view));
    inputs.constants.push_back(constant == nullptr ? nullptr : *constant);
    if (input != nullptr && !input->after_softmax.empty()) after_softmax = input->after_softmax;
  }
  if (std::ranges::none_of(inputs.views, [](const auto& view) { return view.has_value(); })) {
    return Fold(step, name);
  }
  const OnnxNode node(step.proto_, UniqueName(name), kOpset);
  if (!after_softmax.empty() && !IsLayoutOperator(node.type())) {
    return Unsupported(fmt::format(
        "reads what Softmax '{}' gives; a Softmax is supported only at the end", after_softmax));
  }
  const OnnxOperator* found = FindOnnxOperator(node.type());
  if (found == nullptr) return Unsupported("supported on constants only");
  if (found->check != nullptr) MICO_RETURN_IF_ERROR(found->check(node));
  MICO_ASSIGN_OR_RETURN(LayoutView view, found->import(node, inputs, draft_));
  auto result = std::make_shared<ScriptTensorValue>(ScriptTensorValue{.content = std::move(view)});
  const bool is_softmax = node.type() == "Softmax" || node.type() == "LogSoftmax";
  result->after_softmax = is_softmax ? node.name() : after_softmax;
  if (IsView(node.type()) && step.inputs_[0] != nullptr) {
    result->storage = step.inputs_[0]->storage;
    result->changes_seen = step.inputs_[0]->changes_seen;
  }
  return result;
}

}  // namespace mico
