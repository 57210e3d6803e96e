#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/quantized_model.h"
#include "quant/reconstruction.h"
#include "quant/weight_grid.h"
#include "quant/window.h"

namespace mico {
namespace {

constexpr int64_t kAccumulatorLimit = std::numeric_limits<int32_t>::max();
// Wider than floats reach; products and quotients of a few such scales are ordinary doubles.
constexpr double kLeastScale = 1e-60, kMostScale = 1e60;

// The nearest factor that has a representation. Above 2^29 every accumulator but 0 is clamped by
// either; below 2^-31 (a pool's or a reader's; layers keep away from it) every result is 0 or 1.
FixedPointScale NearestFixedPoint(double factor) {
  constexpr double kHighest = 0x1.fffffffcp28;  // (2^31 - 1) * 2^-2
  return *ToFixedPoint(std::clamp(factor, 0x1p-31, kHighest));
}

// The range of a result: its type's, cut by the activation.
void SetClamp(const FusedActivation& activation, const TensorType& type, double scale,
              StepNumbers& numbers) {
  numbers.lowest = activation.relu ? 0 : type.lowest();
  numbers.highest = type.highest();
  if (activation.upper.has_value()) {
    const double upper = std::floor(static_cast<double>(*activation.upper) / scale + 0.5);
    numbers.highest = static_cast<int32_t>(std::min<double>(numbers.highest, upper));
  }
}

// One output channel of a layer, and where its integers live.
struct Channel {
  std::span<const float> floats;        // [in / groups][kernel_h][kernel_w]
  double scale = 0.0;                   // with the least squared error; 0: all weights are zero
  int64_t magnitude_sum = 0;            // of |integer| at that scale
  std::span<const double> input_means;  // [in / groups]; empty: not known
  // [in / groups]: what the errors of its integers add up to over the kernel's taps.
  std::span<const double> weight_errors;
  double bias = 0.0;
  int weight_bits = 8;
  size_t kernel = 1;  // taps
  double input_scale = 1.0, output_scale = 1.0;
  double largest_input = 0.0;
};

// What has been learned for it.
struct LearnedChannel {
  std::span<const int8_t> weights;  // in the floats' order
  double scale = 1.0, bias = 0.0;
};

struct ChannelIntegers {
  // Empty: those at the channel's own scale. [kernel_h][kernel_w][in / groups].
  std::vector<int8_t> weights;
  FixedPointScale scale;
  double products = 0.0;  // largest sum of |weight * input|
  double bias = 0.0;      // without the rounding term; may be outside int32
  double total() const { return products + std::abs(bias) + RoundingTerm(scale); }
};

// Bias correction (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
// Correction"): what the errors of the weights add to the output on average. At borders, where
// padding takes the place of some inputs, this is an approximation.
double MeanError(const Channel& channel, std::span<const double> errors) {
  double error = 0.0;
  for (size_t in = 0; in < channel.input_means.size(); ++in) {
    error += channel.input_means[in] * errors[in];
  }
  return error;
}

// From the floats' order [in / groups][kernel] to the integers' [kernel][in / groups].
std::vector<int8_t> Reordered(std::span<const int8_t> weights, size_t kernel) {
  const size_t in_channels = weights.size() / kernel;
  std::vector<int8_t> reordered(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    reordered[i] = weights[i % in_channels * kernel + i / in_channels];
  }
  return reordered;
}

ChannelIntegers QuantizeAt(const Channel& channel, double weight_scale) {
  ChannelIntegers integers;
  int64_t sum = channel.magnitude_sum;
  std::vector<double> errors(channel.weight_errors.begin(), channel.weight_errors.end());
  if (weight_scale != channel.scale) {
    sum = 0;
    integers.weights.resize(channel.floats.size());
    const size_t in_channels = channel.floats.size() / channel.kernel;
    for (size_t i = 0; i < channel.floats.size(); ++i) {
      const size_t tap = i / in_channels, in = i % in_channels;
      integers.weights[i] = QuantizeWeight(channel.floats[in * channel.kernel + tap], weight_scale,
                                           channel.weight_bits);
      sum += std::abs(integers.weights[i]);
    }
    errors = SumErrors(channel.floats, integers.weights, weight_scale, channel.kernel);
  }
  const double real = weight_scale * channel.input_scale;
  integers.products = static_cast<double>(sum) * channel.largest_input;
  const double bias = channel.bias - MeanError(channel, errors);
  integers.bias = std::floor(bias / real + 0.5);
  integers.scale = NearestFixedPoint(real / channel.output_scale);
  return integers;
}

// Below it the factor to the output has no representation.
double LeastScale(const Channel& channel) {
  return 0x1p-30 * channel.output_scale / channel.input_scale;
}

// Weights that are zero or tiny against the bias get a larger scale until bias and factor have
// room; weights that are too large by themselves stay so, and the caller refuses them.
ChannelIntegers QuantizeChannel(const Channel& channel) {
  double scale = std::max(channel.scale, LeastScale(channel));
  ChannelIntegers integers = QuantizeAt(channel, scale);
  if (integers.products > kAccumulatorLimit) return integers;
  while (integers.total() > kAccumulatorLimit) {
    scale *= 2;
    integers = QuantizeAt(channel, scale);
  }
  return integers;
}

// ChannelIntegers::total tells whether this can be: the scales of the tensors around may be others
// than those that it was learned with.
ChannelIntegers UseLearned(const Channel& channel, const LearnedChannel& learned) {
  ChannelIntegers integers;
  integers.weights = Reordered(learned.weights, channel.kernel);
  int64_t sum = 0;
  for (const int8_t integer : integers.weights) sum += std::abs(integer);
  const double real = learned.scale * channel.input_scale;
  integers.products = static_cast<double>(sum) * channel.largest_input;
  integers.bias = std::floor(learned.bias / real + 0.5);
  integers.scale = NearestFixedPoint(real / channel.output_scale);
  return integers;
}

// With what has been learned where that can be used.
ChannelIntegers IntegersOf(const Channel& channel, const std::optional<LearnedChannel>& learned) {
  if (learned.has_value() && learned->scale >= LeastScale(channel)) {
    ChannelIntegers integers = UseLearned(channel, *learned);
    if (integers.total() <= kAccumulatorLimit) return integers;
  }
  return QuantizeChannel(channel);
}

class Quantizer {
 public:
  Quantizer(WeightCache& cache, const Calibration& calibration, QuantizedGraph graph,
            std::vector<const ReconstructedLayer*> learned,
            std::map<std::pair<int, int>, double> learned_scales)
      : cache_(cache),
        package_(cache.package()),
        calibration_(calibration),
        learned_(std::move(learned)),
        learned_scales_(std::move(learned_scales)) {
    model_.graph = std::move(graph);
  }

