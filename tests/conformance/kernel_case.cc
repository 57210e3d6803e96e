#include "tests/conformance/kernel_case.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "fmt/format.h"
#include "quant/interpreter.h"
#include "quant/pack.h"
#include "quant/requantize.h"
#include "quant/window.h"

namespace mico::conformance {
namespace {

std::string Container(TensorType type) {
  return fmt::format("{}{}", type.is_signed ? "s" : "u", type.container_bits());
}

int64_t OutputExtent(int64_t in, int64_t before, int64_t after, int64_t kernel, int64_t dilation,
                     int64_t stride) {
  return (in + before + after - (kernel - 1) * dilation - 1) / stride + 1;
}

Shape ConvOutput(const ConvSpec& spec) {
  const ConvAttributes& c = spec.conv;
  return {c.out_channels,
          OutputExtent(spec.in.height, c.padding.top, c.padding.bottom, c.kernel_height,
                       c.dilation_height, c.stride_height),
          OutputExtent(spec.in.width, c.padding.left, c.padding.right, c.kernel_width,
                       c.dilation_width, c.stride_width)};
}

int32_t Draw(Pattern pattern, int64_t index, int32_t lowest, int32_t highest, Random& random) {
  switch (pattern) {
    case Pattern::kRandom:
      return static_cast<int32_t>(random.Between(lowest, highest));
    case Pattern::kExtreme:
      return highest;
    case Pattern::kAlternating:
      return index % 2 == 0 ? lowest : highest;
  }
  return 0;
}

std::vector<int32_t> DrawTensor(const Shape& shape, TensorType type, Pattern pattern,
                                Random& random) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    values.push_back(Draw(pattern, i, type.lowest(), type.highest(), random));
  }
  return values;
}

// The narrow symmetric grid; 1 bit has no zero.
std::vector<int8_t> DrawWeights(int64_t count, int bits, Pattern pattern, Random& random) {
  std::vector<int8_t> weights;
  const int32_t most = bits == 1 ? 1 : (1 << (bits - 1)) - 1;
  for (int64_t i = 0; i < count; ++i) {
    const int32_t weight = Draw(pattern, i, -most, most, random);
    weights.push_back(static_cast<int8_t>(bits == 1 && weight == 0 ? 1 : weight));
  }
  return weights;
}

// A factor that spreads sums of `terms` products over the output's range, and a bias.
void SetRequantization(StepNumbers& numbers, TensorType output, double typical, int64_t entries,
                       Random& random) {
  for (int64_t i = 0; i < entries; ++i) {
    const double factor = (output.highest() + 1.0) / typical * std::exp2(4.0 * random.Unit() - 2.0);
    const FixedPointScale scale = ToFixedPoint(std::clamp(factor, 0x1p-30, 0x1p28)).value();
    numbers.scales.push_back(scale);
    const int64_t spread = std::max<int64_t>(1, std::llround(typical / 4));
    numbers.bias.push_back(
        static_cast<int32_t>(random.Between(-spread, spread) + RoundingTerm(scale)));
  }
  numbers.lowest = output.lowest();
  numbers.highest = output.highest();
}

// A network of one step with one input.
KernelCase MakeCase(KernelFamily family, const std::string& operation, StepKind kind,
                    const QuantizedTensor& input, const Shape& out_shape, TensorType output) {
  KernelCase result;
  result.family = family;
  result.operation = operation;
  Step step;
  step.kind = kind;
  step.name = operation;
  step.inputs = {0};
  step.output = 1;
  result.model.graph.tensors = {input, {"y", out_shape, output}};
  result.model.graph.steps = {step};
  result.model.graph.outputs = {{"y", 1}};
  result.model.numbers.resize(1);
  result.model.scales.assign(2, 1.0);
  return result;
}

// Puts a slice before the last step, which then reads what it cuts out of tensor 0.
void AddSlicedInput(KernelCase& c, const QuantizedTensor& part, const SliceAttributes& slice) {
  QuantizedGraph& graph = c.model.graph;
  const int index = static_cast<int>(graph.tensors.size()) - 1;
  graph.tensors.insert(graph.tensors.end() - 1, part);
  Step step;
  step.kind = StepKind::kSlice;
  step.name = "cut";
  step.inputs = {0};
  step.output = index;
  step.attributes = slice;
  graph.steps.insert(graph.steps.end() - 1, step);
  c.model.numbers.insert(c.model.numbers.begin(), StepNumbers{});
  c.model.scales.push_back(1.0);
  Step& last = graph.steps.back();
  if (last.inputs == std::vector<int>{0}) last.inputs.clear();
  last.inputs.push_back(index);
  last.output = graph.outputs[0].tensor = index + 1;
}

