#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include "model/model_package.h"

namespace mico {

// The normal form computed as its definition says, in loops that one can check by eye: what the
// importer's tests compare with. Values are [channels][rows][columns]. For tests only; far too slow
// for anything else.
class FloatReference {
 public:
  explicit FloatReference(const ModelPackage& package) : package_(package) {}

  // The first output.
  std::vector<float> Run(std::vector<float> input) { return RunAll(std::move(input)).front(); }

  std::vector<std::vector<float>> RunAll(std::vector<float> input) {
    values_.assign(graph().values.size(), {});
    values_[graph().input] = std::move(input);
    size_t layer = 0;
    for (const Node& node : graph().nodes) {
      const LayerWeights* weights = nullptr;
      if (node.op == OpKind::kConv) weights = &package_.weights.layers[layer++];
      std::vector<float>& output = values_[node.output];
      output.assign(OutputShape(node).elements(), 0.0f);
      Compute(node, weights, output);
      Activate(node, output);
    }
    std::vector<std::vector<float>> outputs;
    for (const GraphOutput& output : graph().outputs) outputs.push_back(values_[output.value]);
    return outputs;
  }

 private:
  const Graph& graph() const { return package_.graph; }
  const Shape& InputShape(const Node& node, size_t i = 0) const {
    return graph().values[node.inputs[i]].shape;
  }
  const Shape& OutputShape(const Node& node) const { return graph().values[node.output].shape; }

  // Element c, y, x of input i; nothing outside of it.
  const float* At(const Node& node, int64_t c, int64_t y, int64_t x, size_t i = 0) const {
    const Shape& shape = InputShape(node, i);
    const bool inside =
        c >= 0 && c < shape.channels && y >= 0 && y < shape.height && x >= 0 && x < shape.width;
    if (!inside) return nullptr;
    return &values_[node.inputs[i]][(c * shape.height + y) * shape.width + x];
  }

  void Compute(const Node& node, const LayerWeights* weights, std::vector<float>& output) {
    const Shape& shape = OutputShape(node);
    size_t i = 0;
    for (int64_t c = 0; c < shape.channels; ++c) {
      for (int64_t y = 0; y < shape.height; ++y) {
        for (int64_t x = 0; x < shape.width; ++x) output[i++] = Element(node, weights, c, y, x);
      }
    }
  }

  float Element(const Node& node, const LayerWeights* weights, int64_t c, int64_t y, int64_t x) {
    switch (node.op) {
      case OpKind::kConv:
        return Conv(node, *weights, c, y, x);
      case OpKind::kAdd:
        return *At(node, c, y, x, 0) + *At(node, c, y, x, 1);
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
        return Pool(node, c, y, x);
      case OpKind::kRelu:
        return *At(node, c, y, x);
      case OpKind::kConcat:
        return Concat(node, c, y, x);
      case OpKind::kSlice: {
        const SliceAttributes& slice = node.slice();
        return *At(node, slice.start_channel + c * slice.step_channel,
                   slice.start_row + y * slice.step_row,
                   slice.start_column + x * slice.step_column);
      }
      case OpKind::kPad: {
        const PadAttributes& pad = node.pad();
        const float* from =
            At(node, c - pad.channels_before, y - pad.padding.top, x - pad.padding.left);
        return from == nullptr ? 0.0f : *from;
      }
    }
    return 0.0f;
  }

  float Conv(const Node& node, const LayerWeights& weights, int64_t c, int64_t y, int64_t x) {
    const ConvAttributes& conv = node.conv();
    const int64_t in_per_group = InputShape(node).channels / conv.groups;
    const int64_t group = c / (conv.out_channels / conv.groups);
    double sum = weights.bias[c];
    for (int64_t i = 0; i < in_per_group; ++i) {
      for (int64_t ky = 0; ky < conv.kernel_height; ++ky) {
        for (int64_t kx = 0; kx < conv.kernel_width; ++kx) {
          const float* in =
              At(node, group * in_per_group + i,
                 y * conv.stride_height + ky * conv.dilation_height - conv.padding.top,
                 x * conv.stride_width + kx * conv.dilation_width - conv.padding.left);
          if (in == nullptr) continue;
          const int64_t w =
              ((c * in_per_group + i) * conv.kernel_height + ky) * conv.kernel_width + kx;
          sum += static_cast<double>(*in) * weights.weights[w];
        }
      }
    }
    return static_cast<float>(sum);
  }

  float Pool(const Node& node, int64_t c, int64_t y, int64_t x) {
    const PoolAttributes& pool = node.pool();
    double sum = 0;
    float largest = -std::numeric_limits<float>::infinity();
    int64_t count = 0;
    for (int64_t ky = 0; ky < pool.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < pool.kernel_width; ++kx) {
        const float* in = At(node, c, y * pool.stride_height + ky - pool.padding.top,
                             x * pool.stride_width + kx - pool.padding.left);
        if (in == nullptr) continue;
        sum += *in;
        largest = std::max(largest, *in);
        ++count;
      }
    }
    if (node.op == OpKind::kMaxPool) return largest;
    if (pool.count_include_pad) count = pool.kernel_height * pool.kernel_width;
    return static_cast<float>(sum / static_cast<double>(count));
  }

  float Concat(const Node& node, int64_t c, int64_t y, int64_t x) {
    size_t i = 0;
    while (c >= InputShape(node, i).channels) c -= InputShape(node, i++).channels;
    return *At(node, c, y, x, i);
  }

  static void Activate(const Node& node, std::vector<float>& output) {
    if (!node.activation.relu) return;
    for (float& value : output) {
      value = std::max(value, 0.0f);
      if (node.activation.upper.has_value()) value = std::min(value, *node.activation.upper);
    }
  }

  const ModelPackage& package_;
  std::vector<std::vector<float>> values_;
};

}  // namespace mico