  absl::StatusOr<QuantizedModel> Run() {
    MICO_RETURN_IF_ERROR(SetScales());
    for (const Step& step : model_.graph.steps) {
      MICO_ASSIGN_OR_RETURN(StepNumbers numbers, NumbersOf(step));
      model_.numbers.push_back(std::move(numbers));
    }
    return std::move(model_);
  }

 private:
  const QuantizedTensor& Tensor(int index) const { return model_.graph.tensors[index]; }

  absl::Status SetScales() {
    const ValueGroups groups = GroupValues(package_.graph, calibration_.input_non_negative);
    if (calibration_.groups.size() != groups.producers.size()) {
      return absl::InvalidArgumentError(
          fmt::format("calibration has {} groups; network '{}' has {}", calibration_.groups.size(),
                      package_.graph.name, groups.producers.size()));
    }
    MICO_RETURN_IF_ERROR(CheckMeans());
    model_.scales.assign(model_.graph.tensors.size(), 0.0);
    for (size_t value = 0; value < package_.graph.values.size(); ++value) {
      MICO_RETURN_IF_ERROR(SetScale(static_cast<int>(value), groups.group_of_value[value]));
    }
    for (const Step& step : model_.graph.steps) {
      if (step.kind != StepKind::kRequantize) continue;
      MICO_RETURN_IF_ERROR(SetScale(step.output, groups.group_of_value[step.inputs[0]]));
    }
    return absl::OkStatus();
  }

