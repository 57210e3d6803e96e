#include "tests/unit/quant/quant_testing.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <regex>
#include <sstream>

#include "absl/strings/escaping.h"
#include "base/file.h"
#include "fmt/format.h"
#include "model/text_form.h"
#include "tests/support/paths.h"

namespace mico::testing {
namespace {

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::cerr << result.status() << '\n';
    std::abort();
  }
  return std::move(result).value();
}

using Values = std::vector<double>;

size_t Nchw(const Shape& shape, int64_t c, int64_t y, int64_t x) {
  return (c * shape.height + y) * shape.width + x;
}

bool Inside(const Shape& shape, int64_t y, int64_t x) {
  return y >= 0 && x >= 0 && y < shape.height && x < shape.width;
}

template <typename Visit>
void ForEach(const Shape& shape, Visit visit) {
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t y = 0; y < shape.height; ++y) {
      for (int64_t x = 0; x < shape.width; ++x) visit(c, y, x);
    }
  }
}

double Activate(const FusedActivation& activation, double x) {
  if (activation.relu) x = std::max(x, 0.0);
  return activation.upper.has_value() ? std::min<double>(x, *activation.upper) : x;
}

Values FloatConv(const ConvAttributes& conv, const LayerWeights& layer, const Shape& in,
                 const Shape& out, const Values& input) {
  const int64_t per_group = in.channels / conv.groups;
  Values output(out.elements());
  ForEach(out, [&](int64_t c, int64_t y, int64_t x) {
    double sum = layer.bias[c];
    const Shape kernel{per_group, conv.kernel_height, conv.kernel_width};
    const int64_t first = c / (conv.out_channels / conv.groups) * per_group;
    ForEach(kernel, [&](int64_t i, int64_t ky, int64_t kx) {
      const int64_t iy = y * conv.stride_height - conv.padding.top + ky * conv.dilation_height;
      const int64_t ix = x * conv.stride_width - conv.padding.left + kx * conv.dilation_width;
      if (!Inside(in, iy, ix)) return;
      sum += layer.weights[c * kernel.elements() + Nchw(kernel, i, ky, kx)] *
             input[Nchw(in, first + i, iy, ix)];
    });
    output[Nchw(out, c, y, x)] = sum;
  });
  return output;
}

Values FloatPool(const Node& node, const Shape& in, const Shape& out, const Values& input) {
  const PoolAttributes& pool = node.pool();
  Values output(out.elements());
  ForEach(out, [&](int64_t c, int64_t y, int64_t x) {
    double sum = 0, most = -1e300;
    int64_t count = 0;
    for (int64_t ky = 0; ky < pool.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < pool.kernel_width; ++kx) {
        const int64_t iy = y * pool.stride_height - pool.padding.top + ky;
        const int64_t ix = x * pool.stride_width - pool.padding.left + kx;
        if (!Inside(in, iy, ix)) continue;
        sum += input[Nchw(in, c, iy, ix)];
        most = std::max(most, input[Nchw(in, c, iy, ix)]);
        ++count;
      }
    }
    if (pool.count_include_pad) count = pool.kernel_height * pool.kernel_width;
    output[Nchw(out, c, y, x)] = node.op == OpKind::kMaxPool ? most : sum / double(count);
  });
  return output;
}

// Slice, pad and concat on values of any type.
template <typename T>
void Move(const SliceAttributes& slice, const Shape& in, const Shape& out,
          const std::vector<T>& input, std::vector<T>& output) {
  ForEach(out, [&](int64_t c, int64_t y, int64_t x) {
    output[Nchw(out, c, y, x)] = input[Nchw(in, slice.start_channel + c * slice.step_channel,
                                            slice.start_row + y * slice.step_row,
                                            slice.start_column + x * slice.step_column)];
  });
}

template <typename T>
void Place(const Shape& in, const Shape& out, int64_t c0, int64_t y0, int64_t x0,
           const std::vector<T>& input, std::vector<T>& output) {
  ForEach(in, [&](int64_t c, int64_t y, int64_t x) {
    output[Nchw(out, c + c0, y + y0, x + x0)] = input[Nchw(in, c, y, x)];
  });
}

using Wide = __int128;

// floor(a / 2^bits) by division, not by shifting.
Wide FloorDivide(Wide a, int bits) {
  const Wide divisor = Wide{1} << bits;
  const Wide quotient = a / divisor;
  return a % divisor < 0 ? quotient - 1 : quotient;
}