KernelCase MakeAddCase(const Shape& shape, TensorType a, TensorType b, TensorType output,
                       Pattern pattern, uint64_t seed) {
  Random random(seed);
  Shape both = shape;
  both.height *= 2;
  KernelCase c = MakeCase(KernelFamily::kReference, "add", StepKind::kAdd, {"x", both, {16, true}},
                          shape, output);
  AddSlicedInput(c, {"a", shape, a}, {});
  SliceAttributes second;
  second.start_row = shape.height;
  AddSlicedInput(c, {"b", shape, b}, second);
  c.network_input = DrawTensor(shape, a, pattern, random);
  const std::vector<int32_t> values = DrawTensor(shape, b, pattern, random);
  c.network_input.insert(c.network_input.end(), values.begin(), values.end());
  StepNumbers& numbers = c.model.numbers.back();
  numbers.shift = 18;
  numbers.multiplier_a = static_cast<int32_t>(random.Between(1 << 15, 1 << 21));
  numbers.multiplier_b = static_cast<int32_t>(random.Between(1 << 15, 1 << 21));
  numbers.lowest = output.lowest();
  numbers.highest = output.highest();
  return c;
}

KernelCase MakeConcatCase(const Shape& first, int64_t second_channels, TensorType type,
                          uint64_t seed) {
  Random random(seed);
  Shape all = first;
  all.channels += second_channels;
  KernelCase c =
      MakeCase(KernelFamily::kReference, "concat", StepKind::kConcat, {"x", all, type}, all, type);
  AddSlicedInput(c, {"a", first, type}, {});
  Shape second = first;
  second.channels = second_channels;
  SliceAttributes slice;
  slice.start_channel = first.channels;
  AddSlicedInput(c, {"b", second, type}, slice);
  c.network_input = DrawTensor(all, type, Pattern::kRandom, random);
  return c;
}

KernelCase MakeMovingCase(const std::string& operation, StepKind kind, const Shape& in,
                          const Shape& out, TensorType type, uint64_t seed) {
  Random random(seed);
  KernelCase c = MakeCase(KernelFamily::kReference, operation, kind, {"x", in, type}, out, type);
  c.network_input = DrawTensor(in, type, Pattern::kRandom, random);
  return c;
}

Shape PoolOutput(const Shape& in, const PoolAttributes& pool) {
  return {in.channels,
          OutputExtent(in.height, pool.padding.top, pool.padding.bottom, pool.kernel_height, 1,
                       pool.stride_height),
          OutputExtent(in.width, pool.padding.left, pool.padding.right, pool.kernel_width, 1,
                       pool.stride_width)};
}

KernelCase MakeAveragePoolCase(const Shape& in, const PoolAttributes& pool, TensorType type,
                               TensorType output, uint64_t seed) {
  Random random(seed);
  const Shape out = PoolOutput(in, pool);
  KernelCase c = MakeCase(KernelFamily::kReference, "average_pool", StepKind::kAveragePool,
                          {"x", in, type}, out, output);
  c.model.graph.steps[0].attributes = pool;
  c.network_input = DrawTensor(in, type, Pattern::kRandom, random);
  StepNumbers& numbers = c.model.numbers[0];
  for (const int64_t divisor : PoolDivisors(pool, in, out)) {
    numbers.divisors.push_back(static_cast<int32_t>(divisor));
  }
  SetRequantization(numbers, output, 2.0 * type.highest(),
                    static_cast<int64_t>(numbers.divisors.size()), random);
  return c;
}

KernelCase MakeRequantizeCase(const Shape& shape, TensorType type, TensorType output, double factor,
                              uint64_t seed) {
  Random random(seed);
  KernelCase c = MakeCase(KernelFamily::kReference, "requantize", StepKind::kRequantize,
                          {"x", shape, type}, shape, output);
  c.network_input = DrawTensor(shape, type, Pattern::kRandom, random);
  SetRequantization(c.model.numbers[0], output, (output.highest() + 1.0) / factor, 1, random);
  return c;
}