  absl::Status CheckMeans() const {
    const std::vector<std::vector<double>>& means = calibration_.input_means;
    const std::vector<int> layers = package_.graph.QuantizedLayers();
    if (means.empty()) return absl::OkStatus();
    if (means.size() != layers.size()) {
      return absl::InvalidArgumentError(
          fmt::format("calibration has means of {} layers; network '{}' has {}", means.size(),
                      package_.graph.name, layers.size()));
    }
    const auto is_ordinary = [](double mean) { return std::abs(mean) <= kMostScale; };
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const Node& node = package_.graph.nodes[layers[layer]];
      const auto channels =
          static_cast<size_t>(package_.graph.values[node.inputs[0]].shape.channels);
      const bool fits = means[layer].empty() || means[layer].size() == channels;
      if (fits && std::all_of(means[layer].begin(), means[layer].end(), is_ordinary)) continue;
      return absl::InvalidArgumentError(
          fmt::format("calibration: layer '{}': {} means; needed {}, of at most {}", node.name,
                      means[layer].size(), channels, kMostScale));
    }
    return absl::OkStatus();
  }

  // Of the inputs that output channel `out` reads.
  std::span<const double> InputMeans(const Step& step, int64_t out) const {
    if (calibration_.input_means.empty()) return {};
    const std::span<const double> means = calibration_.input_means[step.layer];
    if (means.empty()) return {};
    const int64_t groups = step.conv().groups;
    const size_t in_channels = means.size() / groups;
    const size_t group = out / (step.conv().out_channels / groups);
    return means.subspan(group * in_channels, in_channels);
  }

  absl::Status SetScale(int tensor, int group) {
    const TensorType type = Tensor(tensor).type;
    const GroupScales& scales = calibration_.groups[group];
    const auto learned = learned_scales_.find({group, type.bits});
    const double scale = learned != learned_scales_.end() ? learned->second
                         : type.bits == 16                ? scales.output_scale
                                                          : scales.by_bits[type.bits];
    if (!(scale >= kLeastScale && scale <= kMostScale)) {
      return absl::InvalidArgumentError(
          fmt::format("calibration: group {} (tensor '{}'): scale {} for {}; needed {} to {}",
                      group, Tensor(tensor).name, scale, type.ToString(), kLeastScale, kMostScale));
    }
    model_.scales[tensor] = scale;
    return absl::OkStatus();
  }

  absl::StatusOr<StepNumbers> NumbersOf(const Step& step) const {
    switch (step.kind) {
      case StepKind::kConv:
        return ConvNumbers(step);
      case StepKind::kAdd:
        return AddNumbers(step);
      case StepKind::kAveragePool:
        return AveragePoolNumbers(step);
      case StepKind::kRequantize:
        return RequantizeNumbers(step);
      case StepKind::kRelu: {
        StepNumbers numbers;
        SetClamp(step.activation, Tensor(step.output).type, model_.scales[step.output], numbers);
        return numbers;
      }
      case StepKind::kMaxPool:
      case StepKind::kConcat:
      case StepKind::kSlice:
      case StepKind::kPad:
        return StepNumbers{};
    }
    return absl::InternalError(fmt::format("step '{}' has no kind", step.name));
  }

  absl::StatusOr<StepNumbers> ConvNumbers(const Step& step) const {
    const LayerWeights& layer = package_.weights.layers[step.layer];
    const ConvAttributes& conv = step.conv();
    const size_t per_channel = layer.weights.size() / conv.out_channels;
    const size_t in_channels = per_channel / (conv.kernel_height * conv.kernel_width);
    const std::shared_ptr<const LayerIntegers> quantized = cache_.Get(step.layer, step.weight_bits);
    StepNumbers numbers;
    SetClamp(step.activation, Tensor(step.output).type, model_.scales[step.output], numbers);
    std::vector<int8_t> changed;  // all weights, once a channel differs from what is kept
    for (int64_t out = 0; out < conv.out_channels; ++out) {
      const Channel channel{
          .floats = std::span(layer.weights).subspan(out * per_channel, per_channel),
          .scale = quantized->scales[out],
          .magnitude_sum = quantized->magnitude_sums[out],
          .input_means = InputMeans(step, out),
          .weight_errors =
              std::span(quantized->input_errors).subspan(out * in_channels, in_channels),
          .bias = layer.bias[out],
          .weight_bits = step.weight_bits,
          .kernel = static_cast<size_t>(conv.kernel_height * conv.kernel_width),
          .input_scale = model_.scales[step.inputs[0]],
          .output_scale = model_.scales[step.output],
          .largest_input = static_cast<double>(Tensor(step.inputs[0]).type.largest_magnitude())};
      const ChannelIntegers integers = IntegersOf(channel, LearnedOf(step.layer, out, per_channel));
      if (integers.total() > kAccumulatorLimit) {
        return absl::ResourceExhaustedError(fmt::format(
            "layer '{}': output channel {}: the accumulator can reach {:.0f}; the limit "
            "is {}",
            step.name, out, integers.total(), kAccumulatorLimit));
      }
      if (!integers.weights.empty()) {
        if (changed.empty()) changed.assign(quantized->weights.begin(), quantized->weights.end());
        std::copy(integers.weights.begin(), integers.weights.end(),
                  changed.begin() + static_cast<std::ptrdiff_t>(out * per_channel));
      }
      numbers.scales.push_back(integers.scale);
      numbers.bias.push_back(static_cast<int32_t>(integers.bias) + RoundingTerm(integers.scale));
    }
    numbers.weights = changed.empty() ? quantized->weights : SharedWeights(std::move(changed));
    return numbers;
  }