int32_t ReferenceRequantize(Wide accumulator, FixedPointScale scale, const StepNumbers& numbers) {
  Wide product = accumulator * scale.multiplier;
  if (scale.shift < 0) product += Wide{1} << (31 + scale.shift);
  const Wide result = FloorDivide(product, 32 + scale.shift);
  return static_cast<int32_t>(
      std::clamp<Wide>(result, Wide{numbers.lowest}, Wide{numbers.highest}));
}

// The second interpreter. Tensors are NCHW here.
class Reference {
 public:
  explicit Reference(const QuantizedModel& model)
      : model_(model), tensors_(model.graph.tensors.size()) {}

  std::vector<IntegerTensor> Run(const IntegerTensor& input) {
    tensors_[model_.graph.input] = FromNhwc(input, ShapeOf(model_.graph.input));
    for (size_t i = 0; i < model_.graph.steps.size(); ++i) {
      RunStep(model_.graph.steps[i], model_.numbers[i]);
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i] = ToNhwc(tensors_[i], ShapeOf(static_cast<int>(i)));
    }
    return tensors_;
  }

 private:
  const Shape& ShapeOf(int tensor) const { return model_.graph.tensors[tensor].shape; }

  static IntegerTensor FromNhwc(const IntegerTensor& nhwc, const Shape& shape) {
    IntegerTensor nchw(nhwc.size());
    ForEach(shape, [&](int64_t c, int64_t y, int64_t x) {
      nchw[Nchw(shape, c, y, x)] = nhwc[(y * shape.width + x) * shape.channels + c];
    });
    return nchw;
  }
  static IntegerTensor ToNhwc(const IntegerTensor& nchw, const Shape& shape) {
    IntegerTensor nhwc(nchw.size());
    ForEach(shape, [&](int64_t c, int64_t y, int64_t x) {
      nhwc[(y * shape.width + x) * shape.channels + c] = nchw[Nchw(shape, c, y, x)];
    });
    return nhwc;
  }

  void RunStep(const Step& step, const StepNumbers& numbers) {
    const Shape& in = ShapeOf(step.inputs[0]);
    const Shape& out = ShapeOf(step.output);
    const IntegerTensor& input = tensors_[step.inputs[0]];
    IntegerTensor& output = tensors_[step.output];
    output.assign(out.elements(), 0);
    switch (step.kind) {
      case StepKind::kConv:
        return Conv(step, numbers, in, out, input, output);
      case StepKind::kAdd:
        return Add(step, numbers, output);
      case StepKind::kMaxPool:
      case StepKind::kAveragePool:
        return Pool(step, numbers, in, out, input, output);
      case StepKind::kRelu:
        for (size_t i = 0; i < input.size(); ++i) {
          output[i] = std::min(std::max(input[i], 0), numbers.highest);
        }
        return;
      case StepKind::kConcat: {
        int64_t channel = 0;
        for (const int part : step.inputs) {
          Place(ShapeOf(part), out, channel, 0, 0, tensors_[part], output);
          channel += ShapeOf(part).channels;
        }
        return;
      }
      case StepKind::kSlice:
        return Move(step.slice(), in, out, input, output);
      case StepKind::kPad:
        return Place(in, out, step.pad().channels_before, step.pad().padding.top,
                     step.pad().padding.left, input, output);
      case StepKind::kRequantize:
        for (size_t i = 0; i < input.size(); ++i) {
          output[i] = ReferenceRequantize(Wide{input[i]} + RoundingTerm(numbers.scales[0]),
                                          numbers.scales[0], numbers);
        }
        return;
    }
  }

  // Every input element adds its products to the outputs that see it.
  static void Conv(const Step& step, const StepNumbers& numbers, const Shape& in, const Shape& out,
                   const IntegerTensor& input, IntegerTensor& output) {
    const ConvAttributes& conv = step.conv();
    const int64_t ins = in.channels / conv.groups, outs = out.channels / conv.groups;
    std::vector<Wide> sums(out.elements());
    ForEach(out,
            [&](int64_t c, int64_t y, int64_t x) { sums[Nchw(out, c, y, x)] = numbers.bias[c]; });
    const auto scatter = [&](int64_t c, int64_t iy, int64_t ix, int64_t ky, int64_t kx) {
      const int64_t sy = iy + conv.padding.top - ky * conv.dilation_height;
      const int64_t sx = ix + conv.padding.left - kx * conv.dilation_width;
      if (sy < 0 || sx < 0 || sy % conv.stride_height != 0 || sx % conv.stride_width != 0) return;
      const int64_t y = sy / conv.stride_height, x = sx / conv.stride_width;
      if (!Inside(out, y, x)) return;
      for (int64_t o = c / ins * outs; o < (c / ins + 1) * outs; ++o) {
        const int64_t tap = (o * conv.kernel_height + ky) * conv.kernel_width + kx;
        sums[Nchw(out, o, y, x)] +=
            Wide{numbers.weights[tap * ins + c % ins]} * input[Nchw(in, c, iy, ix)];
      }
    };
    ForEach(in, [&](int64_t c, int64_t iy, int64_t ix) {
      for (int64_t ky = 0; ky < conv.kernel_height; ++ky) {
        for (int64_t kx = 0; kx < conv.kernel_width; ++kx) scatter(c, iy, ix, ky, kx);
      }
    });
    ForEach(out, [&](int64_t c, int64_t y, int64_t x) {
      output[Nchw(out, c, y, x)] =
          ReferenceRequantize(sums[Nchw(out, c, y, x)], numbers.scales[c], numbers);
    });
  }

  void Add(const Step& step, const StepNumbers& numbers, IntegerTensor& output) const {
    const IntegerTensor& a = tensors_[step.inputs[0]];
    const IntegerTensor& b = tensors_[step.inputs[1]];
    for (size_t i = 0; i < output.size(); ++i) {
      const Wide sum = Wide{a[i]} * numbers.multiplier_a + Wide{b[i]} * numbers.multiplier_b +
                       (Wide{1} << (numbers.shift - 1));
      output[i] = static_cast<int32_t>(
          std::clamp<Wide>(FloorDivide(sum, numbers.shift), numbers.lowest, numbers.highest));
    }
  }

  static void Pool(const Step& step, const StepNumbers& numbers, const Shape& in, const Shape& out,
                   const IntegerTensor& input, IntegerTensor& output) {
    const PoolAttributes& pool = step.pool();
    ForEach(out, [&](int64_t c, int64_t y, int64_t x) {
      IntegerTensor seen;
      for (int64_t iy = 0; iy < in.height; ++iy) {
        for (int64_t ix = 0; ix < in.width; ++ix) {
          const int64_t ky = iy + pool.padding.top - y * pool.stride_height;
          const int64_t kx = ix + pool.padding.left - x * pool.stride_width;
          if (ky < 0 || kx < 0 || ky >= pool.kernel_height || kx >= pool.kernel_width) continue;
          seen.push_back(input[Nchw(in, c, iy, ix)]);
        }
      }
      output[Nchw(out, c, y, x)] = step.kind == StepKind::kMaxPool
                                       ? *std::max_element(seen.begin(), seen.end())
                                       : Mean(pool, numbers, seen);
    });
  }

  static int32_t Mean(const PoolAttributes& pool, const StepNumbers& numbers,
                      const IntegerTensor& seen) {
    const int64_t divisor = pool.count_include_pad ? pool.kernel_height * pool.kernel_width
                                                   : static_cast<int64_t>(seen.size());
    const auto found = std::find(numbers.divisors.begin(), numbers.divisors.end(), divisor);
    if (found == numbers.divisors.end()) std::abort();
    const FixedPointScale scale = numbers.scales[found - numbers.divisors.begin()];
    Wide sum = RoundingTerm(scale);
    for (const int32_t value : seen) sum += value;
    return ReferenceRequantize(sum, scale, numbers);
  }

  const QuantizedModel& model_;
  std::vector<IntegerTensor> tensors_;
};

