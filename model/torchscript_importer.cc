#include "model/torchscript_importer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "model/normal_form.h"
#include "model/onnx_node.h"
#include "model/script_builder.h"
#include "model/script_operators.h"

namespace mico {
namespace {

// Instructions that are followed in all, loops and calls unrolled: a network has thousands.
constexpr int64_t kMostSteps = 1'000'000;
constexpr int kMostCalls = 200;  // inside each other
constexpr int64_t kMostExtent = int64_t{1} << 28;
constexpr size_t kMostProblems = 1000;

// Of a branch or a loop. What it waits for is another reason in the list.
constexpr std::string_view kUndecided =
    "control flow that depends on the network's data, or on what is not supported; only shapes and "
    "constants can decide it";

using Values = std::vector<ScriptValue>;

// One function that is being followed.
struct Frame {
  Values values;
  std::string path;  // of the module whose method it is
  bool is_leaf = false;
};

class Import {
 public:
  explicit Import(ScriptProgram program)
      : program_(std::move(program)), builder_(PlainName(program_.modules[0].type)) {
    for (ScriptTensor& tensor : program_.tensors) tensors_.push_back(Take(tensor));
  }

  absl::StatusOr<ModelPackage> Run(const std::vector<int64_t>& input_dims) {
    const auto forward = program_.modules[0].methods.find("forward");
    if (forward == program_.modules[0].methods.end()) {
      return absl::InvalidArgumentError("the module has no forward()");
    }
    const size_t inputs = program_.functions[forward->second].body.inputs.size();
    if (inputs != 2) {
      return absl::UnimplementedError(
          fmt::format("forward() has {} inputs; one is supported", inputs - 1));
    }
    Values arguments{ScriptModuleValue{.module = 0}, builder_.AddInput(input_dims)};
    MICO_ASSIGN_OR_RETURN(const Values results,
                          CallFunction(forward->second, std::move(arguments), "", false));
    MICO_RETURN_IF_ERROR(BindOutputs(results[0]));
    if (problems_.empty()) problems_ = Normalise(builder_.draft());
    if (!problems_.empty()) return ProblemReport();
    return FinishNormalised(std::move(builder_.draft()));
  }

 private:
  static ScriptValue Take(ScriptTensor& tensor) {
    if (!tensor.refusal.empty()) return ScriptOther{tensor.refusal};
    return MakeScriptTensor({.dims = std::move(tensor.dims),
                             .is_float = tensor.is_float,
                             .floats = std::move(tensor.floats),
                             .integers = std::move(tensor.integers)});
  }

  absl::Status ProblemReport() const {
    return absl::UnimplementedError(fmt::format("the model is not supported for {} reason{}:\n  {}",
                                                problems_.size(), problems_.size() == 1 ? "" : "s",
                                                fmt::join(problems_, "\n  ")));
  }

  void AddProblem(std::string problem) {
    // What stands in a loop is said once.
    if (problems_.size() >= kMostProblems || std::ranges::count(problems_, problem) > 0) return;
    problems_.push_back(std::move(problem));
  }

  // What an instruction is called: after its module, if that does nothing but this.
  static std::string NameOf(const Frame& frame, std::string_view kind) {
    std::string operation = PlainName(kind.substr(kind.find("::") + 2));
    if (frame.path.empty()) return operation;
    return frame.is_leaf ? frame.path : frame.path + "." + operation;
  }

  ScriptValue FromConstant(const ScriptConstant& constant, const std::string& path) const {
    using Kind = ScriptConstant::Kind;
    switch (constant.kind) {
      case Kind::kNone:
        return ScriptNone{};
      case Kind::kBool:
        return constant.integer != 0;
      case Kind::kInt:
        return constant.integer;
      case Kind::kFloat:
        return constant.number;
      case Kind::kText:
        return constant.text;
      case Kind::kTensor:
        return tensors_.at(constant.integer);
      case Kind::kList: {
        Values items;
        for (const ScriptConstant& item : constant.items) items.push_back(FromConstant(item, path));
        return MakeScriptList(std::move(items));
      }
      case Kind::kModule:
        return ScriptModuleValue{static_cast<int>(constant.integer), path};
      case Kind::kFunction:
        return ScriptFunctionValue{static_cast<int>(constant.integer)};
      case Kind::kOther:
        break;
    }
    return ScriptOther{constant.text};
  }

