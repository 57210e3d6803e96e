#include "quant/interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/requantize.h"
#include "quant/window.h"

namespace mico {
namespace {

size_t IndexOf(const Shape& shape, int64_t row, int64_t column, int64_t channel) {
  return (row * shape.width + column) * shape.channels + channel;
}

// Calls visit(row, column) for every position of a tensor.
template <typename Visit>
void ForEachPosition(const Shape& shape, Visit visit) {
  for (int64_t row = 0; row < shape.height; ++row) {
    for (int64_t column = 0; column < shape.width; ++column) visit(row, column);
  }
}

int32_t Clamp(int32_t value, const StepNumbers& numbers) {
  return std::clamp(value, numbers.lowest, numbers.highest);
}

// Compiled for two processors: workers ask the oracle about images of every scheme. Sanitizers
// start after the choice between them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MICO_SANITIZED
#endif
#endif
#if defined(__x86_64__) && !defined(MICO_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MICO_TWO_PROCESSORS __attribute__((target_clones("avx2", "default")))
#else
#define MICO_TWO_PROCESSORS
#endif

// Products of a byte with a byte or nibble: 2^15 of them fit int32, whose sums are added up wide.
MICO_TWO_PROCESSORS int64_t Dot(const int32_t* input, const int8_t* weights, int64_t count) {
  constexpr int64_t kFitting = int64_t{1} << 15;
  int64_t sum = 0;
  for (int64_t begin = 0; begin < count; begin += kFitting) {
    const int64_t end = std::min(begin + kFitting, count);
    int32_t part = 0;
    for (int64_t i = begin; i < end; ++i) part += input[i] * weights[i];
    sum += part;
  }
  return sum;
}

// One input tensor and its shape.
struct View {
  const IntegerTensor& data;
  const Shape& shape;
  int32_t at(int64_t row, int64_t column, int64_t channel) const {
    return data[IndexOf(shape, row, column, channel)];
  }
};

class Interpreter {
 public:
  explicit Interpreter(const QuantizedModel& model)
      : model_(model), tensors_(model.graph.tensors.size()) {}

  absl::StatusOr<std::vector<IntegerTensor>> Run(std::span<const int32_t> input) {
    MICO_RETURN_IF_ERROR(SetInput(input));
    for (size_t i = 0; i < model_.graph.steps.size(); ++i) {
      const Step& step = model_.graph.steps[i];
      tensors_[step.output].assign(ShapeOf(step.output).elements(), 0);
      MICO_RETURN_IF_ERROR(RunStep(step, model_.numbers[i]));
    }
    return std::move(tensors_);
  }

 private:
  const Shape& ShapeOf(int tensor) const { return model_.graph.tensors[tensor].shape; }
  View InputOf(const Step& step, size_t index = 0) const {
    return {tensors_[step.inputs[index]], ShapeOf(step.inputs[index])};
  }

  absl::Status SetInput(std::span<const int32_t> input) {
    const QuantizedTensor& tensor = model_.graph.tensors[model_.graph.input];
    if (static_cast<int64_t>(input.size()) != tensor.shape.elements()) {
      return absl::InvalidArgumentError(fmt::format("input '{}': {} elements; needed {}",
                                                    tensor.name, input.size(),
                                                    tensor.shape.elements()));
    }
    for (const int32_t value : input) {
      if (value < tensor.type.lowest() || value > tensor.type.highest()) {
        return absl::InvalidArgumentError(
            fmt::format("input '{}': {} is not an {}", tensor.name, value, tensor.type.ToString()));
      }
    }
    tensors_[model_.graph.input].assign(input.begin(), input.end());
    return absl::OkStatus();
  }

  absl::Status RunStep(const Step& step, const StepNumbers& numbers) {
    switch (step.kind) {
      case StepKind::kConv:
        return RunConv(step, numbers);
      case StepKind::kAdd:
        RunAdd(step, numbers);
        break;
      case StepKind::kMaxPool:
        RunMaxPool(step);
        break;
      case StepKind::kAveragePool:
        RunAveragePool(step, numbers);
        break;
      case StepKind::kRelu:
        RunRelu(step, numbers);
        break;
      case StepKind::kConcat:
        RunConcat(step);
        break;
      case StepKind::kSlice:
        RunSlice(step);
        break;
      case StepKind::kPad:
        RunPad(step);
        break;
      case StepKind::kRequantize:
        RunRequantize(step, numbers);
        break;
    }
    return absl::OkStatus();
  }

