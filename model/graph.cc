#include "model/graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Sizes, strides, paddings and products of them stay below this, so that no product of two of them
// overflows 64 bits and every index fits 32.
constexpr int64_t kSizeLimit = int64_t{1} << 31;
constexpr size_t kMostNodes = 100'000;
// Of all values together, for one sample: what a worker can hold while it evaluates. And of all
// outputs, which may name one value several times.
constexpr int64_t kMostElements = int64_t{1} << 28;
constexpr size_t kLongestName = 256;

template <typename... Args>
absl::Status Invalid(const Node& node, fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format("node '{}' ({}): {}", node.name, node.type,
                                                fmt::format(format, std::forward<Args>(args)...)));
}

bool InRange(int64_t value, int64_t least) { return value >= least && value < kSizeLimit; }

// Whether the product of positive factors, each below 2^31, stays below 2^31.
template <size_t N>
bool ProductIsSmall(const std::array<int64_t, N>& factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    if (!InRange(factor, 1)) return false;
    product *= factor;
    if (product >= kSizeLimit) return false;
  }
  return true;
}

bool IsSmall(const Shape& shape) {
  return ProductIsSmall(std::array{shape.channels, shape.height, shape.width});
}

bool IsSmall(const Padding& padding) {
  return InRange(padding.top, 0) && InRange(padding.left, 0) && InRange(padding.bottom, 0) &&
         InRange(padding.right, 0);
}

// Names travel into logs, C identifiers and comments, so they are plain from the start.
bool IsPlainName(std::string_view name) {
  return name.size() <= kLongestName && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("_./:-").find(c) != std::string_view::npos;
         });
}

absl::Status CheckName(std::string_view what, std::string_view name, std::set<std::string>& taken) {
  if (name.empty() || !IsPlainName(name)) {
    return absl::InvalidArgumentError(
        fmt::format("{} name of {} characters is empty, too long or has characters other than "
                    "letters, digits and _./:-",
                    what, name.size()));
  }
  if (!taken.emplace(name).second) {
    return absl::InvalidArgumentError(fmt::format("two {}s are named '{}'", what, name));
  }
  return absl::OkStatus();
}

// One sliding window along one axis.
struct Window {
  int64_t input, before, after, kernel, stride, dilation;
};

absl::StatusOr<int64_t> Positions(const Node& node, std::string_view axis, const Window& window) {
  const int64_t padded = window.input + window.before + window.after;
  const int64_t reach = window.dilation * (window.kernel - 1) + 1;
  if (padded < reach) {
    return Invalid(node, "the kernel covers {} elements of {}, the padded input has only {}", reach,
                   axis, padded);
  }
  return (padded - reach) / window.stride + 1;
}

