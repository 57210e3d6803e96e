#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/graph.h"
#include "quant/bit_scheme.h"

namespace mico {

// How a tensor's integers are stored. bits: 1-8, or 16 for the network's outputs.
struct TensorType {
  int bits = 8;
  bool is_signed = false;

  int32_t lowest() const;             // u: 0; s: -2^(bits-1)
  int32_t highest() const;            // u: 2^bits-1; s: 2^(bits-1)-1
  int32_t largest_magnitude() const;  // of lowest and highest
  // The container: 1, 2, 4, 8 or 16 bits.
  int container_bits() const;
  // "u4", "s8", "s16".
  std::string ToString() const;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

// The container of 1-8 bits: 1, 2, 4 or 8.
int ContainerBits(int bits);
// Bytes of a packed NHWC tensor: elements are packed back to back over the whole tensor (element 0
// in the lowest bits of byte 0; no padding between rows), rounded up to a whole byte.
int64_t PackedBytes(const Shape& shape, TensorType type);

struct QuantizedTensor {
  std::string name;
  Shape shape;
  TensorType type;
};

enum class StepKind {
  kConv,
  kAdd,
  kMaxPool,
  kAveragePool,
  kRelu,
  kConcat,
  kSlice,
  kPad,
  kRequantize,  // one stored tensor read at a narrower width, or a 16-bit output that is not
                // written by arithmetic or is also read inside
};
std::string_view ToString(StepKind kind);

// One thing the device does. Attributes are those of the graph node it came from.
struct Step {
  StepKind kind = StepKind::kConv;
  std::string name;
  std::vector<int> inputs;  // indices of tensors
  int output = 0;
  std::variant<std::monostate, ConvAttributes, PoolAttributes, SliceAttributes, PadAttributes>
      attributes;
  FusedActivation activation;
  int layer = -1;       // kConv: index into the scheme
  int weight_bits = 0;  // kConv

  const ConvAttributes& conv() const { return std::get<ConvAttributes>(attributes); }
  const PoolAttributes& pool() const { return std::get<PoolAttributes>(attributes); }
  const SliceAttributes& slice() const { return std::get<SliceAttributes>(attributes); }
  const PadAttributes& pad() const { return std::get<PadAttributes>(attributes); }
};

// One of the network's results: a 16-bit tensor that no step reads. Two outputs may be one tensor.
struct QuantizedOutput {
  std::string name;  // unique among the outputs
  int tensor = 0;
  friend bool operator==(const QuantizedOutput&, const QuantizedOutput&) = default;
};

// The structure of a quantized network: what is stored at which width and what reads it, without
// any number. Enough to know its cost. Nodes in execution order; single assignment.
struct QuantizedGraph {
  std::string name;
  std::vector<QuantizedTensor> tensors;
  std::vector<Step> steps;
  int input = 0;
  std::vector<QuantizedOutput> outputs;  // parallel to Graph::outputs

  // The tensor that accuracies and divergences are about: the first output's.
  int scored_tensor() const { return outputs.front().tensor; }
  bool IsOutput(int tensor) const;
};

// The outputs' elements one behind the other, as mico_model_run writes them: first output first,
// each NHWC. Outputs that are one tensor lie at one place.
struct OutputLayout {
  std::vector<int> tensors;      // the distinct ones, in their order
  std::vector<int64_t> offsets;  // per output, in elements
  int64_t elements = 0;          // of all tensors
};
OutputLayout LayOutOutputs(const QuantizedGraph& graph);

// Checks all that QuantizedGraph promises: indices, single assignment, shapes that follow from the
// attributes, types that go together, at most 2^28 elements in all tensors.
absl::Status Validate(const QuantizedGraph& graph);

// Applies "Which tensor has which width" of the numerics to a graph and a scheme.
//
// Values that only move (max-pool, ReLU that is not fused, slice, pad, concat: inputs and output)
// form one group that shares scale, signedness and storage width; a group is stored at the width
// that all its quantized readers ask for, at 8 bits where they differ or where it also feeds an Add
// or an average pool. A reader that asks for less than is stored reads through a kRequantize step
// (one step for all readers of that width). 1-bit signed activations do not exist: a reader that
// asks for 1 bit of a signed tensor is InvalidArgument with the layer's name and the least width.
// Every output of the network is s16: written so by a Conv, Add or average pool that no node reads,
// otherwise stored as usual (at 8 bits) and requantized by a step at the end.
//
// Tensor i is the graph's value i; the tensors that kRequantize steps write follow.
// `input_non_negative`: no prepared input value is below 0.
//
// Pure; InvalidArgument if the scheme has another number of layers or a width outside 1-8.
absl::StatusOr<QuantizedGraph> LowerGraph(const Graph& graph, bool input_non_negative,
                                          const BitScheme& scheme);

// For each value of the graph the number of its group (see LowerGraph), and what is known of the
// groups. Shared by LowerGraph, calibration and Quantize.
struct ValueGroups {
  std::vector<int> group_of_value;
  std::vector<bool> non_negative;  // per group: no member can be negative
  // Per group: values written by the input, Conv, Add or AveragePool. Their histograms together
  // decide the group's scale.
  std::vector<std::vector<int>> producers;
};
ValueGroups GroupValues(const Graph& graph, bool input_non_negative);

// Least activation width of each quantized layer's input: 1 for unsigned inputs, 2 for signed ones.
std::vector<int> LeastInputBits(const Graph& graph, bool input_non_negative);
// For each quantized layer: does it read (a moved copy of) the network's input?
std::vector<bool> InputLayers(const Graph& graph);

}  // namespace mico