  std::optional<LearnedChannel> LearnedOf(int layer, int64_t out, size_t per_channel) const {
    const ReconstructedLayer* learned = learned_[layer];
    if (learned == nullptr) return std::nullopt;
    return LearnedChannel{std::span(learned->weights).subspan(out * per_channel, per_channel),
                          learned->scales[out], learned->biases[out]};
  }

  absl::StatusOr<StepNumbers> AddNumbers(const Step& step) const {
    StepNumbers numbers;
    SetClamp(step.activation, Tensor(step.output).type, model_.scales[step.output], numbers);
    const int a = step.inputs[0], b = step.inputs[1];
    const double factor_a = model_.scales[a] / model_.scales[step.output];
    const double factor_b = model_.scales[b] / model_.scales[step.output];
    const double a_largest = Tensor(a).type.largest_magnitude();
    const double b_largest = Tensor(b).type.largest_magnitude();
    for (int shift = 30; shift >= 1; --shift) {
      const double unit = std::ldexp(1.0, shift);
      const double multiplier_a = std::floor(factor_a * unit + 0.5);
      const double multiplier_b = std::floor(factor_b * unit + 0.5);
      const double reach = a_largest * multiplier_a + b_largest * multiplier_b + unit / 2;
      if (reach > kAccumulatorLimit) continue;
      numbers.multiplier_a = static_cast<int32_t>(multiplier_a);
      numbers.multiplier_b = static_cast<int32_t>(multiplier_b);
      numbers.shift = shift;
      return numbers;
    }
    return absl::ResourceExhaustedError(fmt::format(
        "Add '{}': inputs are {} and {} times as coarse as its output; the sum does not "
        "fit 32 bits",
        step.name, factor_a, factor_b));
  }

  absl::StatusOr<StepNumbers> AveragePoolNumbers(const Step& step) const {
    StepNumbers numbers;
    const QuantizedTensor& input = Tensor(step.inputs[0]);
    const QuantizedTensor& output = Tensor(step.output);
    SetClamp({}, output.type, 1.0, numbers);
    const double factor = model_.scales[step.inputs[0]] / model_.scales[step.output];
    for (const int64_t divisor : PoolDivisors(step.pool(), input.shape, output.shape)) {
      const double elements = static_cast<double>(divisor);
      const FixedPointScale scale = NearestFixedPoint(factor / elements);
      const double reach = input.type.largest_magnitude() * elements + RoundingTerm(scale);
      if (reach > kAccumulatorLimit) {
        return absl::ResourceExhaustedError(fmt::format(
            "AveragePool '{}': the sum of {} elements can reach {:.0f}; the limit is {}", step.name,
            divisor, reach, kAccumulatorLimit));
      }
      numbers.divisors.push_back(static_cast<int32_t>(divisor));
      numbers.scales.push_back(scale);
      numbers.bias.push_back(RoundingTerm(scale));
    }
    return numbers;
  }

  StepNumbers RequantizeNumbers(const Step& step) const {
    StepNumbers numbers;
    SetClamp({}, Tensor(step.output).type, 1.0, numbers);
    const double factor = model_.scales[step.inputs[0]] / model_.scales[step.output];
    numbers.scales = {NearestFixedPoint(factor)};
    numbers.bias = {RoundingTerm(numbers.scales[0])};
    return numbers;
  }

