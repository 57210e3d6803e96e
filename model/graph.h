#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

// The shape of one sample. A vector of n features is {n, 1, 1}. Every extent is at least 1.
struct Shape {
  int64_t channels = 1;
  int64_t height = 1;
  int64_t width = 1;

  int64_t elements() const { return channels * height * width; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

// "16x32x32": channels, height, width.
std::string ToString(const Shape& shape);

struct Padding {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  friend bool operator==(const Padding&, const Padding&) = default;
};

// An operator's range after its own arithmetic: ReLU clamps at 0 below, ReLU6 also at 6 above.
struct FusedActivation {
  bool relu = false;
  std::optional<float> upper;  // only with relu
  friend bool operator==(const FusedActivation&, const FusedActivation&) = default;
};

// Convolution, and every other layer with weights: depthwise is groups == in channels; a fully
// connected layer is a convolution whose kernel is its whole input (out height = width = 1).
struct ConvAttributes {
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t dilation_height = 1, dilation_width = 1;
  Padding padding;  // with zeros
  int64_t groups = 1;
  int64_t out_channels = 1;
  friend bool operator==(const ConvAttributes&, const ConvAttributes&) = default;
};

struct PoolAttributes {
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  Padding padding;
  // Average pool only: padding counts in the divisor. Max pool always ignores padding.
  bool count_include_pad = false;
  friend bool operator==(const PoolAttributes&, const PoolAttributes&) = default;
};

// Every step-th element from start, per axis; the output shape says how many. Steps >= 1.
struct SliceAttributes {
  int64_t start_channel = 0, start_row = 0, start_column = 0;
  int64_t step_channel = 1, step_row = 1, step_column = 1;
  friend bool operator==(const SliceAttributes&, const SliceAttributes&) = default;
};

// Zeros around the tensor.
struct PadAttributes {
  int64_t channels_before = 0, channels_after = 0;
  Padding padding;
  friend bool operator==(const PadAttributes&, const PadAttributes&) = default;
};

enum class OpKind {
  kConv,         // attributes: ConvAttributes; has weights and bias
  kAdd,          // two inputs of equal shape
  kMaxPool,      // PoolAttributes
  kAveragePool,  // PoolAttributes
  kRelu,         // a ReLU that could not be fused into its producer; activation.upper may be set
  kConcat,       // along channels, two or more inputs
  kSlice,        // SliceAttributes
  kPad,          // PadAttributes
};

// "Conv", "Add", ...
std::string_view ToString(OpKind op);

struct Value {
  std::string name;
  Shape shape;
};

struct Node {
  std::string name;  // unique in the graph, from the file where it has one
  std::string type;  // the operator in the file, for people: "Conv", "Gemm", "MatMul", ...
  OpKind op = OpKind::kConv;
  std::vector<int> inputs;  // indices of values
  int output = 0;           // index of a value
  std::variant<std::monostate, ConvAttributes, PoolAttributes, SliceAttributes, PadAttributes>
      attributes;
  FusedActivation activation;  // kConv, kAdd: fused; kRelu: its own

  const ConvAttributes& conv() const { return std::get<ConvAttributes>(attributes); }
  const PoolAttributes& pool() const { return std::get<PoolAttributes>(attributes); }
  const SliceAttributes& slice() const { return std::get<SliceAttributes>(attributes); }
  const PadAttributes& pad() const { return std::get<PadAttributes>(attributes); }
};

// One of a network's results. Two outputs may be one value (scores with and without a Softmax).
struct GraphOutput {
  std::string name;  // unique among the outputs, from the file
  int value = 0;     // index of a value, never the input's
  friend bool operator==(const GraphOutput&, const GraphOutput&) = default;
};

// A network in normal form: nodes in execution order, each value written once and before it is
// read, one input, one output or several, no layout operators (reshape, flatten, transpose are
// folded away). Semantics are those of ONNX on NCHW float32.
struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  int input = 0;
  std::vector<GraphOutput> outputs;  // 1 to kMostOutputs, in the file's order

  // The value that accuracies and divergences are about: the first output's.
  int scored_value() const { return outputs.front().value; }

  // Indices of the kConv nodes in execution order: the quantized layers, which a BitScheme and
  // Weights number 0, 1, ...
  std::vector<int> QuantizedLayers() const;
};

// Multiply-accumulates of one kConv node, border positions counted as if they were inside.
int64_t CountMacs(const Graph& graph, const Node& node);

// More is a mistake or an attack.
inline constexpr size_t kMostOutputs = 64;

// Checks all that Graph promises: indices, single assignment, shapes that follow from attributes,
// sizes below 2^31, 2^28 elements in all values and in all outputs. Every reader of a graph from
// outside calls it first.
absl::Status Validate(const Graph& graph);

// The shape that `node` gives for its inputs' shapes (Slice and Concat included; for Slice the
// count per axis is taken from `declared`). InvalidArgument names the node.
absl::StatusOr<Shape> InferShape(const Node& node, const std::vector<Shape>& inputs,
                                 const Shape& declared);

}  // namespace mico
