#include "model/model_package.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "fmt/format.h"

// The grammar with an example: docs/formats/model-package.md.

namespace mico {
namespace {

constexpr std::string_view kMagic = "MICOPKG2";
constexpr uint64_t kLeastValueBytes = 8 + 3 * 8;
constexpr uint64_t kLeastNodeBytes = 8 + 8 + 1 + 8 + 4 + 2;
constexpr uint64_t kLeastOutputBytes = 8 + 4;
constexpr uint64_t kLeastLayerBytes = 8 + 8;

void Write(ByteWriter& writer, const Padding& padding) {
  writer.I64(padding.top);
  writer.I64(padding.left);
  writer.I64(padding.bottom);
  writer.I64(padding.right);
}

void Write(ByteWriter& writer, const ConvAttributes& conv) {
  writer.I64(conv.kernel_height);
  writer.I64(conv.kernel_width);
  writer.I64(conv.stride_height);
  writer.I64(conv.stride_width);
  writer.I64(conv.dilation_height);
  writer.I64(conv.dilation_width);
  Write(writer, conv.padding);
  writer.I64(conv.groups);
  writer.I64(conv.out_channels);
}

void Write(ByteWriter& writer, const PoolAttributes& pool) {
  writer.I64(pool.kernel_height);
  writer.I64(pool.kernel_width);
  writer.I64(pool.stride_height);
  writer.I64(pool.stride_width);
  Write(writer, pool.padding);
  writer.U8(pool.count_include_pad ? 1 : 0);
}

void Write(ByteWriter& writer, const SliceAttributes& slice) {
  writer.I64(slice.start_channel);
  writer.I64(slice.start_row);
  writer.I64(slice.start_column);
  writer.I64(slice.step_channel);
  writer.I64(slice.step_row);
  writer.I64(slice.step_column);
}

void Write(ByteWriter& writer, const PadAttributes& pad) {
  writer.I64(pad.channels_before);
  writer.I64(pad.channels_after);
  Write(writer, pad.padding);
}

void Write(ByteWriter&, std::monostate) {}

void Write(ByteWriter& writer, const Node& node) {
  writer.Text(node.name);
  writer.Text(node.type);
  writer.U8(static_cast<uint8_t>(node.op));
  writer.U64(node.inputs.size());
  for (const int input : node.inputs) writer.I32(input);
  writer.I32(node.output);
  std::visit([&](const auto& attributes) { Write(writer, attributes); }, node.attributes);
  writer.U8(node.activation.relu ? 1 : 0);
  writer.U8(node.activation.upper.has_value() ? 1 : 0);
  if (node.activation.upper.has_value()) writer.F32(*node.activation.upper);
}

std::string SerializeParts(const Graph& graph, const Weights& weights) {
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.Text(graph.name);
  writer.U64(graph.values.size());
  for (const Value& value : graph.values) {
    writer.Text(value.name);
    writer.I64(value.shape.channels);
    writer.I64(value.shape.height);
    writer.I64(value.shape.width);
  }
  writer.U64(graph.nodes.size());
  for (const Node& node : graph.nodes) Write(writer, node);
  writer.I32(graph.input);
  writer.U64(graph.outputs.size());
  for (const GraphOutput& output : graph.outputs) {
    writer.Text(output.name);
    writer.I32(output.value);
  }
  writer.U64(weights.layers.size());
  for (const LayerWeights& layer : weights.layers) {
    writer.F32s(layer.weights);
    writer.F32s(layer.bias);
  }
  return writer.Take();
}

bool ReadBool(ByteReader& reader) {
  const uint8_t value = reader.U8();
  if (value > 1) reader.Fail(fmt::format("a truth value is {}; needs 0 or 1", value));
  return value == 1;
}

Padding ReadPadding(ByteReader& reader) {
  Padding padding;
  padding.top = reader.I64();
  padding.left = reader.I64();
  padding.bottom = reader.I64();
  padding.right = reader.I64();
  return padding;
}

ConvAttributes ReadConv(ByteReader& reader) {
  ConvAttributes conv;
  conv.kernel_height = reader.I64();
  conv.kernel_width = reader.I64();
  conv.stride_height = reader.I64();
  conv.stride_width = reader.I64();
  conv.dilation_height = reader.I64();
  conv.dilation_width = reader.I64();
  conv.padding = ReadPadding(reader);
  conv.groups = reader.I64();
  conv.out_channels = reader.I64();
  return conv;
}

PoolAttributes ReadPool(ByteReader& reader) {
  PoolAttributes pool;
  pool.kernel_height = reader.I64();
  pool.kernel_width = reader.I64();
  pool.stride_height = reader.I64();
  pool.stride_width = reader.I64();
  pool.padding = ReadPadding(reader);
  pool.count_include_pad = ReadBool(reader);
  return pool;
}

SliceAttributes ReadSlice(ByteReader& reader) {
  SliceAttributes slice;
  slice.start_channel = reader.I64();
  slice.start_row = reader.I64();
  slice.start_column = reader.I64();
  slice.step_channel = reader.I64();
  slice.step_row = reader.I64();
  slice.step_column = reader.I64();
  return slice;
}

PadAttributes ReadPad(ByteReader& reader) {
  PadAttributes pad;
  pad.channels_before = reader.I64();
  pad.channels_after = reader.I64();
  pad.padding = ReadPadding(reader);
  return pad;
}

OpKind ReadOp(ByteReader& reader) {
  const uint8_t op = reader.U8();
  if (op > static_cast<uint8_t>(OpKind::kPad)) {
    reader.Fail(fmt::format("operator number {} does not exist", op));
    return OpKind::kRelu;
  }
  return static_cast<OpKind>(op);
}

void ReadAttributes(ByteReader& reader, Node& node) {
  switch (node.op) {
    case OpKind::kConv:
      node.attributes = ReadConv(reader);
      return;
    case OpKind::kMaxPool:
    case OpKind::kAveragePool:
      node.attributes = ReadPool(reader);
      return;
    case OpKind::kSlice:
      node.attributes = ReadSlice(reader);
      return;
    case OpKind::kPad:
      node.attributes = ReadPad(reader);
      return;
    case OpKind::kAdd:
    case OpKind::kRelu:
    case OpKind::kConcat:
      return;
  }
}

Node ReadNode(ByteReader& reader) {
  Node node;
  node.name = reader.Text();
  node.type = reader.Text();
  node.op = ReadOp(reader);
  const uint64_t input_count = reader.Count(sizeof(int32_t));
  for (uint64_t i = 0; i < input_count; ++i) node.inputs.push_back(reader.I32());
  node.output = reader.I32();
  ReadAttributes(reader, node);
  node.activation.relu = ReadBool(reader);
  if (ReadBool(reader)) node.activation.upper = reader.F32();
  return node;
}

Value ReadValue(ByteReader& reader) {
  Value value;
  value.name = reader.Text();
  value.shape.channels = reader.I64();
  value.shape.height = reader.I64();
  value.shape.width = reader.I64();
  return value;
}

bool AllFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

absl::Status CheckLayer(const Graph& graph, const Node& node, const LayerWeights& layer) {
  const ConvAttributes& conv = node.conv();
  const int64_t in_channels = graph.values[node.inputs[0]].shape.channels;
  const int64_t expected =
      conv.out_channels * (in_channels / conv.groups) * conv.kernel_height * conv.kernel_width;
  if (static_cast<int64_t>(layer.weights.size()) != expected ||
      static_cast<int64_t>(layer.bias.size()) != conv.out_channels) {
    return absl::InvalidArgumentError(
        fmt::format("layer '{}' has {} weights and {} biases; needs {} and {}", node.name,
                    layer.weights.size(), layer.bias.size(), expected, conv.out_channels));
  }
  if (!AllFinite(layer.weights) || !AllFinite(layer.bias)) {
    return absl::InvalidArgumentError(
        fmt::format("layer '{}' has a weight or bias that is not a finite number", node.name));
  }
  return absl::OkStatus();
}

absl::Status CheckWeights(const Graph& graph, const Weights& weights) {
  const std::vector<int> layers = graph.QuantizedLayers();
  if (layers.size() != weights.layers.size()) {
    return absl::InvalidArgumentError(fmt::format("weights for {} layers; the graph has {}",
                                                  weights.layers.size(), layers.size()));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    MICO_RETURN_IF_ERROR(CheckLayer(graph, graph.nodes[layers[i]], weights.layers[i]));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelPackage> MakeModelPackage(Graph graph, Weights weights) {
  MICO_RETURN_IF_ERROR(Validate(graph));
  MICO_RETURN_IF_ERROR(CheckWeights(graph, weights));
  Digest digest = Digest::Of(SerializeParts(graph, weights));
  return ModelPackage{std::move(graph), std::move(weights), std::move(digest)};
}

std::string Serialize(const ModelPackage& package) {
  return SerializeParts(package.graph, package.weights);
}

absl::StatusOr<ModelPackage> ParseModelPackage(std::string_view bytes) {
  ByteReader reader(bytes, "model package");
  reader.Magic(kMagic);
  Graph graph;
  graph.name = reader.Text();
  const uint64_t value_count = reader.Count(kLeastValueBytes);
  for (uint64_t i = 0; i < value_count && reader.status().ok(); ++i) {
    graph.values.push_back(ReadValue(reader));
  }
  const uint64_t node_count = reader.Count(kLeastNodeBytes);
  for (uint64_t i = 0; i < node_count && reader.status().ok(); ++i) {
    graph.nodes.push_back(ReadNode(reader));
  }
  graph.input = reader.I32();
  const uint64_t output_count = reader.Count(kLeastOutputBytes);
  for (uint64_t i = 0; i < output_count && reader.status().ok(); ++i) {
    std::string name = reader.Text();
    graph.outputs.push_back({std::move(name), reader.I32()});
  }

  Weights weights;
  const uint64_t layer_count = reader.Count(kLeastLayerBytes);
  for (uint64_t i = 0; i < layer_count && reader.status().ok(); ++i) {
    std::vector<float> values = reader.F32s();
    std::vector<float> bias = reader.F32s();
    weights.layers.push_back({std::move(values), std::move(bias)});
  }
  MICO_RETURN_IF_ERROR(reader.Finish());
  return MakeModelPackage(std::move(graph), std::move(weights));
}

}  // namespace mico