  bool HasChildren(const ScriptModule& module) const {
    return std::ranges::any_of(module.attributes, [](const auto& attribute) {
      return attribute.second.kind == ScriptConstant::Kind::kModule;
    });
  }

  // `is_leaf` counts for functions; of a method it is the module's.
  absl::StatusOr<Values> CallFunction(int index, Values arguments, const std::string& path,
                                      bool is_leaf) {
    if (calls_ >= kMostCalls) {
      return absl::InvalidArgumentError(fmt::format("more than {} calls in each other", calls_));
    }
    const ScriptFunction& function = program_.functions.at(index);
    if (arguments.size() != function.body.inputs.size()) {
      return absl::InvalidArgumentError(fmt::format("'{}' is called with {} arguments; has {}",
                                                    PlainName(function.name), arguments.size(),
                                                    function.body.inputs.size()));
    }
    Frame frame{
        .values = Values(function.value_count, ScriptNone{}), .path = path, .is_leaf = is_leaf};
    if (const auto* self =
            arguments.empty() ? nullptr : std::get_if<ScriptModuleValue>(&arguments[0])) {
      frame.is_leaf = !HasChildren(program_.modules.at(self->module));
    }
    ++calls_;
    absl::StatusOr<Values> results = RunBlock(function.body, std::move(arguments), frame);
    --calls_;
    return results;
  }

  absl::StatusOr<Values> RunBlock(const ScriptBlock& block, Values arguments, Frame& frame) {
    for (size_t i = 0; i < block.inputs.size(); ++i) {
      frame.values.at(block.inputs[i]) = std::move(arguments.at(i));
    }
    for (const ScriptNode& node : block.nodes) {
      if (++steps_ > kMostSteps) {
        return absl::InvalidArgumentError(
            fmt::format("forward() takes more than {} instructions", kMostSteps));
      }
      MICO_ASSIGN_OR_RETURN(Values results, RunNode(node, frame));
      // Whatever was not said is missing.
      results.resize(node.outputs.size(), ScriptMissing{});
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        frame.values.at(node.outputs[i]) = std::move(results[i]);
      }
    }
    Values results;
    for (const int output : block.outputs) results.push_back(frame.values.at(output));
    return results;
  }

  // The instruction's results. What is not supported is noted and has none.
  absl::StatusOr<Values> RunNode(const ScriptNode& node, Frame& frame) {
    absl::StatusOr<Values> results = Interpret(node, frame);
    if (results.ok()) return results;
    const std::string message(results.status().message());
    // The innermost instruction is the one to blame.
    if (message.starts_with('\'')) return results;
    std::string problem =
        fmt::format("'{}' ({}): {}", NameOf(frame, node.kind), PlainName(node.kind), message);
    if (!absl::IsUnimplemented(results.status())) {
      return absl::Status(results.status().code(), problem);
    }
    AddProblem(std::move(problem));
    return Values();
  }

  absl::StatusOr<Values> Interpret(const ScriptNode& node, Frame& frame) {
    if (node.kind == "prim::Constant") return Values{FromConstant(node.constant, frame.path)};
    if (node.kind == "prim::If") return RunIf(node, frame);
    if (node.kind == "prim::Loop") return RunLoop(node, frame);
    Values inputs;
    for (const int input : node.inputs) inputs.push_back(frame.values.at(input));
    if (node.kind == "prim::GetAttr") return GetAttribute(node, inputs);
    if (node.kind == "prim::CallMethod") return CallMethod(node, std::move(inputs));
    if (node.kind == "prim::CallFunction") return CallPlain(std::move(inputs), frame);
    if (node.kind == "prim::TupleConstruct" || node.kind == "prim::ListConstruct") {
      return Values{MakeScriptList(std::move(inputs))};
    }
    if (node.kind == "prim::TupleUnpack" || node.kind == "prim::ListUnpack") {
      return Unpack(node, inputs);
    }
    if (node.kind == "prim::RaiseException") {
      return absl::InvalidArgumentError("forward() raises an exception on this input");
    }
    return RunOperator(node, std::move(inputs), frame);
  }