// What the packed family has beside convolutions: additions and requantizations of bytes, of
// lengths that end anywhere in a byte.
std::vector<KernelCase> ByteCases() {
  std::vector<KernelCase> cases;
  uint64_t seed = 5000;
  const std::vector<TensorType> outputs{{8, false}, {8, true}, {4, false}, {4, true},
                                        {2, false}, {2, true}, {1, false}, {7, true}};
  for (const bool a_signed : {false, true}) {
    for (const TensorType output : outputs) {
      for (int64_t channels = 1; channels <= 9; channels += 2) {
        const double factor = (seed % 2 == 0 ? 0.3 : 1.7);
        ++seed;
        cases.push_back(MakeRequantizeCase({channels, 7, 5}, {8, a_signed}, output, factor, seed));
        cases.push_back(MakeAddCase({channels, 1, 5}, {8, a_signed}, {8, seed % 2 == 0}, output,
                                    static_cast<Pattern>(seed % 3), seed));
      }
    }
    cases.push_back(MakeRequantizeCase({3, 3, 3}, {8, a_signed}, {8, true}, 0x1p27, ++seed));
    cases.push_back(MakeRequantizeCase({3, 3, 3}, {8, a_signed}, {4, true}, 0x1p-29, ++seed));
  }
  for (KernelCase& c : cases) c.family = KernelFamily::kC99;
  return cases;
}

std::vector<KernelCase> MovingCases() {
  std::vector<KernelCase> cases;
  uint64_t seed = 1000;
  PoolAttributes pool;
  pool.kernel_height = 3, pool.kernel_width = 2;
  pool.stride_height = pool.stride_width = 2;
  pool.padding = {1, 1, 1, 0};
  PoolAttributes counting = pool;
  counting.count_include_pad = true;
  // Over every edge, further on one side than on the other; strides by axis.
  PoolAttributes over_corners;
  over_corners.kernel_height = 3, over_corners.kernel_width = 4;
  over_corners.stride_height = 1, over_corners.stride_width = 2;
  over_corners.padding = {2, 1, 1, 3};
  PoolAttributes counting_corners = over_corners;
  counting_corners.stride_height = 2, counting_corners.stride_width = 1;
  counting_corners.count_include_pad = true;
  PoolAttributes global;
  global.kernel_height = 5, global.kernel_width = 7;
  SliceAttributes slice;
  slice.start_channel = 1, slice.start_row = 1, slice.step_column = 2, slice.step_channel = 2;
  PadAttributes pad;
  pad.channels_before = 1, pad.channels_after = 2;
  pad.padding = {1, 0, 2, 1};
  // A signal: one row.
  PoolAttributes over_length;
  over_length.kernel_width = 3, over_length.stride_width = 2;
  over_length.padding = {0, 1, 0, 1};
  SliceAttributes part;
  part.start_column = 2, part.step_column = 3;
  PadAttributes ends;
  ends.padding = {0, 2, 0, 3};
  const Shape in{3, 5, 7}, signal{3, 1, 23};
  const std::vector<TensorType> types{{8, false}, {8, true},  {4, false}, {4, true}, {2, false},
                                      {2, true},  {1, false}, {3, false}, {5, true}};
  for (const TensorType type : types) {
    cases.push_back(
        MakeMovingCase("max_pool", StepKind::kMaxPool, in, PoolOutput(in, pool), type, ++seed));
    cases.back().model.graph.steps[0].attributes = pool;
    cases.push_back(MakeMovingCase("max_pool", StepKind::kMaxPool, in, PoolOutput(in, over_corners),
                                   type, ++seed));
    cases.back().model.graph.steps[0].attributes = over_corners;
    cases.push_back(MakeMovingCase("slice", StepKind::kSlice, in, {1, 4, 4}, type, ++seed));
    cases.back().model.graph.steps[0].attributes = slice;
    cases.push_back(MakeMovingCase("pad", StepKind::kPad, in, {6, 8, 8}, type, ++seed));
    cases.back().model.graph.steps[0].attributes = pad;
    cases.push_back(MakeMovingCase("max_pool", StepKind::kMaxPool, signal,
                                   PoolOutput(signal, over_length), type, ++seed));
    cases.back().model.graph.steps[0].attributes = over_length;
    cases.push_back(MakeAveragePoolCase(signal, over_length, type, {8, type.is_signed}, ++seed));
    cases.push_back(MakeMovingCase("slice", StepKind::kSlice, signal, {3, 1, 7}, type, ++seed));
    cases.back().model.graph.steps[0].attributes = part;
    cases.push_back(MakeMovingCase("pad", StepKind::kPad, signal, {3, 1, 28}, type, ++seed));
    cases.back().model.graph.steps[0].attributes = ends;
    cases.push_back(MakeMovingCase("relu", StepKind::kRelu, in, in, type, ++seed));
    cases.back().model.numbers[0].highest = std::max(1, type.highest() * 3 / 4);
    cases.push_back(MakeConcatCase(in, 2, type, ++seed));
    for (const PoolAttributes& attributes :
         {pool, counting, over_corners, counting_corners, global}) {
      cases.push_back(MakeAveragePoolCase(in, attributes, type, {8, type.is_signed}, ++seed));
    }
    for (const TensorType output : types) {
      const double factor = (seed % 2 == 0 ? 0.3 : 1.7);
      cases.push_back(MakeRequantizeCase({3, 3, 3}, type, output, factor, ++seed));
    }
    cases.push_back(MakeRequantizeCase({3, 3, 3}, type, {16, true}, 100.0, ++seed));
    cases.push_back(MakeRequantizeCase({3, 3, 3}, type, {8, true}, 0x1p27, ++seed));
    cases.push_back(MakeRequantizeCase({3, 3, 3}, type, {8, true}, 0x1p-29, ++seed));
    for (const Pattern pattern : {Pattern::kRandom, Pattern::kExtreme, Pattern::kAlternating}) {
      cases.push_back(MakeAddCase(in, type, {8, true}, {8, true}, pattern, ++seed));
      cases.push_back(MakeAddCase(in, {8, false}, type, {4, false}, pattern, ++seed));
    }
  }
  return cases;
}