// Writes random networks line by line.
class NetworkWriter {
 public:
  explicit NetworkWriter(Random& random) : random_(random) {}

  std::string Write() {
    const Shape input{Draw(1, 7), Draw(5, 9), Draw(5, 9)};
    Line("input x0 {}", ToString(input));
    values_.push_back({"x0", input});
    const int64_t nodes = Draw(2, 8);
    for (int64_t i = 0; i < nodes; ++i) AddNode();
    Line("output {}", values_.back().name);
    AddOutputs();
    return text_;
  }

 private:
  int64_t Draw(int64_t low, int64_t high) { return random_.Between(low, high); }
  template <typename... Args>
  void Line(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  // Now and then two more, whatever they are: read inside, moved, written already.
  void AddOutputs() {
    if (values_.size() < 2 || Draw(0, 2) > 0) return;
    for (int i = 0; i < 2; ++i) {
      const Value& value = values_[Draw(1, static_cast<int64_t>(values_.size()) - 1)];
      Line("output more{} = {}", i, value.name);
    }
  }
  std::string Activation() {
    const char* choices[] = {"", " relu", " relu", " relu=1.5"};
    return choices[Draw(0, 3)];
  }
  void AddNode() {
    // Mostly the newest value, sometimes an older one.
    const size_t newest = values_.size() - 1;
    const Value in = values_[Draw(0, 3) == 0 ? random_.Below(newest + 1) : newest];
    const std::string name = fmt::format("x{}", values_.size());
    std::string line;
    switch (Draw(0, 9)) {
      case 0:
      case 1:
      case 2:
        line = Conv(in);
        break;
      case 3:
        line = fmt::format("Add({}, {}){}", in.name, LikeShape(in), Activation());
        break;
      case 4:
        line = fmt::format("MaxPool({}) k=2x3 s={}x1 p=1,0,0,1", in.name, Draw(1, 2));
        break;
      case 5:
        line = fmt::format("AveragePool({}) k=3x2 s=1x2 p=1,1,0,0{}", in.name,
                           Draw(0, 1) == 0 ? "" : " include_pad");
        break;
      case 6:
        line = fmt::format("Relu({}){}", in.name, Draw(0, 1) == 0 ? " relu" : " relu=0.7");
        break;
      case 7:
        line = fmt::format("Concat({}, {})", in.name, LikeShape(in));
        break;
      case 8:
        line = fmt::format(
            "Slice({}) start=0,1,0 step=1,1,2 size={}", in.name,
            ToString(Shape{in.shape.channels, in.shape.height - 1, (in.shape.width + 1) / 2}));
        break;
      default:
        line = fmt::format("Pad({}) c=1,2 p=0,1,1,0", in.name);
    }
    Append(name, line);
  }
  std::string Conv(const Value& in) {
    const int64_t channels = in.shape.channels;
    const int64_t groups = Draw(0, 2) == 0                        ? channels
                           : Draw(0, 1) == 0 && channels % 2 == 0 ? 2
                                                                  : 1;
    const int64_t dilation = in.shape.height >= 5 && in.shape.width >= 5 ? Draw(1, 2) : 1;
    return fmt::format("Conv({}) k={}x{} s={}x{} p=1,{},0,1 d={}x1 g={} out={}{}", in.name,
                       Draw(1, 3), Draw(1, 3), Draw(1, 2), Draw(1, 2), Draw(0, 1), dilation, groups,
                       groups * Draw(1, 3), Activation());
  }
  // A value of the same shape: another one if there is one.
  std::string LikeShape(const Value& in) {
    for (const Value& other : values_) {
      if (other.shape == in.shape && other.name != in.name) return other.name;
    }
    return in.name;
  }
  // Adds the line if the network is one with it.
  void Append(const std::string& name, const std::string& line) {
    const std::string text = fmt::format("{}{} = {}\n", text_, name, line);
    const absl::StatusOr<Graph> graph = ParseGraph(text + "output " + name + "\n");
    if (!graph.ok() || graph->values.back().shape.elements() > 4000) return;
    text_ = text;
    values_.push_back(graph->values.back());
  }

  Random& random_;
  std::string text_;
  std::vector<Value> values_;
};

}  // namespace