absl::Status CheckConv(const Node& node, const ConvAttributes& conv, const Shape& input) {
  const bool small = InRange(conv.kernel_height, 1) && InRange(conv.kernel_width, 1) &&
                     InRange(conv.stride_height, 1) && InRange(conv.stride_width, 1) &&
                     InRange(conv.dilation_height, 1) && InRange(conv.dilation_width, 1) &&
                     InRange(conv.groups, 1) && InRange(conv.out_channels, 1) &&
                     IsSmall(conv.padding);
  if (!small) return Invalid(node, "a size, stride, dilation or padding is out of range");
  if (input.channels % conv.groups != 0 || conv.out_channels % conv.groups != 0) {
    return Invalid(node, "{} input and {} output channels are not multiples of {} groups",
                   input.channels, conv.out_channels, conv.groups);
  }
  if (!ProductIsSmall(std::array{conv.out_channels, input.channels / conv.groups,
                                 conv.kernel_height, conv.kernel_width})) {
    return Invalid(node, "2^31 weights or more");
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> InferConv(const Node& node, const Shape& input) {
  const ConvAttributes& conv = node.conv();
  MICO_RETURN_IF_ERROR(CheckConv(node, conv, input));
  Shape output{.channels = conv.out_channels};
  MICO_ASSIGN_OR_RETURN(output.height,
                        Positions(node, "height",
                                  {input.height, conv.padding.top, conv.padding.bottom,
                                   conv.kernel_height, conv.stride_height, conv.dilation_height}));
  MICO_ASSIGN_OR_RETURN(output.width,
                        Positions(node, "width",
                                  {input.width, conv.padding.left, conv.padding.right,
                                   conv.kernel_width, conv.stride_width, conv.dilation_width}));
  return output;
}

absl::StatusOr<Shape> InferPool(const Node& node, const Shape& input) {
  const PoolAttributes& pool = node.pool();
  const Padding& padding = pool.padding;
  if (!InRange(pool.kernel_height, 1) || !InRange(pool.kernel_width, 1) ||
      !InRange(pool.stride_height, 1) || !InRange(pool.stride_width, 1) || !IsSmall(padding)) {
    return Invalid(node, "a size, stride or padding is out of range");
  }
  // Otherwise a window could lie in the padding alone, and its maximum or mean would not exist.
  if (std::max(padding.top, padding.bottom) >= pool.kernel_height ||
      std::max(padding.left, padding.right) >= pool.kernel_width) {
    return Invalid(node, "padding {},{},{},{} is not smaller than the kernel {}x{}", padding.top,
                   padding.left, padding.bottom, padding.right, pool.kernel_height,
                   pool.kernel_width);
  }
  Shape output{.channels = input.channels};
  MICO_ASSIGN_OR_RETURN(output.height, Positions(node, "height",
                                                 {input.height, padding.top, padding.bottom,
                                                  pool.kernel_height, pool.stride_height, 1}));
  MICO_ASSIGN_OR_RETURN(output.width, Positions(node, "width",
                                                {input.width, padding.left, padding.right,
                                                 pool.kernel_width, pool.stride_width, 1}));
  return output;
}

absl::StatusOr<Shape> InferConcat(const Node& node, const std::vector<Shape>& inputs) {
  Shape output = inputs.front();
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].height != output.height || inputs[i].width != output.width) {
      return Invalid(node, "inputs {} and {} differ in height or width", ToString(inputs.front()),
                     ToString(inputs[i]));
    }
    output.channels += inputs[i].channels;
    if (output.channels >= kSizeLimit) return Invalid(node, "2^31 channels or more");
  }
  return output;
}

absl::StatusOr<Shape> InferSlice(const Node& node, const Shape& input, const Shape& declared) {
  const SliceAttributes& slice = node.slice();
  const auto fits = [](int64_t start, int64_t step, int64_t count, int64_t extent) {
    return InRange(start, 0) && InRange(step, 1) && InRange(count, 1) &&
           start + (count - 1) * step < extent;
  };
  if (!fits(slice.start_channel, slice.step_channel, declared.channels, input.channels) ||
      !fits(slice.start_row, slice.step_row, declared.height, input.height) ||
      !fits(slice.start_column, slice.step_column, declared.width, input.width)) {
    return Invalid(node, "start {},{},{} step {},{},{} size {} does not lie inside {}",
                   slice.start_channel, slice.start_row, slice.start_column, slice.step_channel,
                   slice.step_row, slice.step_column, ToString(declared), ToString(input));
  }
  return declared;
}

absl::StatusOr<Shape> InferPad(const Node& node, const Shape& input) {
  const PadAttributes& pad = node.pad();
  if (!InRange(pad.channels_before, 0) || !InRange(pad.channels_after, 0) ||
      !IsSmall(pad.padding)) {
    return Invalid(node, "padding is out of range");
  }
  return Shape{.channels = pad.channels_before + input.channels + pad.channels_after,
               .height = pad.padding.top + input.height + pad.padding.bottom,
               .width = pad.padding.left + input.width + pad.padding.right};
}

absl::Status CheckInputCount(const Node& node, size_t count) {
  size_t least = 1, most = 1;
  if (node.op == OpKind::kAdd) least = most = 2;
  if (node.op == OpKind::kConcat) least = 2, most = kMostNodes;
  if (count < least || count > most) {
    return Invalid(node, "{} inputs; needs {}{}", count, least, most > least ? " or more" : "");
  }
  return absl::OkStatus();
}