struct NamedSpec {
  std::string operation;
  ConvSpec spec;
};

ConvSpec Spec(const Shape& in, int64_t kernel_h, int64_t kernel_w, int64_t out_channels,
              int64_t stride = 1, Padding padding = {}, int64_t dilation = 1, int64_t groups = 1) {
  ConvAttributes conv;
  conv.kernel_height = kernel_h, conv.kernel_width = kernel_w;
  conv.stride_height = conv.stride_width = stride;
  conv.dilation_height = conv.dilation_width = dilation;
  conv.padding = padding;
  conv.groups = groups;
  conv.out_channels = out_channels;
  return {in, conv};
}

// With strides and dilations that are not the same on both axes.
ConvSpec ByAxis(ConvSpec spec, int64_t stride_h, int64_t stride_w, int64_t dilation_h,
                int64_t dilation_w) {
  spec.conv.stride_height = stride_h, spec.conv.stride_width = stride_w;
  spec.conv.dilation_height = dilation_h, spec.conv.dilation_width = dilation_w;
  return spec;
}

// Shapes are {channels, height, width}. Each is odd in its own way.
std::vector<NamedSpec> Specs() {
  const Padding around{1, 1, 1, 1};
  return {
      {"conv2d", Spec({3, 5, 5}, 3, 3, 5, 1, around)},            // K = 27, pixels = 25
      {"conv2d", Spec({8, 4, 6}, 3, 3, 8, 2, around)},            // whole bytes, stride
      {"conv2d", Spec({16, 3, 3}, 1, 1, 17)},                     // read in place
      {"conv2d", Spec({4, 6, 5}, 3, 2, 3, 1, {2, 1, 1, 2}, 2)},   // dilated, uneven padding
      {"conv2d", Spec({5, 7, 3}, 1, 1, 9, 2)},                    // in place with stride
      {"conv2d", Spec({6, 3, 3}, 1, 1, 4, 1, around)},            // 1x1 with a border
      {"conv2d", Spec({40, 2, 3}, 3, 3, 10, 1, around)},          // K = 360: several flushes
      {"conv2d", Spec({6, 5, 5}, 3, 3, 4, 1, around, 1, 2)},      // groups
      {"conv2d", Spec({32, 2, 2}, 1, 1, 16)},                     // all even
      {"conv2d", Spec({5, 1, 17}, 1, 5, 6, 2, {0, 2, 0, 3})},     // a signal: one row
      {"conv2d", Spec({4, 19, 1}, 3, 1, 3, 1, {2, 0, 2, 0}, 2)},  // one column
      {"conv2d", ByAxis(Spec({3, 6, 7}, 3, 3, 4, 1, around), 1, 2, 1, 1)},
      {"conv2d", ByAxis(Spec({4, 7, 6}, 3, 3, 3, 1, around), 2, 1, 1, 1)},
      {"conv2d", ByAxis(Spec({3, 7, 8}, 2, 3, 4, 1, {1, 2, 0, 1}), 1, 1, 1, 2)},
      {"conv2d", ByAxis(Spec({5, 8, 7}, 3, 2, 3, 1, {2, 0, 1, 1}), 1, 2, 2, 1)},
      {"conv2d", ByAxis(Spec({4, 7, 9}, 3, 3, 2, 1, {0, 2, 3, 1}), 2, 1, 1, 2)},
      {"conv2d", ByAxis(Spec({6, 5, 7}, 1, 1, 5), 1, 2, 1, 1)},  // in place, stride of one axis
      {"depthwise_conv2d", Spec({3, 5, 5}, 3, 3, 3, 1, around, 1, 3)},
      {"depthwise_conv2d", Spec({8, 6, 7}, 3, 3, 8, 2, around, 1, 8)},
      {"depthwise_conv2d", Spec({5, 4, 6}, 5, 5, 5, 1, {2, 2, 2, 2}, 1, 5)},  // 25 taps
      {"depthwise_conv2d", Spec({4, 7, 7}, 3, 3, 4, 1, {2, 2, 2, 2}, 2, 4)},  // dilated
      {"depthwise_conv2d", Spec({6, 5, 4}, 1, 1, 6, 1, {}, 1, 6)},            // an affine layer
      {"depthwise_conv2d", Spec({2, 3, 67}, 3, 3, 2, 1, around, 1, 2)},       // long rows
      {"depthwise_conv2d", Spec({4, 35, 5}, 3, 3, 4, 1, around, 1, 4)},       // several bands
      {"depthwise_conv2d", Spec({4, 39, 2}, 3, 3, 4, 3, around, 1, 4)},       // and strides
      {"depthwise_conv2d",
       Spec({3, 4, 9}, 2, 3, 3, 3, {0, 4, 1, 0}, 1, 3)},                // more padding than taps
      {"depthwise_conv2d", Spec({4, 8, 3}, 8, 3, 4, 1, {}, 1, 4)},      // whole height
      {"depthwise_conv2d", Spec({3, 4, 4}, 3, 3, 6, 1, around, 1, 3)},  // multiplier 2
      {"depthwise_conv2d", Spec({6, 1, 29}, 1, 3, 6, 1, {0, 2, 0, 2}, 2, 6)},  // one row
      {"depthwise_conv2d", ByAxis(Spec({4, 6, 7}, 3, 3, 4, 1, around, 1, 4), 1, 2, 1, 1)},
      {"depthwise_conv2d", ByAxis(Spec({3, 7, 6}, 3, 3, 3, 1, around, 1, 3), 2, 1, 2, 1)},
      {"depthwise_conv2d", ByAxis(Spec({5, 6, 9}, 3, 3, 5, 1, {0, 2, 1, 1}, 1, 5), 2, 1, 1, 2)},
      {"depthwise_conv2d", ByAxis(Spec({4, 8, 5}, 3, 2, 4, 1, {2, 0, 1, 1}, 1, 4), 1, 2, 2, 1)},
      {"fully_connected", Spec({17, 1, 1}, 1, 1, 5)},
      {"fully_connected", Spec({9, 2, 2}, 2, 2, 8)},
      {"fully_connected", Spec({331, 1, 1}, 1, 1, 10)},
      {"fully_connected", Spec({1, 1, 1}, 1, 1, 1)},
      {"fully_connected", Spec({64, 1, 1}, 1, 1, 16)},
  };
}