  absl::StatusOr<Values> RunOperator(const ScriptNode& node, Values inputs, Frame& frame) {
    const ScriptOperator* found = FindScriptOperator(node.kind);
    if (found == nullptr) return Unsupported("no such operator is supported");
    if (std::ranges::any_of(inputs, IsMissing)) return Values();
    if (node.kind == "prim::TupleIndex" && inputs.size() < 2) inputs.emplace_back(node.index);
    const ScriptValue first = inputs.empty() ? ScriptValue(ScriptNone{}) : inputs[0];
    ScriptCall call(node.kind, NameOf(frame, node.kind), std::move(inputs), builder_);
    MICO_ASSIGN_OR_RETURN(ScriptValue result, found->apply(call));
    if (!WorksInPlace(node.kind)) return Values{std::move(result)};
    MICO_RETURN_IF_ERROR(ChangeInPlace(first, result));
    return Values{first};
  }

  // Everything that is the same tensor becomes the result; views of it become stale.
  static absl::Status ChangeInPlace(const ScriptValue& changed, const ScriptValue& result) {
    const auto* target = std::get_if<ScriptTensorPointer>(&changed);
    const auto* source = std::get_if<ScriptTensorPointer>(&result);
    if (target == nullptr || source == nullptr) return Unsupported("changes something in place");
    if ((*target)->view() == nullptr) return Unsupported("changes a constant in place");
    ScriptTensorValue& tensor = **target;
    tensor.content = (*source)->content;
    tensor.after_softmax = (*source)->after_softmax;
    tensor.changes_seen = ++tensor.storage->changes;
    return absl::OkStatus();
  }

  absl::StatusOr<Values> RunIf(const ScriptNode& node, Frame& frame) {
    const ScriptValue& condition = frame.values.at(node.inputs.at(0));
    if (IsMissing(condition)) return Unsupported(std::string(kUndecided));
    const auto* flag = std::get_if<bool>(&condition);
    if (flag == nullptr || node.blocks.size() != 2) {
      return Unsupported(fmt::format("a branch on {}", DescribeScriptValue(condition)));
    }
    return RunBlock(node.blocks[*flag ? 0 : 1], {}, frame);
  }

  // Inputs: how often at most, whether at all, what is carried from turn to turn. The block gives
  // whether to go on, and what is carried.
  absl::StatusOr<Values> RunLoop(const ScriptNode& node, Frame& frame) {
    Values inputs;
    for (const int input : node.inputs) inputs.push_back(frame.values.at(input));
    if (IsMissing(inputs.at(0)) || IsMissing(inputs.at(1))) {
      return Unsupported(std::string(kUndecided));
    }
    const auto* most = std::get_if<int64_t>(&inputs[0]);
    const auto* flag = std::get_if<bool>(&inputs[1]);
    if (most == nullptr || flag == nullptr || node.blocks.size() != 1) {
      return Unsupported("a loop that does not depend on numbers");
    }
    bool goes_on = *flag;
    Values carried(inputs.begin() + 2, inputs.end());
    for (int64_t turn = 0; goes_on && turn < *most; ++turn) {
      if (++steps_ > kMostSteps) return absl::InvalidArgumentError("a loop without end");
      carried.insert(carried.begin(), turn);
      MICO_ASSIGN_OR_RETURN(carried, RunBlock(node.blocks[0], std::move(carried), frame));
      const ScriptValue next = carried.at(0);
      carried.erase(carried.begin());
      if (IsMissing(next)) return Unsupported(std::string(kUndecided));
      if (!std::holds_alternative<bool>(next)) return Unsupported("a loop that waits for data");
      goes_on = std::get<bool>(next);
    }
    return carried;
  }

  absl::StatusOr<Values> GetAttribute(const ScriptNode& node, const Values& inputs) const {
    const auto* self = std::get_if<ScriptModuleValue>(&inputs.at(0));
    if (self == nullptr) {
      return Unsupported(
          fmt::format("reads '{}' of {}", PlainName(node.name), DescribeScriptValue(inputs[0])));
    }
    const ScriptModule& module = program_.modules.at(self->module);
    const auto found = module.attributes.find(node.name);
    if (found == module.attributes.end()) {
      return absl::InvalidArgumentError(
          fmt::format("{} has no '{}'", PlainName(module.type), PlainName(node.name)));
    }
    const std::string path =
        self->path.empty() ? PlainName(node.name) : self->path + "." + PlainName(node.name);
    ScriptValue value = FromConstant(found->second, path);
    if (auto* list = std::get_if<std::shared_ptr<ScriptList>>(&value)) {
      (*list)->is_attribute = true;
    }
    if (const auto* other = std::get_if<ScriptOther>(&value)) {
      return Unsupported(fmt::format("reads '{}', {}", path, other->what));
    }
    return Values{std::move(value)};
  }

