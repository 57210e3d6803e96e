#include "worker/torch/integer_network.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/torch/convolution_sizes.h"

namespace mico {
namespace {

// Integers below this magnitude are exact in float32.
constexpr int64_t kExactInFloat = int64_t{1} << 24;
constexpr int kLowBits = 4;

// w = HighPart(w) * 2^kLowBits + LowPart(w), both of the sign of w, so that no part of a sum is
// larger than the sum of |w * x|.
int32_t Whole(int32_t weight) { return weight; }
int32_t LowPart(int32_t weight) { return weight % (1 << kLowBits); }
int32_t HighPart(int32_t weight) { return weight / (1 << kLowBits); }
using Part = int32_t (*)(int32_t);

int64_t LargestMagnitude(TensorType type) {
  return std::max<int64_t>(-int64_t{type.lowest()}, type.highest());
}

// The largest sum of |part(w)| over an output channel.
int64_t LargestSum(const std::vector<int8_t>& weights, int64_t per_channel, Part part) {
  int64_t largest = 0;
  for (size_t begin = 0; begin < weights.size(); begin += per_channel) {
    int64_t sum = 0;
    for (int64_t i = 0; i < per_channel; ++i) sum += std::abs(part(weights[begin + i]));
    largest = std::max(largest, sum);
  }
  return largest;
}

template <typename T>
Convolution<T> MakeConvolution(const ConvolutionSizes& sizes, const std::vector<int8_t>& weights,
                               Part part) {
  std::vector<T> values(weights.size());
  std::transform(weights.begin(), weights.end(), values.begin(),
                 [&](int8_t weight) { return static_cast<T>(part(weight)); });
  return Convolution<T>(sizes, values.data(), nullptr);
}

}  // namespace

IntegerNetwork::IntegerNetwork(const QuantizedModel& model)
    : model_(&model),
      layers_(model.graph.steps.size()),
      last_reader_(model.graph.tensors.size(), -1) {
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    for (const int input : model.graph.steps[i].inputs) last_reader_[input] = static_cast<int>(i);
  }
  for (const QuantizedOutput& output : model.graph.outputs) {
    last_reader_[output.tensor] = static_cast<int>(model.graph.steps.size());
  }
}

absl::StatusOr<IntegerNetwork> IntegerNetwork::Prepare(const QuantizedModel& model) {
  IntegerNetwork network(model);
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    MICO_RETURN_IF_ERROR(network.PrepareStep(static_cast<int>(i)));
  }
  return network;
}

absl::Status IntegerNetwork::PrepareStep(int index) {
  const Step& step = model_->graph.steps[index];
  if (step.kind != StepKind::kConv) return absl::OkStatus();
  const int64_t total = BoundAccumulator(*model_, index).total;
  if (total > std::numeric_limits<int32_t>::max()) {
    return absl::InternalError(
        fmt::format("layer '{}': accumulator up to {}; needed an int32", step.name, total));
  }
  layers_[index].emplace(MakeLayer(index));
  return absl::OkStatus();
}

IntegerNetwork::Layer IntegerNetwork::MakeLayer(int index) const {
  const Step& step = model_->graph.steps[index];
  const StepNumbers& numbers = model_->numbers[index];
  const QuantizedTensor& input = model_->graph.tensors[step.inputs[0]];
  const ConvolutionSizes sizes = SizesOf(step.conv(), input.shape.channels);
  const auto per_channel = static_cast<int64_t>(numbers.weights.size()) / sizes.out_channels;
  const auto is_exact = [&](Part part) {
    return LargestSum(numbers.weights, per_channel, part) * LargestMagnitude(input.type) <
           kExactInFloat;
  };
  Layer layer{.requantize = {numbers.bias, numbers.scales, numbers.lowest, numbers.highest}};
  if (is_exact(Whole)) {
    layer.low = MakeConvolution<float>(sizes, numbers.weights, Whole);
  } else if (is_exact(LowPart) && is_exact(HighPart)) {
    layer.low = MakeConvolution<float>(sizes, numbers.weights, LowPart);
    layer.high = MakeConvolution<float>(sizes, numbers.weights, HighPart);
  } else {
    layer.wide = MakeConvolution<double>(sizes, numbers.weights, Whole);
  }
  return layer;
}

std::vector<BatchTensor> IntegerNetwork::Run(const BatchTensor& input) const {
  std::vector<BatchTensor> tensors(model_->graph.tensors.size());
  tensors[model_->graph.input] = input;
  return RunFrom(0, tensors, std::vector<bool>(tensors.size(), false));
}

std::vector<BatchTensor> IntegerNetwork::RunFrom(int first_step, std::vector<BatchTensor>& tensors,
                                                 const std::vector<bool>& keep) const {
  const QuantizedGraph& graph = model_->graph;
  for (size_t i = first_step; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    tensors[step.output] = RunStep(static_cast<int>(i), tensors);
    for (const int read : step.inputs) {
      if (last_reader_[read] == static_cast<int>(i) && !keep[read]) tensors[read] = {};
    }
  }
  std::vector<BatchTensor> outputs;
  for (const QuantizedOutput& output : graph.outputs) outputs.push_back(tensors[output.tensor]);
  return outputs;
}

BatchTensor IntegerNetwork::RunStep(int index, const std::vector<BatchTensor>& tensors) const {
  const Step& step = model_->graph.steps[index];
  const StepNumbers& numbers = model_->numbers[index];
  const BatchTensor& input = tensors[step.inputs[0]];
  const Shape& out_shape = ShapeOf(step.output);
  switch (step.kind) {
    case StepKind::kConv:
      return RunConv(index, input);
    case StepKind::kAdd:
      return AddIntegers(input, tensors[step.inputs[1]], numbers);
    case StepKind::kMaxPool:
      return MaxPool(input, step.pool(), out_shape);
    case StepKind::kAveragePool:
      return AveragePoolIntegers(input, step.pool(), numbers, out_shape);
    case StepKind::kRelu:
      return Clamp(input, static_cast<float>(numbers.lowest), static_cast<float>(numbers.highest));
    case StepKind::kConcat: {
      std::vector<BatchTensor> inputs;
      for (const int part : step.inputs) inputs.push_back(tensors[part]);
      return Concat(inputs, out_shape);
    }
    case StepKind::kSlice:
      return Slice(input, step.slice(), out_shape);
    case StepKind::kPad:
      return Pad(input, step.pad(), out_shape);
    case StepKind::kRequantize:
      break;
  }
  return RequantizeIntegers(input, numbers);
}

BatchTensor IntegerNetwork::RunConv(int index, const BatchTensor& input) const {
  const Step& step = model_->graph.steps[index];
  const Layer& layer = *layers_[index];
  const BatchTensor padded = Padded(input, step.conv());
  const int64_t height = padded.shape.height, width = padded.shape.width;
  if (layer.wide.has_value()) {
    const std::vector<double> wide(padded.data(), padded.data() + padded.elements());
    const auto sums = layer.wide->Run(wide.data(), padded.count, height, width);
    const BatchTensor output = BatchTensor::Empty(input.count, ShapeOf(step.output));
    layer.requantize.Apply(sums.get(), output.data(), output.elements());
    return output;
  }
  const BatchTensor output{input.count, ShapeOf(step.output),
                           layer.low->Run(padded.data(), padded.count, height, width)};
  if (!layer.high.has_value()) {
    layer.requantize.Apply(output.data(), output.elements());
    return output;
  }
  const auto high = layer.high->Run(padded.data(), padded.count, height, width);
  layer.requantize.Apply(high.get(), kLowBits, output.data(), output.elements());
  return output;
}

}  // namespace mico