std::vector<KernelCase> ConvCases(KernelFamily family) {
  const TensorType outputs[] = {{8, false}, {4, false}, {2, true}, {8, true},
                                {16, true}, {4, true},  {1, false}};
  std::vector<KernelCase> cases;
  uint64_t seed = 1;
  for (const NamedSpec& named : Specs()) {
    for (const int weight_bits : {8, 4, 2, 1}) {
      for (const int input_bits : {8, 4, 2, 1}) {
        for (const bool is_signed : {false, true}) {
          const TensorType input{input_bits, is_signed};
          if (input_bits == 1 && is_signed) continue;
          if (!HasKernel(family, named.operation, named.spec, input, weight_bits)) continue;
          const Pattern pattern = static_cast<Pattern>(seed % 3);
          // Two output types for one pair of widths keep the number of kernels small.
          const size_t pair = weight_bits + 3 * input_bits + is_signed;
          const TensorType output = outputs[(pair + seed % 2) % std::size(outputs)];
          cases.push_back(MakeConvCase(family, named.operation, named.spec, input, weight_bits,
                                       output, Pattern::kRandom, ++seed));
          cases.push_back(MakeConvCase(family, named.operation, named.spec, input, weight_bits,
                                       output, pattern, ++seed));
          // Widths between the containers: 3 in 4, 5-7 in 8.
          if (weight_bits >= 4 && input_bits >= 4) {
            cases.push_back(MakeConvCase(family, named.operation, named.spec,
                                         {input_bits - 1, is_signed}, weight_bits - 1, output,
                                         Pattern::kAlternating, ++seed));
          }
        }
      }
    }
  }
  return cases;
}

}  // namespace