  WeightCache& cache_;
  const ModelPackage& package_;
  const Calibration& calibration_;
  const std::vector<const ReconstructedLayer*> learned_;        // per layer, or null
  const std::map<std::pair<int, int>, double> learned_scales_;  // of (group, bits)
  QuantizedModel model_;
};

absl::Status CheckFits(const Reconstruction& reconstruction, const ModelPackage& package,
                       size_t groups) {
  for (const ReconstructedLayer& learned : reconstruction.layers) {
    const size_t layers = package.weights.layers.size();
    if (learned.layer < 0 || static_cast<size_t>(learned.layer) >= layers) {
      return absl::InvalidArgumentError(fmt::format("reconstruction: layer {}; network '{}' has {}",
                                                    learned.layer, package.graph.name, layers));
    }
    const LayerWeights& layer = package.weights.layers[learned.layer];
    const size_t channels = layer.bias.size();
    if (learned.weights.size() == layer.weights.size() && learned.scales.size() == channels &&
        learned.biases.size() == channels) {
      continue;
    }
    return absl::InvalidArgumentError(
        fmt::format("reconstruction: layer {}: {} weights, {} scales, {} biases; needed {}, {}, {}",
                    learned.layer, learned.weights.size(), learned.scales.size(),
                    learned.biases.size(), layer.weights.size(), channels, channels));
  }
  for (const ReconstructedScale& scale : reconstruction.scales) {
    if (scale.group >= 0 && static_cast<size_t>(scale.group) < groups) continue;
    return absl::InvalidArgumentError(fmt::format("reconstruction: group {}; network '{}' has {}",
                                                  scale.group, package.graph.name, groups));
  }
  return absl::OkStatus();
}

struct LearnedLayer {
  const Reconstruction* reconstruction = nullptr;
  const ReconstructedLayer* layer = nullptr;
};

LearnedLayer FindLearned(Reconstructions reconstructions, int layer, const LayerBits& bits) {
  for (const Reconstruction* reconstruction : reconstructions) {
    for (const ReconstructedLayer& learned : reconstruction->layers) {
      if (learned.layer == layer && learned.bits == bits) return {reconstruction, &learned};
    }
  }
  return {};
}

}  // namespace

absl::StatusOr<QuantizedModel> Quantize(const ModelPackage& package, const Calibration& calibration,
                                        const BitScheme& scheme) {
  return Quantize(package, calibration, {}, scheme);
}

absl::StatusOr<QuantizedModel> Quantize(const ModelPackage& package, const Calibration& calibration,
                                        Reconstructions reconstructions, const BitScheme& scheme) {
  WeightCache cache(package);
  return Quantize(cache, calibration, reconstructions, scheme);
}

absl::StatusOr<QuantizedModel> Quantize(WeightCache& cache, const Calibration& calibration,
                                        Reconstructions reconstructions, const BitScheme& scheme) {
  const ModelPackage& package = cache.package();
  MICO_ASSIGN_OR_RETURN(QuantizedGraph graph,
                        LowerGraph(package.graph, calibration.input_non_negative, scheme));
  const ValueGroups groups = GroupValues(package.graph, calibration.input_non_negative);
  for (const Reconstruction* reconstruction : reconstructions) {
    MICO_RETURN_IF_ERROR(CheckFits(*reconstruction, package, groups.producers.size()));
  }
  std::vector<const ReconstructedLayer*> layers;
  std::map<std::pair<int, int>, double> scales;
  std::set<const Reconstruction*> users;
  for (const int node : package.graph.QuantizedLayers()) {
    const auto layer = static_cast<int>(layers.size());
    const LearnedLayer learned = FindLearned(reconstructions, layer, scheme[layer]);
    layers.push_back(learned.layer);
    if (learned.layer == nullptr) continue;
    const int group = groups.group_of_value[package.graph.nodes[node].inputs[0]];
    for (const ReconstructedScale& scale : learned.reconstruction->scales) {
      if (scale.group != group || scale.bits != scheme[layer].input_bits) continue;
      scales.try_emplace({group, scale.bits}, scale.scale);
    }
    users.insert(learned.reconstruction);
  }
  if (users.size() == 1 && std::count(layers.begin(), layers.end(), nullptr) == 0) {
    for (const ReconstructedScale& scale : (*users.begin())->scales) {
      scales.try_emplace({scale.group, scale.bits}, scale.scale);
    }
  }
  return Quantizer(cache, calibration, std::move(graph), std::move(layers), std::move(scales))
      .Run();
}

}  // namespace mico