  absl::StatusOr<Values> CallMethod(const ScriptNode& node, Values inputs) {
    const auto* self = std::get_if<ScriptModuleValue>(&inputs.at(0));
    if (self == nullptr) {
      return Unsupported(
          fmt::format("calls '{}' of {}", PlainName(node.name), DescribeScriptValue(inputs[0])));
    }
    const ScriptModule& module = program_.modules.at(self->module);
    const auto method = module.methods.find(node.name);
    if (method == module.methods.end()) {
      return absl::InvalidArgumentError(
          fmt::format("{} has no '{}'", PlainName(module.type), PlainName(node.name)));
    }
    const std::string path = self->path;
    return CallFunction(method->second, std::move(inputs), path, false);
  }

  absl::StatusOr<Values> CallPlain(Values inputs, const Frame& frame) {
    const auto* function = std::get_if<ScriptFunctionValue>(&inputs.at(0));
    if (function == nullptr) {
      return Unsupported(fmt::format("calls {}", DescribeScriptValue(inputs[0])));
    }
    const int index = function->function;
    inputs.erase(inputs.begin());
    return CallFunction(index, std::move(inputs), frame.path, frame.is_leaf);
  }

  static absl::StatusOr<Values> Unpack(const ScriptNode& node, const Values& inputs) {
    if (std::holds_alternative<ScriptMissing>(inputs.at(0))) return Values();
    const auto* list = std::get_if<std::shared_ptr<ScriptList>>(&inputs[0]);
    if (list == nullptr || (*list)->items.size() != node.outputs.size()) {
      return absl::InvalidArgumentError(
          fmt::format("unpacks {} into {}", DescribeScriptValue(inputs[0]), node.outputs.size()));
    }
    return (*list)->items;
  }

  absl::Status BindOutputs(const ScriptValue& result) {
    Values outputs{result};
    if (const auto* list = std::get_if<std::shared_ptr<ScriptList>>(&result)) {
      outputs = (*list)->items;
    }
    if (outputs.empty() || outputs.size() > kMostOutputs) {
      return absl::InvalidArgumentError(
          fmt::format("forward() returns {} tensors; needs 1 to {}", outputs.size(), kMostOutputs));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      BindOutput(outputs[i], outputs.size() == 1 ? "output" : fmt::format("output{}", i));
    }
    return absl::OkStatus();
  }

  void BindOutput(const ScriptValue& value, const std::string& name) {
    const auto* tensor = std::get_if<ScriptTensorPointer>(&value);
    if (IsMissing(value) && !problems_.empty()) return;  // it comes from one of them
    if (tensor == nullptr)
      return AddProblem(fmt::format("{} is {}", name, DescribeScriptValue(value)));
    const LayoutView* view = (*tensor)->view();
    if (view == nullptr) return AddProblem(fmt::format("{} does not depend on the input", name));
    if ((*tensor)->IsStale()) {
      return AddProblem(fmt::format("{} is a tensor of which a view was changed in place", name));
    }
    if (const std::string problem = WhyNoOutput(builder_.draft(), *view); !problem.empty()) {
      AddProblem(fmt::format("{} is {}", name, problem));
    }
    builder_.draft().AddOutput(name, view->value());
  }

  ScriptProgram program_;
  Values tensors_;
  ScriptBuilder builder_;
  std::vector<std::string> problems_;
  int64_t steps_ = 0;
  int calls_ = 0;
};

absl::Status CheckInputDims(const std::vector<int64_t>& dims) {
  int64_t elements = 1;
  bool is_good = !dims.empty() && dims.size() <= 3;
  for (const int64_t extent : dims) {
    is_good = is_good && extent >= 1 && extent <= kMostExtent;
    elements = std::min(kMostExtent + 1, elements * (is_good ? extent : 1));
  }
  if (is_good && elements <= kMostExtent) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("input shape {}; needs 1 to 3 extents (features; channels and length; channels, "
                  "height and width) of 2^28 elements at most",
                  DimsToString(dims)));
}

}  // namespace

absl::StatusOr<ModelPackage> ImportTorchScript(ScriptProgram program,
                                               const std::vector<int64_t>& input_dims) {
  MICO_RETURN_IF_ERROR(CheckInputDims(input_dims));
  if (program.modules.empty()) return absl::InvalidArgumentError("the file holds no module");
  return Import(std::move(program)).Run(input_dims);
}

}  // namespace mico