std::string KernelCase::KernelName() const {
  std::string name = fmt::format("mico_{}_{}", operation, Container(input().type));
  if (step().inputs.size() > 1) name += "_" + Container(input(1).type);
  if (is_conv_like()) name += fmt::format("_s{}", ContainerBits(step().weight_bits));
  name += "_" + Container(output().type);
  if (family == KernelFamily::kC99) name += "_c99";
  return name;
}

std::string KernelCase::ToString() const {
  return fmt::format("{} {}:{} -> {}:{}", KernelName(), mico::ToString(input().shape),
                     input().type.ToString(), mico::ToString(output().shape),
                     output().type.ToString());
}

KernelBytes RunOracle(const KernelCase& kernel_case) {
  const std::vector<IntegerTensor> tensors =
      RunIntegerKeepingAll(kernel_case.model, kernel_case.network_input).value();
  KernelBytes bytes;
  for (size_t i = 0; i < kernel_case.step().inputs.size(); ++i) {
    bytes.inputs.push_back(Pack(tensors[kernel_case.step().inputs[i]], kernel_case.input(i).type));
  }
  bytes.output = Pack(tensors.back(), kernel_case.output().type);
  return bytes;
}

bool HasKernel(KernelFamily family, const std::string& operation, const ConvSpec& spec,
               TensorType input, int weight_bits) {
  if (family == KernelFamily::kReference) return true;
  if (operation == "depthwise_conv2d") return spec.conv.out_channels == spec.in.channels;
  const bool ones = weight_bits == 1 && input.bits == 1;
  return spec.conv.groups == 1 && (ones || (weight_bits > 1 && input.bits > 1));
}

KernelCase MakeConvCase(KernelFamily family, const std::string& operation, const ConvSpec& spec,
                        TensorType input, int weight_bits, TensorType output, Pattern pattern,
                        uint64_t seed) {
  Random random(seed);
  const Shape out = ConvOutput(spec);
  KernelCase c = MakeCase(family, operation, StepKind::kConv, {"x", spec.in, input}, out, output);
  Step& step = c.model.graph.steps[0];
  step.attributes = spec.conv;
  step.layer = 0;
  step.weight_bits = weight_bits;
  c.network_input = DrawTensor(spec.in, input, pattern, random);
  const int64_t per_channel =
      spec.conv.kernel_height * spec.conv.kernel_width * spec.in.channels / spec.conv.groups;
  StepNumbers& numbers = c.model.numbers[0];
  numbers.weights = DrawWeights(per_channel * out.channels, weight_bits, pattern, random);
  const double most = static_cast<double>(input.highest()) * (1 << (weight_bits - 1));
  const double terms = static_cast<double>(per_channel);
  SetRequantization(numbers, output,
                    most * (pattern == Pattern::kExtreme ? terms : std::sqrt(terms)), out.channels,
                    random);
  return c;
}

std::vector<KernelCase> AllCases(KernelFamily family) {
  std::vector<KernelCase> cases = ConvCases(family);
  const std::vector<KernelCase> moving =
      family == KernelFamily::kReference ? MovingCases() : ByteCases();
  cases.insert(cases.end(), moving.begin(), moving.end());
  return cases;
}

}  // namespace mico::conformance
