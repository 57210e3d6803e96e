#include "worker/torch/float_network.h"

#include <limits>

#include "worker/torch/convolution_sizes.h"

namespace mico {
namespace {

constexpr float kUnlimited = std::numeric_limits<float>::infinity();

// [out][in][h][w] to [out][h][w][in].
std::vector<float> ChannelsLast(const std::vector<float>& weights, const ConvAttributes& conv,
                                int64_t in_channels) {
  const int64_t taps = conv.kernel_height * conv.kernel_width;
  std::vector<float> reordered(weights.size());
  for (int64_t out = 0; out < conv.out_channels; ++out) {
    for (int64_t in = 0; in < in_channels; ++in) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        reordered[(out * taps + tap) * in_channels + in] =
            weights[(out * in_channels + in) * taps + tap];
      }
    }
  }
  return reordered;
}

BatchTensor Activate(const FusedActivation& activation, const BatchTensor& tensor) {
  if (!activation.relu) return tensor;
  return Clamp(tensor, 0.0f, activation.upper.value_or(kUnlimited));
}

BatchTensor Add(const BatchTensor& a, const BatchTensor& b) {
  BatchTensor sum = BatchTensor::Empty(a.count, a.shape);
  for (int64_t i = 0; i < a.elements(); ++i) sum.data()[i] = a.data()[i] + b.data()[i];
  return sum;
}

BatchTensor AveragePool(const BatchTensor& input, const PoolAttributes& pool,
                        const Shape& out_shape) {
  BatchTensor output = BatchTensor::Zeros(input.count, out_shape);
  const auto mean_of = [&](int64_t sample, int64_t row, int64_t column, WindowSpan rows,
                           WindowSpan columns) {
    float* result = output.At(sample, row, column);
    for (int64_t y = rows.first; y < rows.last; ++y) {
      for (int64_t x = columns.first; x < columns.last; ++x) {
        const float* pixel = input.At(sample, y, x);
        for (int64_t c = 0; c < input.shape.channels; ++c) result[c] += pixel[c];
      }
    }
    const int64_t divisor = pool.count_include_pad ? pool.kernel_height * pool.kernel_width
                                                   : rows.size() * columns.size();
    for (int64_t c = 0; c < input.shape.channels; ++c) result[c] /= static_cast<float>(divisor);
  };
  ForEachWindow(input, pool, out_shape, mean_of);
  return output;
}

}  // namespace

FloatNetwork::FloatNetwork(const ModelPackage& package)
    : package_(package), last_reader_(package.graph.values.size(), -1) {
  const Graph& graph = package.graph;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int input : graph.nodes[i].inputs) last_reader_[input] = static_cast<int>(i);
  }
  for (const GraphOutput& output : graph.outputs) {
    last_reader_[output.value] = static_cast<int>(graph.nodes.size());
  }
  for (const int index : graph.QuantizedLayers()) {
    const Node& node = graph.nodes[index];
    const LayerWeights& weights = package.weights.layers[layers_.size()];
    const int64_t in_channels = graph.values[node.inputs[0]].shape.channels;
    const std::vector<float> reordered =
        ChannelsLast(weights.weights, node.conv(), in_channels / node.conv().groups);
    layers_.emplace_back(SizesOf(node.conv(), in_channels), reordered.data(), weights.bias.data());
  }
}

std::vector<BatchTensor> FloatNetwork::Run(const BatchTensor& input, const Visit& visit) const {
  const Graph& graph = package_.graph;
  std::vector<BatchTensor> values(graph.values.size());
  values[graph.input] = input;
  if (visit) visit(graph.input, input);
  int layer = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    values[node.output] = RunNode(node, layer, values);
    if (node.op == OpKind::kConv) ++layer;
    if (visit) visit(node.output, values[node.output]);
    for (const int read : node.inputs) {
      if (last_reader_[read] == static_cast<int>(i)) values[read] = {};
    }
  }
  std::vector<BatchTensor> outputs;
  for (const GraphOutput& output : graph.outputs) outputs.push_back(values[output.value]);
  return outputs;
}

BatchTensor FloatNetwork::RunNode(const Node& node, int layer,
                                  const std::vector<BatchTensor>& values) const {
  const BatchTensor& input = values[node.inputs[0]];
  const Shape& out_shape = package_.graph.values[node.output].shape;
  switch (node.op) {
    case OpKind::kConv: {
      const BatchTensor padded = Padded(input, node.conv());
      const BatchTensor output{
          input.count, out_shape,
          layers_[layer].Run(padded.data(), padded.count, padded.shape.height, padded.shape.width)};
      return Activate(node.activation, output);
    }
    case OpKind::kAdd:
      return Activate(node.activation, Add(input, values[node.inputs[1]]));
    case OpKind::kMaxPool:
      return MaxPool(input, node.pool(), out_shape);
    case OpKind::kAveragePool:
      return AveragePool(input, node.pool(), out_shape);
    case OpKind::kRelu:
      return Activate({.relu = true, .upper = node.activation.upper}, input);
    case OpKind::kConcat: {
      std::vector<BatchTensor> inputs;
      for (const int index : node.inputs) inputs.push_back(values[index]);
      return Concat(inputs, out_shape);
    }
    case OpKind::kSlice:
      return Slice(input, node.slice(), out_shape);
    case OpKind::kPad:
      break;
  }
  return Pad(input, node.pad(), out_shape);
}

}  // namespace mico