bool HasItsAttributes(const Node& node) {
  switch (node.op) {
    case OpKind::kConv:
      return std::holds_alternative<ConvAttributes>(node.attributes);
    case OpKind::kMaxPool:
    case OpKind::kAveragePool:
      return std::holds_alternative<PoolAttributes>(node.attributes);
    case OpKind::kSlice:
      return std::holds_alternative<SliceAttributes>(node.attributes);
    case OpKind::kPad:
      return std::holds_alternative<PadAttributes>(node.attributes);
    case OpKind::kAdd:
    case OpKind::kRelu:
    case OpKind::kConcat:
      return std::holds_alternative<std::monostate>(node.attributes);
  }
  return false;
}

absl::StatusOr<Shape> InferByOp(const Node& node, const std::vector<Shape>& inputs,
                                const Shape& declared) {
  switch (node.op) {
    case OpKind::kConv:
      return InferConv(node, inputs[0]);
    case OpKind::kMaxPool:
    case OpKind::kAveragePool:
      return InferPool(node, inputs[0]);
    case OpKind::kAdd:
      if (inputs[0] != inputs[1]) {
        return Invalid(node, "adds {} and {}; needs equal shapes", ToString(inputs[0]),
                       ToString(inputs[1]));
      }
      return inputs[0];
    case OpKind::kRelu:
      return inputs[0];
    case OpKind::kConcat:
      return InferConcat(node, inputs);
    case OpKind::kSlice:
      return InferSlice(node, inputs[0], declared);
    case OpKind::kPad:
      return InferPad(node, inputs[0]);
  }
  return Invalid(node, "operator number {} does not exist", static_cast<int>(node.op));
}

