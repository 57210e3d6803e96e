#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/quantized_graph.h"

namespace mico {
namespace {

// Of all tensors together: the interpreter keeps them all.
constexpr int64_t kMostElements = int64_t{1} << 28;
constexpr size_t kLongestName = 300;

template <typename... Args>
absl::Status Invalid(const Step& step, fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format("quantized model: step '{}' ({}): {}", step.name,
                                                ToString(step.kind),
                                                fmt::format(format, std::forward<Args>(args)...)));
}

// Names get into C comments, so they are plain.
bool IsPlain(const std::string& name) {
  return name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) ||
                  std::string_view("_./:-").find(c) != std::string_view::npos;
         });
}

// A name for the float twin: unique, and never longer than the model room allows.
std::string TwinName(size_t index, const std::string& name) {
  return fmt::format("{}:{}", index, name.substr(0, 200));
}

// The operator with the same shapes. A requantization moves like a max-pool of one element.
OpKind TwinOp(StepKind kind) {
  switch (kind) {
    case StepKind::kConv:
      return OpKind::kConv;
    case StepKind::kAdd:
      return OpKind::kAdd;
    case StepKind::kMaxPool:
      return OpKind::kMaxPool;
    case StepKind::kAveragePool:
      return OpKind::kAveragePool;
    case StepKind::kRelu:
      return OpKind::kRelu;
    case StepKind::kConcat:
      return OpKind::kConcat;
    case StepKind::kSlice:
      return OpKind::kSlice;
    case StepKind::kPad:
      return OpKind::kPad;
    case StepKind::kRequantize:
      return OpKind::kMaxPool;
  }
  return OpKind::kConv;
}

// The float graph with the same structure, so that the model room's checks of indices, order,
// attributes and shapes serve both.
Graph FloatTwin(const QuantizedGraph& quantized) {
  Graph graph;
  graph.input = quantized.input;
  for (const QuantizedOutput& output : quantized.outputs) {
    graph.outputs.push_back({output.name, output.tensor});
  }
  for (const QuantizedTensor& tensor : quantized.tensors) {
    graph.values.push_back({TwinName(graph.values.size(), tensor.name), tensor.shape});
  }
  for (const Step& step : quantized.steps) {
    Node node;
    node.name = TwinName(graph.nodes.size(), step.name);
    node.type = ToString(step.kind);
    node.op = TwinOp(step.kind);
    node.inputs = step.inputs;
    node.output = step.output;
    node.attributes = step.attributes;
    if (step.kind == StepKind::kRequantize) node.attributes = PoolAttributes{};
    node.activation = step.activation;
    graph.nodes.push_back(std::move(node));
  }
  return graph;
}

absl::Status CheckTensor(const QuantizedTensor& tensor, bool is_output) {
  const auto [bits, is_signed] = tensor.type;
  const bool fits = is_output ? bits == 16 && is_signed : bits <= 8 && bits >= (is_signed ? 2 : 1);
  if (!fits) {
    return absl::InvalidArgumentError(fmt::format("quantized model: tensor '{}': {} {}; needed {}",
                                                  tensor.name, is_signed ? "signed" : "unsigned",
                                                  bits, is_output ? "s16" : "u1-u8 or s2-s8"));
  }
  if (tensor.name.empty() || !IsPlain(tensor.name)) {
    return absl::InvalidArgumentError("quantized model: a tensor's name is not plain");
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const QuantizedGraph& graph) {
  int64_t elements = 0;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    MICO_RETURN_IF_ERROR(CheckTensor(graph.tensors[i], graph.IsOutput(static_cast<int>(i))));
    elements += graph.tensors[i].shape.elements();
    if (elements > kMostElements) {
      return absl::ResourceExhaustedError(
          fmt::format("quantized model: more than {} elements in its tensors", kMostElements));
    }
  }
  return absl::OkStatus();
}

// Whether the step's types go together: what only moves keeps its type.
absl::Status CheckTypes(const QuantizedGraph& graph, const Step& step) {
  const TensorType output = graph.tensors[step.output].type;
  for (const int input : step.inputs) {
    if (graph.IsOutput(input)) {
      return Invalid(step, "reads the network's output '{}'", graph.tensors[input].name);
    }
    const TensorType type = graph.tensors[input].type;
    const bool computes = step.kind == StepKind::kConv || step.kind == StepKind::kAdd ||
                          step.kind == StepKind::kAveragePool;
    const bool may_differ = computes || (step.kind == StepKind::kRequantize &&
                                         (type.is_signed == output.is_signed || output.bits == 16));
    if (!may_differ && type != output) {
      return Invalid(step, "reads {} and writes {}", type.ToString(), output.ToString());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckStep(const Step& step) {
  if (step.kind < StepKind::kConv || step.kind > StepKind::kRequantize) {
    return absl::InvalidArgumentError(fmt::format("quantized model: step '{}': no kind {}",
                                                  step.name, static_cast<int>(step.kind)));
  }
  if (step.name.empty() || !IsPlain(step.name)) {
    return absl::InvalidArgumentError("quantized model: a step's name is not plain");
  }
  if (step.kind == StepKind::kRequantize && step.attributes.index() != 0) {
    return Invalid(step, "has attributes");
  }
  return absl::OkStatus();
}

// Layers are numbered in execution order, and only they have weights.
absl::Status CheckLayers(const QuantizedGraph& graph) {
  int next_layer = 0;
  for (const Step& step : graph.steps) {
    const bool is_layer = step.kind == StepKind::kConv;
    const bool bits_fit =
        is_layer ? step.weight_bits >= 1 && step.weight_bits <= 8 : step.weight_bits == 0;
    if (step.layer != (is_layer ? next_layer++ : -1) || !bits_fit) {
      return Invalid(step, "layer {} with {}-bit weights", step.layer, step.weight_bits);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const QuantizedGraph& graph) {
  if (!IsPlain(graph.name)) {
    return absl::InvalidArgumentError("quantized model: its name is not plain");
  }
  for (const Step& step : graph.steps) MICO_RETURN_IF_ERROR(CheckStep(step));
  MICO_RETURN_IF_ERROR(Validate(FloatTwin(graph)));
  MICO_RETURN_IF_ERROR(CheckTensors(graph));
  for (const Step& step : graph.steps) MICO_RETURN_IF_ERROR(CheckTypes(graph, step));
  return CheckLayers(graph);
}

}  // namespace mico
