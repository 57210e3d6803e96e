#include "quant/equalize.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace mico {
namespace {

// Layers in a row settle after a few rounds.
constexpr int kMostRounds = 20;
// Of one factor, as a power of two.
constexpr int kMostExponent = 16;

// Two layers and the tensor between them.
struct Pair {
  int first = 0, second = 0;  // layers
  int64_t channels = 0;
  // Of the second layer: the input channels of each group, the taps of each kernel.
  int64_t group_channels = 1, group_outputs = 1, taps = 1;
};

bool IsDepthwise(const Node& node, const Graph& graph) {
  const int64_t channels = graph.values[node.inputs[0]].shape.channels;
  return channels > 1 && node.conv().groups == channels;
}

std::vector<Pair> FindPairs(const Graph& graph) {
  std::vector<int> readers(graph.values.size(), 0), writer(graph.values.size(), -1);
  for (const GraphOutput& output : graph.outputs) ++readers[output.value];
  for (const Node& node : graph.nodes) {
    for (const int input : node.inputs) ++readers[input];
  }
  const std::vector<int> layers = graph.QuantizedLayers();
  std::vector<Pair> pairs;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const Node& node = graph.nodes[layers[layer]];
    const int between = node.inputs[0];
    writer[node.output] = static_cast<int>(layer);
    if (writer[between] < 0 || readers[between] != 1) continue;
    const Node& first = graph.nodes[layers[writer[between]]];
    if (first.activation.upper.has_value()) continue;
    if (!IsDepthwise(first, graph) && !IsDepthwise(node, graph)) continue;
    const ConvAttributes& conv = node.conv();
    const int64_t channels = graph.values[between].shape.channels;
    pairs.push_back({writer[between], static_cast<int>(layer), channels, channels / conv.groups,
                     conv.out_channels / conv.groups, conv.kernel_height * conv.kernel_width});
  }
  return pairs;
}

// Calls visit(weight) for every weight of the second layer that reads channel `channel`.
template <typename Visit>
void ForEachReading(const Pair& pair, LayerWeights& second, int64_t channel, Visit visit) {
  const int64_t group = channel / pair.group_channels;
  for (int64_t i = 0; i < pair.group_outputs; ++i) {
    const int64_t out = group * pair.group_outputs + i;
    const int64_t first = (out * pair.group_channels + channel % pair.group_channels) * pair.taps;
    for (int64_t tap = 0; tap < pair.taps; ++tap) visit(second.weights[first + tap]);
  }
}

// Calls visit(value) for every weight that writes the channel, and for its bias.
template <typename Visit>
void ForEachWriting(const Pair& pair, LayerWeights& first, int64_t channel, Visit visit) {
  const auto size = static_cast<int64_t>(first.weights.size()) / pair.channels;
  for (int64_t i = channel * size; i < (channel + 1) * size; ++i) visit(first.weights[i]);
  visit(first.bias[channel]);
}

// Whether a float times 2^exponent is exact and an ordinary number.
bool ScalesExactly(float value, int exponent) {
  const float scaled = std::ldexp(value, exponent);
  return value == 0.0f || std::isnormal(scaled);
}

// sqrt(range in the first layer / range in the second) of each channel; 0 where one is all zero.
std::vector<double> FactorsOf(const Pair& pair, LayerWeights& first, LayerWeights& second) {
  std::vector<double> factors;
  const auto size = static_cast<int64_t>(first.weights.size()) / pair.channels;
  for (int64_t channel = 0; channel < pair.channels; ++channel) {
    double written = 0.0, read = 0.0;
    for (int64_t i = channel * size; i < (channel + 1) * size; ++i) {
      written = std::max(written, std::abs(static_cast<double>(first.weights[i])));
    }
    ForEachReading(pair, second, channel, [&](float& weight) {
      read = std::max(read, std::abs(static_cast<double>(weight)));
    });
    factors.push_back(written > 0.0 && read > 0.0 ? std::sqrt(written / read) : 0.0);
  }
  return factors;
}

bool DifferMuch(const std::vector<double>& factors) {
  double least = HUGE_VAL, most = 0.0;
  for (const double factor : factors) {
    if (factor > 0.0) least = std::min(least, factor);
    most = std::max(most, factor);
  }
  return most >= kEqualizedSpread * least;
}

// True if a channel was scaled.
bool Scale(const Pair& pair, int64_t channel, double factor, LayerWeights& first,
           LayerWeights& second) {
  if (factor == 0.0) return false;
  const int exponent =
      std::clamp(static_cast<int>(std::lround(std::log2(factor))), -kMostExponent, kMostExponent);
  bool exact = exponent != 0;
  ForEachWriting(pair, first, channel,
                 [&](float& value) { exact = exact && ScalesExactly(value, -exponent); });
  ForEachReading(pair, second, channel,
                 [&](float& value) { exact = exact && ScalesExactly(value, exponent); });
  if (!exact) return false;
  ForEachWriting(pair, first, channel, [&](float& value) { value = std::ldexp(value, -exponent); });
  ForEachReading(pair, second, channel, [&](float& value) { value = std::ldexp(value, exponent); });
  return true;
}

bool Equalize(const Pair& pair, LayerWeights& first, LayerWeights& second) {
  const std::vector<double> factors = FactorsOf(pair, first, second);
  bool changed = false;
  for (int64_t channel = 0; channel < pair.channels; ++channel) {
    changed = Scale(pair, channel, factors[channel], first, second) || changed;
  }
  return changed;
}

}  // namespace

absl::StatusOr<ModelPackage> EqualizeChannels(ModelPackage package) {
  std::vector<LayerWeights>& layers = package.weights.layers;
  std::vector<Pair> pairs = FindPairs(package.graph);
  std::erase_if(pairs, [&](const Pair& pair) {
    return !DifferMuch(FactorsOf(pair, layers[pair.first], layers[pair.second]));
  });
  if (pairs.empty()) return package;
  bool changed = true;
  for (int round = 0; changed && round < kMostRounds; ++round) {
    changed = false;
    for (const Pair& pair : pairs) {
      changed = Equalize(pair, layers[pair.first], layers[pair.second]) || changed;
    }
  }
  return MakeModelPackage(std::move(package.graph), std::move(package.weights));
}

}  // namespace mico