absl::Status CheckActivation(const Node& node) {
  const FusedActivation& activation = node.activation;
  const bool may_have = node.op == OpKind::kConv || node.op == OpKind::kAdd;
  if (node.op == OpKind::kRelu ? !activation.relu : activation.relu && !may_have) {
    return Invalid(node, "has {} activation", activation.relu ? "an" : "no");
  }
  if (!activation.upper.has_value()) return absl::OkStatus();
  if (!activation.relu || !std::isfinite(*activation.upper) || *activation.upper <= 0) {
    return Invalid(node,
                   "upper limit {} of the activation; needs a ReLU and a finite limit above 0",
                   *activation.upper);
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const Graph& graph) {
  std::set<std::string> names;
  int64_t elements = 0;
  for (const Value& value : graph.values) {
    MICO_RETURN_IF_ERROR(CheckName("value", value.name, names));
    if (!IsSmall(value.shape)) {
      return absl::InvalidArgumentError(
          fmt::format("value '{}' has shape {}; needs extents of at least 1 and fewer than 2^31 "
                      "elements",
                      value.name, ToString(value.shape)));
    }
    elements += value.shape.elements();
    if (elements > kMostElements) {
      return absl::ResourceExhaustedError(
          fmt::format("value '{}' has shape {}: the network's values have more than {} elements",
                      value.name, ToString(value.shape), kMostElements));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOutputs(const Graph& graph) {
  if (graph.outputs.empty() || graph.outputs.size() > kMostOutputs) {
    return absl::InvalidArgumentError(
        fmt::format("the graph has {} outputs; needs 1 to {}", graph.outputs.size(), kMostOutputs));
  }
  std::set<std::string> names;
  int64_t elements = 0;
  for (const GraphOutput& output : graph.outputs) {
    MICO_RETURN_IF_ERROR(CheckName("output", output.name, names));
    if (output.value < 0 || static_cast<size_t>(output.value) >= graph.values.size()) {
      return absl::InvalidArgumentError(fmt::format("output '{}' is value number {}; there are {}",
                                                    output.name, output.value,
                                                    graph.values.size()));
    }
    if (output.value == graph.input) {
      return absl::InvalidArgumentError(
          fmt::format("output '{}' is the network's input; needs "
                      "something computed from it",
                      output.name));
    }
    elements += graph.values[output.value].shape.elements();
    if (elements > kMostElements) {
      return absl::InvalidArgumentError(
          fmt::format("outputs up to '{}' have {} elements; at most {} in all outputs", output.name,
                      elements, kMostElements));
    }
  }
  return absl::OkStatus();
}

// Checks one node against the values written before it, then marks its own value as written.
absl::Status CheckNode(const Graph& graph, const Node& node, std::vector<bool>& written) {
  const auto exists = [&](int index) {
    return index >= 0 && static_cast<size_t>(index) < graph.values.size();
  };
  std::vector<Shape> inputs;
  for (const int input : node.inputs) {
    if (!exists(input)) return Invalid(node, "reads value number {}, which does not exist", input);
    if (!written[input]) {
      return Invalid(node, "reads '{}' before it is written", graph.values[input].name);
    }
    inputs.push_back(graph.values[input].shape);
  }
  if (!exists(node.output)) {
    return Invalid(node, "writes value number {}, which does not exist", node.output);
  }
  const Value& output = graph.values[node.output];
  if (written[node.output]) return Invalid(node, "writes '{}' a second time", output.name);
  written[node.output] = true;

  MICO_RETURN_IF_ERROR(CheckActivation(node));
  MICO_ASSIGN_OR_RETURN(const Shape shape, InferShape(node, inputs, output.shape));
  if (shape != output.shape) {
    return Invalid(node, "gives {}, but its value '{}' is declared {}", ToString(shape),
                   output.name, ToString(output.shape));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ToString(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
}

std::string_view ToString(OpKind op) {
  switch (op) {
    case OpKind::kConv:
      return "Conv";
    case OpKind::kAdd:
      return "Add";
    case OpKind::kMaxPool:
      return "MaxPool";
    case OpKind::kAveragePool:
      return "AveragePool";
    case OpKind::kRelu:
      return "Relu";
    case OpKind::kConcat:
      return "Concat";
    case OpKind::kSlice:
      return "Slice";
    case OpKind::kPad:
      return "Pad";
  }
  return "unknown";
}

std::vector<int> Graph::QuantizedLayers() const {
  std::vector<int> layers;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op == OpKind::kConv) layers.push_back(static_cast<int>(i));
  }
  return layers;
}

int64_t CountMacs(const Graph& graph, const Node& node) {
  const ConvAttributes& conv = node.conv();
  const int64_t in_channels = graph.values[node.inputs[0]].shape.channels;
  return graph.values[node.output].shape.elements() * (in_channels / conv.groups) *
         conv.kernel_height * conv.kernel_width;
}

absl::Status Validate(const Graph& graph) {
  if (graph.nodes.empty() || graph.nodes.size() > kMostNodes) {
    return absl::InvalidArgumentError(
        fmt::format("the graph has {} nodes; needs 1 to {}", graph.nodes.size(), kMostNodes));
  }
  if (!IsPlainName(graph.name)) {
    return absl::InvalidArgumentError("the graph's name is too long or not plain");
  }
  MICO_RETURN_IF_ERROR(CheckValues(graph));
  if (graph.input < 0 || static_cast<size_t>(graph.input) >= graph.values.size()) {
    return absl::InvalidArgumentError(fmt::format("the input is value number {}; there are {}",
                                                  graph.input, graph.values.size()));
  }
  MICO_RETURN_IF_ERROR(CheckOutputs(graph));

  std::set<std::string> names;
  std::vector<bool> written(graph.values.size(), false);
  written[graph.input] = true;
  for (const Node& node : graph.nodes) {
    MICO_RETURN_IF_ERROR(CheckName("node", node.name, names));
    if (node.type.empty() || !IsPlainName(node.type)) {
      return absl::InvalidArgumentError(
          fmt::format("node '{}': its type is empty or not plain", node.name));
    }
    MICO_RETURN_IF_ERROR(CheckNode(graph, node, written));
  }
  for (size_t i = 0; i < written.size(); ++i) {
    if (!written[i]) {
      return absl::InvalidArgumentError(
          fmt::format("value '{}' is written by no node", graph.values[i].name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> InferShape(const Node& node, const std::vector<Shape>& inputs,
                                 const Shape& declared) {
  MICO_RETURN_IF_ERROR(CheckInputCount(node, inputs.size()));
  if (!HasItsAttributes(node)) {
    return Invalid(node, "carries another operator's attributes than {} needs", ToString(node.op));
  }
  for (const Shape& input : inputs) {
    if (!IsSmall(input)) return Invalid(node, "input shape {} is out of range", ToString(input));
  }
  MICO_ASSIGN_OR_RETURN(const Shape output, InferByOp(node, inputs, declared));
  if (!IsSmall(output)) {
    return Invalid(node, "output {} has 2^31 elements or more", ToString(output));
  }
  return output;
}

}  // namespace mico