Graph ParseNetwork(std::string_view text) { return Must(ParseGraph(text)); }
BitScheme ParseScheme(std::string_view text) { return Must(BitScheme::Parse(text)); }
ModelPackage RandomWeights(std::string_view network, uint64_t seed) {
  return Must(WithRandomWeights(ParseNetwork(network), seed));
}

std::string RandomNetwork(Random& random) {
  while (true) {
    const std::string text = NetworkWriter(random).Write();
    if (ParseGraph(text).ok()) return text;
  }
}

BitScheme RandomScheme(const Graph& graph, bool input_non_negative, Random& random) {
  std::vector<LayerBits> layers;
  for (const int least : LeastInputBits(graph, input_non_negative)) {
    layers.push_back(
        {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(least, 8))});
  }
  return BitScheme(layers);
}

std::vector<float> RandomSample(const Graph& graph, bool non_negative, Random& random) {
  std::vector<float> sample(graph.values[graph.input].shape.elements());
  for (float& x : sample) {
    x = static_cast<float>(random.Gaussian());
    if (non_negative) x = std::abs(x);
  }
  return sample;
}

IntegerTensor RandomInput(const QuantizedModel& model, Random& random) {
  const QuantizedTensor& tensor = model.graph.tensors[model.graph.input];
  IntegerTensor input(tensor.shape.elements());
  for (int32_t& x : input) {
    const int64_t choice = random.Between(0, 9);
    x = choice == 0 ? tensor.type.lowest()
        : choice == 1
            ? tensor.type.highest()
            : static_cast<int32_t>(random.Between(tensor.type.lowest(), tensor.type.highest()));
  }
  return input;
}

