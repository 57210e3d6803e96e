#include "quant/quantized_graph.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Operators whose output elements are input elements (or zeros, or clamped): they share a grid.
bool OnlyMoves(OpKind op) {
  switch (op) {
    case OpKind::kMaxPool:
    case OpKind::kRelu:
    case OpKind::kConcat:
    case OpKind::kSlice:
    case OpKind::kPad:
      return true;
    case OpKind::kConv:
    case OpKind::kAdd:
    case OpKind::kAveragePool:
      return false;
  }
  return false;
}

StepKind StepKindOf(OpKind op) {
  switch (op) {
    case OpKind::kConv:
      return StepKind::kConv;
    case OpKind::kAdd:
      return StepKind::kAdd;
    case OpKind::kMaxPool:
      return StepKind::kMaxPool;
    case OpKind::kAveragePool:
      return StepKind::kAveragePool;
    case OpKind::kRelu:
      return StepKind::kRelu;
    case OpKind::kConcat:
      return StepKind::kConcat;
    case OpKind::kSlice:
      return StepKind::kSlice;
    case OpKind::kPad:
      return StepKind::kPad;
  }
  return StepKind::kConv;
}

// Sets of values that share a grid (union-find with path halving; the lowest value represents).
class DisjointValues {
 public:
  explicit DisjointValues(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int Find(int value) {
    while (parent_[value] != value) {
      parent_[value] = parent_[parent_[value]];
      value = parent_[value];
    }
    return value;
  }
  void Join(int a, int b) {
    const auto [low, high] = std::minmax({Find(a), Find(b)});
    parent_[high] = low;
  }

 private:
  std::vector<int> parent_;
};

// Numbers the groups in the order of their first values.
std::vector<int> NumberGroups(const Graph& graph) {
  DisjointValues sets(graph.values.size());
  for (const Node& node : graph.nodes) {
    if (!OnlyMoves(node.op)) continue;
    for (const int input : node.inputs) sets.Join(input, node.output);
  }
  std::vector<int> group_of_value(graph.values.size(), -1);
  int count = 0;
  for (size_t value = 0; value < graph.values.size(); ++value) {
    const int representative = sets.Find(static_cast<int>(value));
    if (group_of_value[representative] < 0) group_of_value[representative] = count++;
    group_of_value[value] = group_of_value[representative];
  }
  return group_of_value;
}

// Whether `node`, which computes, can write a negative value if the groups that are marked cannot.
bool CanWriteNegative(const Node& node, const ValueGroups& groups) {
  if (node.activation.relu) return false;
  if (node.op == OpKind::kConv) return true;
  return std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](int input) { return !groups.non_negative[groups.group_of_value[input]]; });
}

// Starts with "nothing is negative" and takes back what is not so until nothing changes: what stays
// is proved by induction over the execution order.
void MarkNonNegative(const Graph& graph, bool input_non_negative, ValueGroups& groups) {
  if (!input_non_negative) groups.non_negative[groups.group_of_value[graph.input]] = false;
  bool changed = true;
  while (changed) {
    changed = false;
    for (const Node& node : graph.nodes) {
      const int group = groups.group_of_value[node.output];
      if (OnlyMoves(node.op) || !groups.non_negative[group]) continue;
      if (CanWriteNegative(node, groups)) {
        groups.non_negative[group] = false;
        changed = true;
      }
    }
  }
}

// What one group is asked for by the nodes that read its values.
struct Demand {
  std::optional<int> bits;  // what the quantized readers agree on so far
  bool needs_eight = false;
};

int StoredBits(const Demand& demand) { return demand.needs_eight ? 8 : demand.bits.value_or(8); }

// Builds the quantized graph node by node.
class Lowering {
 public:
  Lowering(const Graph& graph, bool input_non_negative, const BitScheme& scheme)
      : graph_(graph),
        scheme_(scheme),
        groups_(GroupValues(graph, input_non_negative)),
        demands_(groups_.non_negative.size()),
        is_computed_(graph.values.size(), false),
        is_direct_output_(graph.values.size(), false) {}

  absl::StatusOr<QuantizedGraph> Run() {
    MICO_RETURN_IF_ERROR(CheckScheme());
    MICO_RETURN_IF_ERROR(CollectDemands());
    lowered_.name = graph_.name;
    lowered_.input = graph_.input;
    AddTensors();
    for (const Node& node : graph_.nodes) AddStep(node);
    AddOutputs();
    return std::move(lowered_);
  }

