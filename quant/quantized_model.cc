#include "quant/quantized_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/weight_grid.h"
#include "quant/window.h"

namespace mico {
namespace {

constexpr int64_t kAccumulatorLimit = std::numeric_limits<int32_t>::max();

template <typename... Args>
absl::Status Invalid(const Step& step, fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format("quantized model: step '{}' ({}): {}", step.name,
                                                ToString(step.kind),
                                                fmt::format(format, std::forward<Args>(args)...)));
}

int64_t PerChannel(const QuantizedGraph& graph, const Step& step) {
  const ConvAttributes& conv = step.conv();
  return conv.kernel_height * conv.kernel_width *
         (graph.tensors[step.inputs[0]].shape.channels / conv.groups);
}

// How many entries each field of a step's numbers has.
struct Sizes {
  size_t weights = 0, scales = 0, divisors = 0;
};

Sizes SizesOf(const QuantizedGraph& graph, const Step& step) {
  switch (step.kind) {
    case StepKind::kConv: {
      const size_t channels = step.conv().out_channels;
      return {.weights = channels * PerChannel(graph, step), .scales = channels};
    }
    case StepKind::kAveragePool: {
      const size_t divisors = PoolDivisors(step.pool(), graph.tensors[step.inputs[0]].shape,
                                           graph.tensors[step.output].shape)
                                  .size();
      return {.scales = divisors, .divisors = divisors};
    }
    case StepKind::kRequantize:
      return {.scales = 1};
    default:
      return {};
  }
}

absl::Status CheckSizes(const QuantizedGraph& graph, const Step& step, const StepNumbers& numbers) {
  const Sizes sizes = SizesOf(graph, step);
  if (numbers.weights.size() != sizes.weights || numbers.scales.size() != sizes.scales ||
      numbers.bias.size() != sizes.scales || numbers.divisors.size() != sizes.divisors) {
    return Invalid(
        step, "has {} weights, {} biases, {} factors, {} divisors; needed {}, {}, {}, {}",
        numbers.weights.size(), numbers.bias.size(), numbers.scales.size(), numbers.divisors.size(),
        sizes.weights, sizes.scales, sizes.scales, sizes.divisors);
  }
  return absl::OkStatus();
}

absl::Status CheckScales(const Step& step, const StepNumbers& numbers) {
  for (const FixedPointScale& scale : numbers.scales) {
    if (scale.multiplier < (1 << 30) || scale.shift < -30 || scale.shift > 29) {
      return Invalid(step,
                     "factor {} * 2^-(32 + {}); needed a multiplier from 2^30 and a shift in "
                     "[-30, 29]",
                     scale.multiplier, scale.shift);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckClamp(const QuantizedGraph& graph, const Step& step, const StepNumbers& numbers) {
  const TensorType type = graph.tensors[step.output].type;
  const bool moves = step.kind == StepKind::kMaxPool || step.kind == StepKind::kConcat ||
                     step.kind == StepKind::kSlice || step.kind == StepKind::kPad;
  const int32_t least = moves ? 0 : type.lowest(), most = moves ? 0 : type.highest();
  if (numbers.lowest < least || numbers.highest > most || numbers.lowest > numbers.highest) {
    return Invalid(step, "clamps to [{}, {}]; needed inside [{}, {}]", numbers.lowest,
                   numbers.highest, least, most);
  }
  if (step.kind == StepKind::kRelu && numbers.lowest != 0) {
    return Invalid(step, "clamps at {}; needed 0", numbers.lowest);
  }
  return absl::OkStatus();
}

absl::Status CheckWeights(const QuantizedModel& model, int index) {
  const Step& step = model.graph.steps[index];
  const int32_t highest = HighestWeight(step.weight_bits);
  for (const int8_t weight : model.numbers[index].weights) {
    if (std::abs(weight) > highest || (step.weight_bits == 1 && weight == 0)) {
      return Invalid(step, "weight {} does not exist at {} bits", weight, step.weight_bits);
    }
  }
  const int64_t reach = BoundAccumulator(model, index).total;
  if (reach > kAccumulatorLimit) {
    return Invalid(step, "the accumulator can reach {}; the limit is {}", reach, kAccumulatorLimit);
  }
  return absl::OkStatus();
}

absl::Status CheckAdd(const QuantizedGraph& graph, const Step& step, const StepNumbers& numbers) {
  if (step.kind != StepKind::kAdd) {
    const bool unused =
        numbers.multiplier_a == 0 && numbers.multiplier_b == 0 && numbers.shift == 0;
    return unused ? absl::OkStatus() : Invalid(step, "has the numbers of an Add");
  }
  if (numbers.multiplier_a < 0 || numbers.multiplier_b < 0 || numbers.shift < 1 ||
      numbers.shift > 30) {
    return Invalid(step, "multipliers {} and {}, shift {}; needed 0 or more and a shift in [1, 30]",
                   numbers.multiplier_a, numbers.multiplier_b, numbers.shift);
  }
  const int64_t a = graph.tensors[step.inputs[0]].type.largest_magnitude();
  const int64_t b = graph.tensors[step.inputs[1]].type.largest_magnitude();
  const int64_t reach =
      a * numbers.multiplier_a + b * numbers.multiplier_b + (int64_t{1} << (numbers.shift - 1));
  if (reach > kAccumulatorLimit) {
    return Invalid(step, "the sum can reach {}; the limit is {}", reach, kAccumulatorLimit);
  }
  return absl::OkStatus();
}

// Sums of an average pool, and the requantizations whose bias is the rounding term alone.
absl::Status CheckRounding(const QuantizedGraph& graph, const Step& step,
                           const StepNumbers& numbers) {
  if (step.kind != StepKind::kAveragePool && step.kind != StepKind::kRequantize) {
    return absl::OkStatus();
  }
  const QuantizedTensor& input = graph.tensors[step.inputs[0]];
  std::vector<int64_t> divisors = {1};
  if (step.kind == StepKind::kAveragePool) {
    divisors = PoolDivisors(step.pool(), input.shape, graph.tensors[step.output].shape);
    if (!std::equal(divisors.begin(), divisors.end(), numbers.divisors.begin())) {
      return Invalid(step, "its divisors do not follow from its window");
    }
  }
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (numbers.bias[i] != RoundingTerm(numbers.scales[i])) {
      return Invalid(step, "bias {}; needed the rounding term {}", numbers.bias[i],
                     RoundingTerm(numbers.scales[i]));
    }
    if (input.type.largest_magnitude() * divisors[i] + numbers.bias[i] > kAccumulatorLimit) {
      return Invalid(step, "the sum of {} elements does not fit 32 bits", divisors[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const QuantizedModel& model, int index) {
  const Step& step = model.graph.steps[index];
  const StepNumbers& numbers = model.numbers[index];
  MICO_RETURN_IF_ERROR(CheckSizes(model.graph, step, numbers));
  MICO_RETURN_IF_ERROR(CheckScales(step, numbers));
  MICO_RETURN_IF_ERROR(CheckClamp(model.graph, step, numbers));
  MICO_RETURN_IF_ERROR(CheckAdd(model.graph, step, numbers));
  MICO_RETURN_IF_ERROR(CheckRounding(model.graph, step, numbers));
  return step.kind == StepKind::kConv ? CheckWeights(model, index) : absl::OkStatus();
}

}  // namespace

AccumulatorBound BoundAccumulator(const QuantizedModel& model, int step) {
  const Step& conv = model.graph.steps[step];
  const StepNumbers& numbers = model.numbers[step];
  const int64_t largest = model.graph.tensors[conv.inputs[0]].type.largest_magnitude();
  const int64_t per_channel = PerChannel(model.graph, conv);
  AccumulatorBound bound;
  for (size_t channel = 0; channel < numbers.bias.size(); ++channel) {
    int64_t sum = 0;
    for (int64_t i = 0; i < per_channel; ++i) {
      sum += std::abs(numbers.weights[channel * per_channel + i]);
    }
    const int64_t rounding = RoundingTerm(numbers.scales[channel]);
    const int64_t bias = numbers.bias[channel] - rounding;
    bound.products = std::max(bound.products, sum * largest);
    bound.total = std::max(bound.total, sum * largest + std::abs(bias) + rounding);
  }
  return bound;
}

absl::Status Validate(const QuantizedModel& model) {
  MICO_RETURN_IF_ERROR(Validate(model.graph));
  if (model.numbers.size() != model.graph.steps.size() ||
      model.scales.size() != model.graph.tensors.size()) {
    return absl::InvalidArgumentError(fmt::format(
        "quantized model: numbers of {} steps and scales of {} tensors; needed {} and {}",
        model.numbers.size(), model.scales.size(), model.graph.steps.size(),
        model.graph.tensors.size()));
  }
  for (size_t i = 0; i < model.scales.size(); ++i) {
    if (!std::isfinite(model.scales[i]) || model.scales[i] <= 0.0) {
      return absl::InvalidArgumentError(
          fmt::format("quantized model: tensor '{}': scale {}; needed positive and finite",
                      model.graph.tensors[i].name, model.scales[i]));
    }
  }
  for (size_t i = 0; i < model.numbers.size(); ++i) {
    MICO_RETURN_IF_ERROR(CheckNumbers(model, static_cast<int>(i)));
  }
  return absl::OkStatus();
}

}  // namespace mico
