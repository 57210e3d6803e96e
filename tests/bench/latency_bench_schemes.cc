#include "tests/bench/latency_bench_schemes.h"

#include <cstdint>
#include <numeric>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/quantized_graph.h"

namespace mico {
namespace {

int64_t CountWeights(const Graph& graph, const Node& node) {
  const ConvAttributes& conv = node.conv();
  const int64_t in_channels = graph.values[node.inputs[0]].shape.channels;
  return conv.out_channels * conv.kernel_height * conv.kernel_width * in_channels / conv.groups;
}

// Per quantized layer: more weights than the mean.
std::vector<bool> BigLayers(const Graph& graph) {
  std::vector<int64_t> weights;
  for (const int layer : graph.QuantizedLayers()) {
    weights.push_back(CountWeights(graph, graph.nodes[layer]));
  }
  const int64_t total = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  std::vector<bool> is_big;
  for (const int64_t count : weights) {
    is_big.push_back(count * static_cast<int64_t>(weights.size()) > total);
  }
  return is_big;
}

// `inner` for all layers but the first and the last, `big` for the big ones among them.
BitScheme Mix(const Graph& graph, LayerBits inner, LayerBits big) {
  const std::vector<bool> reads_input = InputLayers(graph);
  const std::vector<bool> is_big = BigLayers(graph);
  std::vector<LayerBits> layers(is_big.size());
  for (size_t i = 1; i + 1 < layers.size(); ++i) {
    layers[i] = is_big[i] ? big : inner;
    if (reads_input[i]) layers[i].input_bits = 8;
  }
  return BitScheme(std::move(layers));
}

}  // namespace

std::vector<LabelledScheme> UniformSchemes(const Graph& graph) {
  std::vector<LabelledScheme> schemes;
  for (const int bits : {8, 4, 2}) {
    schemes.push_back(
        {fmt::format("w{}a{}", bits, bits), BitScheme::Uniform(bits, bits, InputLayers(graph))});
  }
  return schemes;
}

std::vector<LabelledScheme> MixedSchemes(const Graph& graph) {
  return {{"mixed 1", Mix(graph, {8, 8}, {4, 8})},
          {"mixed 2", Mix(graph, {4, 4}, {4, 4})},
          {"mixed 3", Mix(graph, {4, 4}, {2, 4})}};
}

absl::StatusOr<std::vector<LabelledScheme>> GivenSchemes(const Graph& graph,
                                                         std::span<const std::string> texts) {
  std::vector<LabelledScheme> schemes;
  for (const std::string& text : texts) {
    MICO_ASSIGN_OR_RETURN(BitScheme scheme, BitScheme::Parse(text));
    if (scheme.size() != graph.QuantizedLayers().size()) {
      return absl::InvalidArgumentError(
          fmt::format("scheme '{}': {} layers; network '{}' has {} to quantize", text,
                      scheme.size(), graph.name, graph.QuantizedLayers().size()));
    }
    schemes.push_back({fmt::format("given {}", schemes.size() + 1), std::move(scheme)});
  }
  return schemes;
}

}  // namespace mico