 private:
  absl::Status CheckScheme() const {
    const size_t layers = graph_.QuantizedLayers().size();
    if (scheme_.size() != layers) {
      return absl::InvalidArgumentError(
          fmt::format("scheme has {} layers; network '{}' has {} quantized layers", scheme_.size(),
                      graph_.name, layers));
    }
    for (size_t layer = 0; layer < layers; ++layer) {
      const auto [weight_bits, input_bits] = scheme_[layer];
      if (std::min(weight_bits, input_bits) < 1 || std::max(weight_bits, input_bits) > 8) {
        return absl::InvalidArgumentError(fmt::format("scheme: layer {}: w{}a{}; widths are 1-8",
                                                      layer, weight_bits, input_bits));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CollectDemands() {
    std::vector<bool> is_read(graph_.values.size(), false);
    size_t layer = 0;
    for (const Node& node : graph_.nodes) {
      for (const int input : node.inputs) is_read[input] = true;
      is_computed_[node.output] = !OnlyMoves(node.op);
      if (node.op == OpKind::kConv) {
        MICO_RETURN_IF_ERROR(AskFor(scheme_[layer++].input_bits, node));
      } else if (!OnlyMoves(node.op)) {
        for (const int input : node.inputs) DemandOf(input).needs_eight = true;
      }
    }
    for (const GraphOutput& output : graph_.outputs) {
      is_direct_output_[output.value] = is_computed_[output.value] && !is_read[output.value];
      // The final requantization reads the output like an Add would.
      if (!is_direct_output_[output.value]) DemandOf(output.value).needs_eight = true;
    }
    return absl::OkStatus();
  }

  Demand& DemandOf(int value) { return demands_[groups_.group_of_value[value]]; }

  absl::Status AskFor(int bits, const Node& layer) {
    const int value = layer.inputs[0];
    const bool is_signed = !groups_.non_negative[groups_.group_of_value[value]];
    if (is_signed && bits < 2) {
      return absl::InvalidArgumentError(fmt::format(
          "layer '{}': input '{}' can be negative: {}-bit asked; at least 2 bits needed",
          layer.name, graph_.values[value].name, bits));
    }
    Demand& demand = DemandOf(value);
    if (demand.bits.has_value() && *demand.bits != bits) demand.needs_eight = true;
    demand.bits = bits;
    return absl::OkStatus();
  }

  // Tensor i is value i; the narrower copies follow.
  void AddTensors() {
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      const int group = groups_.group_of_value[value];
      const TensorType type{StoredBits(demands_[group]), !groups_.non_negative[group]};
      lowered_.tensors.push_back({graph_.values[value].name, graph_.values[value].shape, type});
    }
    for (const GraphOutput& output : graph_.outputs) {
      if (!is_direct_output_[output.value]) continue;
      lowered_.tensors[output.value].type = TensorType{16, true};
    }
  }

  void AddStep(const Node& node) {
    Step step;
    step.kind = StepKindOf(node.op);
    step.name = node.name;
    step.inputs = node.inputs;
    step.output = node.output;
    step.attributes = node.attributes;
    step.activation = node.activation;
    if (node.op == OpKind::kConv) {
      step.layer = next_layer_++;
      step.weight_bits = scheme_[step.layer].weight_bits;
      step.inputs[0] = AtWidth(node.inputs[0], scheme_[step.layer].input_bits);
    }
    lowered_.steps.push_back(std::move(step));
  }

  // The tensor that holds `value` at `bits`, requantized by a new step if there is none yet.
  int AtWidth(int value, int bits) {
    const TensorType stored = lowered_.tensors[value].type;
    if (stored.bits == bits) return value;
    const auto [entry, is_new] = narrowed_.try_emplace({value, bits}, 0);
    const bool is_signed = stored.is_signed || bits == 16;
    if (is_new) entry->second = AddRequantize(value, TensorType{bits, is_signed});
    return entry->second;
  }

  int AddRequantize(int value, TensorType type) {
    const int tensor = static_cast<int>(lowered_.tensors.size());
    const std::string name =
        UnusedName(fmt::format("{}.{}", graph_.values[value].name, type.ToString()));
    lowered_.tensors.push_back({name, graph_.values[value].shape, type});
    Step step;
    step.kind = StepKind::kRequantize;
    step.name = name;
    step.inputs = {value};
    step.output = tensor;
    lowered_.steps.push_back(std::move(step));
    return tensor;
  }

  // A file may well have a value that is called "conv1.u4" itself.
  std::string UnusedName(std::string name) const {
    const auto is_used = [&](const QuantizedTensor& tensor) { return tensor.name == name; };
    while (std::any_of(lowered_.tensors.begin(), lowered_.tensors.end(), is_used)) name += '_';
    return name;
  }

  void AddOutputs() {
    for (const GraphOutput& output : graph_.outputs) {
      lowered_.outputs.push_back({output.name, AtWidth(output.value, 16)});
    }
  }

  const Graph& graph_;
  const BitScheme& scheme_;
  const ValueGroups groups_;
  std::vector<Demand> demands_;
  std::vector<bool> is_computed_;       // per value: written by arithmetic
  std::vector<bool> is_direct_output_;  // per value: written in 16 bits by that
  int next_layer_ = 0;
  std::map<std::pair<int, int>, int> narrowed_;  // (value, bits) to tensor
  QuantizedGraph lowered_;
};

}  // namespace

int32_t TensorType::lowest() const { return is_signed ? -(int32_t{1} << (bits - 1)) : 0; }

int32_t TensorType::highest() const { return (int32_t{1} << (is_signed ? bits - 1 : bits)) - 1; }

int32_t TensorType::largest_magnitude() const { return std::max(-lowest(), highest()); }

int TensorType::container_bits() const { return bits > 8 ? 16 : ContainerBits(bits); }

std::string TensorType::ToString() const {
  return fmt::format("{}{}", is_signed ? 's' : 'u', bits);
}

int ContainerBits(int bits) { return bits <= 2 ? bits : bits <= 4 ? 4 : 8; }

int64_t PackedBytes(const Shape& shape, TensorType type) {
  return (shape.elements() * type.container_bits() + 7) / 8;
}

std::string_view ToString(StepKind kind) {
  switch (kind) {
    case StepKind::kConv:
      return "Conv";
    case StepKind::kAdd:
      return "Add";
    case StepKind::kMaxPool:
      return "MaxPool";
    case StepKind::kAveragePool:
      return "AveragePool";
    case StepKind::kRelu:
      return "Relu";
    case StepKind::kConcat:
      return "Concat";
    case StepKind::kSlice:
      return "Slice";
    case StepKind::kPad:
      return "Pad";
    case StepKind::kRequantize:
      return "Requantize";
  }
  return "?";
}

bool QuantizedGraph::IsOutput(int tensor) const {
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const QuantizedOutput& output) { return output.tensor == tensor; });
}