  absl::Status RunConv(const Step& step, const StepNumbers& numbers) {
    const Shape& shape = ShapeOf(step.output);
    IntegerTensor& output = tensors_[step.output];
    bool fits = true;
    ForEachPosition(shape, [&](int64_t row, int64_t column) {
      for (int64_t channel = 0; channel < shape.channels; ++channel) {
        const int64_t sum =
            numbers.bias[channel] + SumOfProducts(step, numbers, row, column, channel);
        fits = fits && sum == static_cast<int32_t>(sum);
        const int32_t result = Requantize(static_cast<int32_t>(sum), numbers.scales[channel]);
        output[IndexOf(shape, row, column, channel)] = Clamp(result, numbers);
      }
    });
    if (fits) return absl::OkStatus();
    return absl::InternalError(fmt::format("layer '{}': an accumulator left int32", step.name));
  }

  // Padding is the integer 0, so taps outside the input add nothing.
  int64_t SumOfProducts(const Step& step, const StepNumbers& numbers, int64_t row, int64_t column,
                        int64_t channel) const {
    const ConvAttributes& conv = step.conv();
    const View input = InputOf(step);
    const int64_t in_channels = input.shape.channels / conv.groups;
    const int64_t first_channel = channel / (conv.out_channels / conv.groups) * in_channels;
    const int8_t* weights =
        numbers.weights.data() + channel * conv.kernel_height * conv.kernel_width * in_channels;
    int64_t sum = 0;
    for (int64_t y = 0; y < conv.kernel_height; ++y) {
      const int64_t in_row = row * conv.stride_height - conv.padding.top + y * conv.dilation_height;
      if (in_row < 0 || in_row >= input.shape.height) continue;
      if (conv.dilation_width == 1 && conv.groups == 1) {
        // The taps of a row lie one behind the other.
        const int64_t left = column * conv.stride_width - conv.padding.left;
        const int64_t first = std::max<int64_t>(0, -left);
        const int64_t last = std::min(conv.kernel_width, input.shape.width - left);
        if (first >= last) continue;
        sum += Dot(&input.data[IndexOf(input.shape, in_row, left + first, 0)],
                   weights + (y * conv.kernel_width + first) * in_channels,
                   (last - first) * in_channels);
        continue;
      }
      for (int64_t x = 0; x < conv.kernel_width; ++x) {
        const int64_t in_column =
            column * conv.stride_width - conv.padding.left + x * conv.dilation_width;
        if (in_column < 0 || in_column >= input.shape.width) continue;
        sum += Dot(&input.data[IndexOf(input.shape, in_row, in_column, first_channel)],
                   weights + (y * conv.kernel_width + x) * in_channels, in_channels);
      }
    }
    return sum;
  }

  void RunAdd(const Step& step, const StepNumbers& numbers) {
    const IntegerTensor& a = tensors_[step.inputs[0]];
    const IntegerTensor& b = tensors_[step.inputs[1]];
    IntegerTensor& output = tensors_[step.output];
    const int32_t half = int32_t{1} << (numbers.shift - 1);
    for (size_t i = 0; i < output.size(); ++i) {
      const int32_t sum = a[i] * numbers.multiplier_a + b[i] * numbers.multiplier_b + half;
      output[i] = Clamp(sum >> numbers.shift, numbers);
    }
  }

  // Padding is not part of the window: 0 could be larger than everything in it.
  void RunMaxPool(const Step& step) {
    const View input = InputOf(step);
    const Shape& shape = ShapeOf(step.output);
    ForEachPosition(shape, [&](int64_t row, int64_t column) {
      const WindowSpan rows = RowsOf(step.pool(), input.shape, row);
      const WindowSpan columns = ColumnsOf(step.pool(), input.shape, column);
      for (int64_t channel = 0; channel < shape.channels; ++channel) {
        int32_t largest = std::numeric_limits<int32_t>::min();
        for (int64_t y = rows.first; y < rows.last; ++y) {
          for (int64_t x = columns.first; x < columns.last; ++x) {
            largest = std::max(largest, input.at(y, x, channel));
          }
        }
        tensors_[step.output][IndexOf(shape, row, column, channel)] = largest;
      }
    });
  }

  void RunAveragePool(const Step& step, const StepNumbers& numbers) {
    const View input = InputOf(step);
    const Shape& shape = ShapeOf(step.output);
    ForEachPosition(shape, [&](int64_t row, int64_t column) {
      const WindowSpan rows = RowsOf(step.pool(), input.shape, row);
      const WindowSpan columns = ColumnsOf(step.pool(), input.shape, column);
      const size_t divisor = DivisorIndex(step.pool(), numbers, rows.size() * columns.size());
      for (int64_t channel = 0; channel < shape.channels; ++channel) {
        int32_t sum = numbers.bias[divisor];
        for (int64_t y = rows.first; y < rows.last; ++y) {
          for (int64_t x = columns.first; x < columns.last; ++x) sum += input.at(y, x, channel);
        }
        const int32_t mean = Clamp(Requantize(sum, numbers.scales[divisor]), numbers);
        tensors_[step.output][IndexOf(shape, row, column, channel)] = mean;
      }
    });
  }