std::vector<std::vector<double>> RunFloat(const ModelPackage& package,
                                          const std::vector<float>& sample) {
  const Graph& graph = package.graph;
  std::vector<Values> values(graph.values.size());
  values[graph.input].assign(sample.begin(), sample.end());
  size_t layer = 0;
  for (const Node& node : graph.nodes) {
    const Shape& in = graph.values[node.inputs[0]].shape;
    const Shape& out = graph.values[node.output].shape;
    const Values& input = values[node.inputs[0]];
    Values output(out.elements());
    switch (node.op) {
      case OpKind::kConv:
        output = FloatConv(node.conv(), package.weights.layers[layer++], in, out, input);
        break;
      case OpKind::kAdd:
        for (size_t i = 0; i < output.size(); ++i) output[i] = input[i] + values[node.inputs[1]][i];
        break;
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
        output = FloatPool(node, in, out, input);
        break;
      case OpKind::kRelu:
        output = input;
        break;
      case OpKind::kConcat: {
        int64_t channel = 0;
        for (const int part : node.inputs) {
          Place(graph.values[part].shape, out, channel, 0, 0, values[part], output);
          channel += graph.values[part].shape.channels;
        }
        break;
      }
      case OpKind::kSlice:
        Move(node.slice(), in, out, input, output);
        break;
      case OpKind::kPad:
        Place(in, out, node.pad().channels_before, node.pad().padding.top, node.pad().padding.left,
              input, output);
        break;
    }
    for (double& x : output) x = Activate(node.activation, x);
    values[node.output] = std::move(output);
  }
  return values;
}

std::vector<TensorStatistics> Observe(const ModelPackage& package,
                                      const std::vector<std::vector<float>>& samples) {
  std::vector<TensorStatistics> statistics(package.graph.values.size());
  std::vector<std::vector<Values>> runs;
  for (const std::vector<float>& sample : samples) runs.push_back(RunFloat(package, sample));
  for (const auto& run : runs) {
    for (size_t value = 0; value < run.size(); ++value) {
      for (const double x : run[value]) {
        statistics[value].least = std::min(statistics[value].least, x);
        statistics[value].most = std::max(statistics[value].most, x);
      }
    }
  }
  for (const auto& run : runs) {
    for (size_t value = 0; value < run.size(); ++value) {
      TensorStatistics& seen = statistics[value];
      const double width = seen.most_magnitude() / TensorStatistics::kBins;
      for (const double x : run[value]) {
        const int bin = width == 0 ? 0
                                   : std::min(static_cast<int>(std::abs(x) / width),
                                              TensorStatistics::kBins - 1);
        ++(x < 0 ? seen.negative : seen.positive)[bin];
      }
    }
  }
  for (size_t value = 0; value < statistics.size(); ++value) {
    const Shape& shape = package.graph.values[value].shape;
    const double count = static_cast<double>(shape.height * shape.width * samples.size());
    statistics[value].channel_means.assign(shape.channels, 0.0);
    for (const auto& run : runs) {
      ForEach(shape, [&](int64_t c, int64_t y, int64_t x) {
        statistics[value].channel_means[c] += run[value][Nchw(shape, c, y, x)] / count;
      });
    }
  }
  return statistics;
}

Calibration Calibrate(const ModelPackage& package, bool input_non_negative, uint64_t seed) {
  Random random(seed);
  std::vector<std::vector<float>> samples;
  for (int i = 0; i < 16; ++i) {
    samples.push_back(RandomSample(package.graph, input_non_negative, random));
  }
  return Must(MakeCalibration(package.graph, input_non_negative, Observe(package, samples)));
}

QuantizedModel MustQuantize(const ModelPackage& package, bool input_non_negative,
                            const BitScheme& scheme, uint64_t seed) {
  return Must(Quantize(package, Calibrate(package, input_non_negative, seed), scheme));
}

std::vector<IntegerTensor> RunReference(const QuantizedModel& model, const IntegerTensor& input) {
  return Reference(model).Run(input);
}

std::string DocumentedExample(std::string_view page) {
  const std::string text =
      Must(ReadFile(std::string(kSourceFolder) + "/docs/formats/" + std::string(page)));
  std::istringstream lines(text);
  std::string line, digits;
  while (std::getline(lines, line)) {
    if (!std::regex_match(line, std::regex("    [0-9a-f]{2}( [0-9a-f]{2})*"))) continue;
    std::copy_if(line.begin(), line.end(), std::back_inserter(digits),
                 [](char c) { return c != ' '; });
  }
  return absl::HexStringToBytes(digits);
}

}  // namespace mico::testing