OutputLayout LayOutOutputs(const QuantizedGraph& graph) {
  OutputLayout layout;
  std::map<int, int64_t> offset_of;
  for (const QuantizedOutput& output : graph.outputs) {
    const auto [entry, is_new] = offset_of.try_emplace(output.tensor, layout.elements);
    layout.offsets.push_back(entry->second);
    if (!is_new) continue;
    layout.tensors.push_back(output.tensor);
    layout.elements += graph.tensors[output.tensor].shape.elements();
  }
  return layout;
}

ValueGroups GroupValues(const Graph& graph, bool input_non_negative) {
  ValueGroups groups;
  groups.group_of_value = NumberGroups(graph);
  const size_t count =
      1 + *std::max_element(groups.group_of_value.begin(), groups.group_of_value.end());
  groups.non_negative.assign(count, true);
  groups.producers.resize(count);
  groups.producers[groups.group_of_value[graph.input]].push_back(graph.input);
  for (const Node& node : graph.nodes) {
    if (OnlyMoves(node.op)) continue;
    groups.producers[groups.group_of_value[node.output]].push_back(node.output);
  }
  MarkNonNegative(graph, input_non_negative, groups);
  return groups;
}

absl::StatusOr<QuantizedGraph> LowerGraph(const Graph& graph, bool input_non_negative,
                                          const BitScheme& scheme) {
  return Lowering(graph, input_non_negative, scheme).Run();
}

std::vector<int> LeastInputBits(const Graph& graph, bool input_non_negative) {
  const ValueGroups groups = GroupValues(graph, input_non_negative);
  std::vector<int> least;
  for (const int layer : graph.QuantizedLayers()) {
    const int group = groups.group_of_value[graph.nodes[layer].inputs[0]];
    least.push_back(groups.non_negative[group] ? 1 : 2);
  }
  return least;
}

std::vector<bool> InputLayers(const Graph& graph) {
  std::vector<bool> holds_input(graph.values.size(), false);
  holds_input[graph.input] = true;
  std::vector<bool> layers;
  for (const Node& node : graph.nodes) {
    const bool reads_input = std::any_of(node.inputs.begin(), node.inputs.end(),
                                         [&](int input) { return holds_input[input]; });
    if (node.op == OpKind::kConv) layers.push_back(reads_input);
    if (OnlyMoves(node.op)) holds_input[node.output] = reads_input;
  }
  return layers;
}

}  // namespace mico