  // Which of the pool's divisors stands for a window with `inside` elements inside the input.
  static size_t DivisorIndex(const PoolAttributes& pool, const StepNumbers& numbers,
                             int64_t inside) {
    if (pool.count_include_pad) return 0;
    const auto found = std::lower_bound(numbers.divisors.begin(), numbers.divisors.end(), inside);
    return found - numbers.divisors.begin();
  }

  void RunRelu(const Step& step, const StepNumbers& numbers) {
    const IntegerTensor& input = tensors_[step.inputs[0]];
    std::transform(input.begin(), input.end(), tensors_[step.output].begin(),
                   [&](int32_t value) { return Clamp(value, numbers); });
  }

  void RunConcat(const Step& step) {
    const Shape& shape = ShapeOf(step.output);
    int64_t first_channel = 0;
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const View input = InputOf(step, i);
      ForEachPosition(shape, [&](int64_t row, int64_t column) {
        std::copy_n(input.data.begin() + IndexOf(input.shape, row, column, 0), input.shape.channels,
                    tensors_[step.output].begin() + IndexOf(shape, row, column, first_channel));
      });
      first_channel += input.shape.channels;
    }
  }

  void RunSlice(const Step& step) {
    const View input = InputOf(step);
    const SliceAttributes& slice = step.slice();
    const Shape& shape = ShapeOf(step.output);
    ForEachPosition(shape, [&](int64_t row, int64_t column) {
      for (int64_t channel = 0; channel < shape.channels; ++channel) {
        tensors_[step.output][IndexOf(shape, row, column, channel)] = input.at(
            slice.start_row + row * slice.step_row, slice.start_column + column * slice.step_column,
            slice.start_channel + channel * slice.step_channel);
      }
    });
  }

  void RunPad(const Step& step) {
    const View input = InputOf(step);
    const PadAttributes& pad = step.pad();
    const Shape& shape = ShapeOf(step.output);
    ForEachPosition(input.shape, [&](int64_t row, int64_t column) {
      std::copy_n(
          input.data.begin() + IndexOf(input.shape, row, column, 0), input.shape.channels,
          tensors_[step.output].begin() + IndexOf(shape, row + pad.padding.top,
                                                  column + pad.padding.left, pad.channels_before));
    });
  }

  void RunRequantize(const Step& step, const StepNumbers& numbers) {
    const IntegerTensor& input = tensors_[step.inputs[0]];
    std::transform(input.begin(), input.end(), tensors_[step.output].begin(), [&](int32_t value) {
      return Clamp(Requantize(value + numbers.bias[0], numbers.scales[0]), numbers);
    });
  }

  const QuantizedModel& model_;
  std::vector<IntegerTensor> tensors_;
};

}  // namespace

int32_t QuantizeInput(double prepared, double scale, TensorType type) {
  const double nearest = std::floor(prepared / scale + 0.5);
  // A NaN is no number of any grid; it becomes 0 like padding.
  if (std::isnan(nearest)) return 0;
  return static_cast<int32_t>(std::clamp<double>(nearest, type.lowest(), type.highest()));
}

IntegerTensor QuantizeInput(const QuantizedModel& model, std::span<const float> prepared) {
  const QuantizedTensor& input = model.graph.tensors[model.graph.input];
  const Shape& shape = input.shape;
  IntegerTensor integers;
  integers.reserve(prepared.size());
  if (static_cast<int64_t>(prepared.size()) != shape.elements()) return integers;
  ForEachPosition(shape, [&](int64_t row, int64_t column) {
    for (int64_t channel = 0; channel < shape.channels; ++channel) {
      const float x = prepared[(channel * shape.height + row) * shape.width + column];
      integers.push_back(QuantizeInput(x, model.input_scale(), input.type));
    }
  });
  return integers;
}

absl::StatusOr<std::vector<IntegerTensor>> RunInteger(const QuantizedModel& model,
                                                      std::span<const int32_t> input) {
  MICO_ASSIGN_OR_RETURN(const std::vector<IntegerTensor> tensors,
                        RunIntegerKeepingAll(model, input));
  std::vector<IntegerTensor> outputs;
  for (const QuantizedOutput& output : model.graph.outputs) {
    outputs.push_back(tensors[output.tensor]);
  }
  return outputs;
}

IntegerTensor JoinOutputs(const QuantizedGraph& graph, const std::vector<IntegerTensor>& outputs) {
  const OutputLayout layout = LayOutOutputs(graph);
  IntegerTensor joined(layout.elements);
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::copy(outputs[i].begin(), outputs[i].end(), joined.begin() + layout.offsets[i]);
  }
  return joined;
}

absl::StatusOr<std::vector<IntegerTensor>> RunIntegerKeepingAll(const QuantizedModel& model,
                                                                std::span<const int32_t> input) {
  return Interpreter(model).Run(input);
}

int ArgMax(std::span<const int32_t> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace mico
