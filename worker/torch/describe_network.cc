#include "worker/torch/describe_network.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "quant/weight_grid.h"
#include "worker/torch/convolution_sizes.h"

namespace mico {
namespace {

TrainableKind KindOf(StepKind kind) {
  switch (kind) {
    case StepKind::kConv:
      return TrainableKind::kConv;
    case StepKind::kAdd:
      return TrainableKind::kAdd;
    case StepKind::kMaxPool:
      return TrainableKind::kMaxPool;
    case StepKind::kAveragePool:
      return TrainableKind::kAveragePool;
    case StepKind::kRelu:
      return TrainableKind::kRelu;
    case StepKind::kConcat:
      return TrainableKind::kConcat;
    case StepKind::kSlice:
      return TrainableKind::kSlice;
    case StepKind::kPad:
      return TrainableKind::kPad;
    case StepKind::kRequantize:
      return TrainableKind::kRequantize;
  }
  return TrainableKind::kConv;
}

void SetPadding(const Padding& padding, TrainableStep& step) {
  step.pad_top = padding.top;
  step.pad_left = padding.left;
  step.pad_bottom = padding.bottom;
  step.pad_right = padding.right;
}

void SetPool(const PoolAttributes& pool, TrainableStep& step) {
  step.window.kernel_height = pool.kernel_height;
  step.window.kernel_width = pool.kernel_width;
  step.window.stride_height = pool.stride_height;
  step.window.stride_width = pool.stride_width;
  step.count_include_pad = pool.count_include_pad;
  SetPadding(pool.padding, step);
}

TrainableStep Describe(const Step& step, const QuantizedGraph& graph) {
  TrainableStep described;
  described.kind = KindOf(step.kind);
  described.inputs = step.inputs;
  described.output = step.output;
  described.relu = step.activation.relu || step.kind == StepKind::kRelu;
  described.has_upper = step.activation.upper.has_value();
  described.upper = step.activation.upper.value_or(0.0f);
  described.layer = step.layer;
  switch (step.kind) {
    case StepKind::kConv:
      described.window = SizesOf(step.conv(), graph.tensors[step.inputs[0]].shape.channels);
      SetPadding(step.conv().padding, described);
      break;
    case StepKind::kMaxPool:
    case StepKind::kAveragePool:
      SetPool(step.pool(), described);
      break;
    case StepKind::kSlice: {
      const SliceAttributes& slice = step.slice();
      const int64_t start[] = {slice.start_channel, slice.start_row, slice.start_column};
      const int64_t distance[] = {slice.step_channel, slice.step_row, slice.step_column};
      std::copy_n(start, 3, described.slice_start);
      std::copy_n(distance, 3, described.slice_step);
      break;
    }
    case StepKind::kPad:
      described.pad_channels_before = step.pad().channels_before;
      described.pad_channels_after = step.pad().channels_after;
      SetPadding(step.pad().padding, described);
      break;
    default:
      break;
  }
  return described;
}

// The real values that a layer's integer biases stand for.
std::vector<float> RealBiases(const StepNumbers& numbers, double output_scale) {
  std::vector<float> biases;
  for (size_t out = 0; out < numbers.bias.size(); ++out) {
    const FixedPointScale& scale = numbers.scales[out];
    const double unit = std::ldexp(scale.multiplier, -(32 + scale.shift)) * output_scale;
    const double integer = static_cast<double>(numbers.bias[out]) - RoundingTerm(scale);
    biases.push_back(static_cast<float>(integer * unit));
  }
  return biases;
}

TrainableLayer DescribeLayer(const LayerWeights& layer, int weight_bits,
                             std::vector<float> rounded_bias) {
  // Of a channel without weights: so small that nothing comes of it.
  constexpr double kLeastScale = 1e-8;
  TrainableLayer described{layer.weights, layer.bias, weight_bits, {}, std::move(rounded_bias)};
  const size_t size = layer.weights.size() / layer.bias.size();
  for (size_t out = 0; out < layer.bias.size(); ++out) {
    const auto weights = std::span(layer.weights).subspan(out * size, size);
    described.scales.push_back(std::max(ChooseWeightScale(weights, weight_bits), kLeastScale));
  }
  return described;
}

// For each tensor the group of values that it belongs to.
std::vector<int> GroupsOfTensors(const ModelPackage& package, const QuantizedGraph& graph,
                                 bool input_non_negative) {
  std::vector<int> groups = GroupValues(package.graph, input_non_negative).group_of_value;
  groups.resize(graph.tensors.size());
  for (const Step& step : graph.steps) {
    if (step.kind == StepKind::kRequantize) groups[step.output] = groups[step.inputs[0]];
  }
  return groups;
}

}  // namespace

DescribedNetwork DescribeNetwork(const ModelPackage& package, const QuantizedModel& model,
                                 bool input_non_negative) {
  DescribedNetwork described;
  NetworkDescription& description = described.description;
  const QuantizedGraph& graph = model.graph;
  const std::vector<int> groups = GroupsOfTensors(package, graph, input_non_negative);
  std::map<std::pair<int, int>, int> scales;  // (group, bits) to index
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const auto& [name, shape, type] = graph.tensors[i];
    TrainableTensor& tensor = description.tensors.emplace_back();
    tensor = {shape.channels,
              shape.height,
              shape.width,
              static_cast<double>(type.lowest()),
              static_cast<double>(type.highest()),
              -1};
    if (type.bits > 8) continue;
    const auto next = static_cast<int>(description.scales.size());
    const auto [entry, is_new] = scales.try_emplace({groups[i], type.bits}, next);
    tensor.scale = entry->second;
    if (!is_new) continue;
    description.scales.push_back({model.scales[i], type.bits < 8});
    described.origins.push_back({groups[i], type.bits});
  }
  description.input = graph.input;
  description.layers.resize(package.weights.layers.size());
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    description.steps.push_back(Describe(step, graph));
    if (step.kind != StepKind::kConv) continue;
    description.layers[step.layer] =
        DescribeLayer(package.weights.layers[step.layer], step.weight_bits,
                      RealBiases(model.numbers[i], model.scales[step.output]));
  }
  return described;
}

std::vector<TrainedBlock> FindBlocks(const QuantizedGraph& graph) {
  const auto count = static_cast<int>(graph.steps.size());
  std::vector<int> last_reader(graph.tensors.size(), -1);
  for (int i = 0; i < count; ++i) {
    for (const int input : graph.steps[i].inputs) last_reader[input] = i;
  }
  std::vector<TrainedBlock> blocks;
  TrainedBlock block;
  block.input = graph.input;
  bool has_layer = false;
  std::vector<int> alive{graph.input};
  for (int i = 0; i < count; ++i) {
    const Step& step = graph.steps[i];
    has_layer = has_layer || step.kind == StepKind::kConv;
    alive.push_back(step.output);
    if (graph.IsOutput(step.output)) block.outputs.push_back(step.output);
    std::erase_if(alive, [&](int tensor) { return last_reader[tensor] <= i; });
    const bool is_last = i + 1 == count;
    if (!is_last && !(alive.size() == 1 && has_layer && alive[0] != block.input)) continue;
    block.last = i + 1;
    // What the next block reads comes first; at the end, outputs alone.
    if (!is_last) block.outputs.insert(block.outputs.begin(), alive[0]);
    if (block.outputs.empty()) block.outputs.push_back(step.output);
    blocks.push_back(block);
    block = {.first = i + 1, .last = i + 1, .input = is_last ? 0 : alive[0], .outputs = {}};
    has_layer = false;
  }
  return blocks;
}

}  // namespace mico
