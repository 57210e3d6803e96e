#include "quant/quantized_model.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using testing::Calibrate;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MustQuantize;
using testing::ParseScheme;
using testing::RandomWeights;

constexpr char kSmallNetwork[] = R"(
  input x 3x7x7
  a = Conv(x) k=3x3 p=1,1,1,1 out=5 relu
  d = Conv(a) k=3x3 p=1,1,1,1 g=5 out=5 relu=1.5
  s = Add(a, d) relu
  m = MaxPool(s) k=2x2 s=2x2
  p = AveragePool(m) k=2x2 s=1x1 p=1,1,0,0
  t = Pad(p) c=1,0 p=0,0,1,1
  f = Conv(t) k=4x4 out=4
  output f)";

// How far the integer network's output is from the float network's, relative to its size, on
// samples that MustQuantize calibrated with.
double RelativeError(const ModelPackage& package, const QuantizedModel& model) {
  Random random(1);
  double error = 0, size = 0;
  const Shape& shape = model.graph.tensors[model.graph.scored_tensor()].shape;
  for (int i = 0; i < 10; ++i) {
    const std::vector<float> sample = testing::RandomSample(package.graph, true, random);
    const std::vector<double> real =
        testing::RunFloat(package, sample)[package.graph.scored_value()];
    const IntegerTensor integers = RunInteger(model, QuantizeInput(model, sample))->front();
    const int64_t positions = shape.height * shape.width;
    for (int64_t at = 0; at < shape.elements(); ++at) {
      const double logit = real[at];
      const double found =
          integers[at % positions * shape.channels + at / positions] * model.output_scale();
      error += (logit - found) * (logit - found);
      size += logit * logit;
    }
  }
  return std::sqrt(error / size);
}

TEST(QuantizeTest, FollowsTheFloatNetworkAtEightBits) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const ModelPackage package = RandomWeights(kSmallNetwork, seed);
    const QuantizedModel model = MustQuantize(package, true, ParseScheme("w8a8,w8a8,w8a8"));
    // 8 bits on each of three layers: about one part in a hundred.
    EXPECT_LT(RelativeError(package, model), 0.06) << seed;
  }
}

TEST(QuantizeTest, ErrorShrinksWithBits) {
  double previous = std::numeric_limits<double>::infinity();
  for (const int bits : {1, 2, 4, 8}) {
    double error = 0;
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const ModelPackage package = RandomWeights(kSmallNetwork, seed);
      const BitScheme scheme = BitScheme::Uniform(bits, bits, {true, false, false});
      error += RelativeError(package, MustQuantize(package, true, scheme));
    }
    EXPECT_LT(error, previous) << bits;
    previous = error;
  }
}

// How far the mean of each output is from the float network's, over samples that calibration saw.
double MeanOutputError(const ModelPackage& package, const Calibration& calibration,
                       const BitScheme& scheme, const std::vector<std::vector<float>>& samples) {
  const auto model = Quantize(package, calibration, scheme);
  EXPECT_TRUE(model.ok()) << model.status();
  std::vector<double> errors;
  for (const std::vector<float>& sample : samples) {
    const auto integers = RunInteger(*model, QuantizeInput(*model, sample));
    EXPECT_TRUE(integers.ok()) << integers.status();
    const std::vector<double> expected =
        testing::RunFloat(package, sample)[package.graph.outputs[0].value];
    errors.resize(expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      errors[i] += integers->front()[i] * model->output_scale() - expected[i];
    }
  }
  double sum = 0.0;
  for (const double error : errors) sum += std::abs(error);
  return sum / static_cast<double>(samples.size());
}

TEST(QuantizeTest, BiasCorrectionReducesTheMeanErrorOfTheOutputs) {
  const char* kNetwork = R"(
    input x 4x1x1
    a = Conv(x) out=16 relu
    dw = Conv(a) g=16 out=16
    b = Conv(dw) out=6
    output b)";
  double corrected = 0.0, plain = 0.0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const ModelPackage package = RandomWeights(kNetwork, seed);
    Random random(seed);
    std::vector<std::vector<float>> samples;
    for (int i = 0; i < 64; ++i)
      samples.push_back(testing::RandomSample(package.graph, true, random));
    Calibration calibration =
        MakeCalibration(package.graph, true, testing::Observe(package, samples)).value();
    const BitScheme scheme = ParseScheme("w3a8,w3a8,w3a8");
    corrected += MeanOutputError(package, calibration, scheme, samples);
    calibration.input_means.clear();
    plain += MeanOutputError(package, calibration, scheme, samples);
  }
  EXPECT_LT(corrected, plain / 4);
}

TEST(QuantizeTest, RefusesMeansOfAnotherNetwork) {
  const ModelPackage package = RandomWeights("input x 2x1x1\na = Conv(x) out=2\noutput a", 1);
  const auto refusal = [&](std::vector<std::vector<double>> means) {
    Calibration calibration = Calibrate(package, true, 1);
    calibration.input_means = std::move(means);
    return std::string(Quantize(package, calibration, ParseScheme("w4a4")).status().message());
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({{}}), "");
  EXPECT_THAT(refusal({{0.5, 0.5}, {0.5}}), HasSubstr("2 layers"));
  EXPECT_THAT(refusal({{0.5}}), HasSubstr("'a': 1 means"));
  EXPECT_THAT(refusal({{0.5, 1e70}}), HasSubstr("at most"));
}

TEST(QuantizeTest, GivesTheSameBytesEveryTime) {
  const ModelPackage package = RandomWeights(kSmallNetwork, 1);
  const BitScheme scheme = ParseScheme("w4a8,w2a4,w3a2");
  const QuantizedModel first = MustQuantize(package, true, scheme);
  EXPECT_EQ(Serialize(MustQuantize(package, true, scheme)), Serialize(first));
  EXPECT_EQ(DigestOf(first), Digest::Of(Serialize(first)));
  EXPECT_NE(DigestOf(first), DigestOf(MustQuantize(package, true, ParseScheme("w4a8,w2a4,w3a3"))));
}

TEST(QuantizeTest, OrdersWeightsAlongTheReduction) {
  ModelPackage package = RandomWeights("input x 2x1x3\na = Conv(x) k=1x3 out=1\noutput a", 1);
  // [in][kernel]: channel 0 has taps 1, 2, 3; channel 1 has 4, 5, 127.
  package.weights.layers[0] = {{1, 2, 3, 4, 5, 127}, {0}};
  const QuantizedModel model = MustQuantize(package, true, ParseScheme("w8a8"));
  EXPECT_THAT(model.numbers[0].weights, ElementsAre(1, 4, 2, 5, 3, 127));
}

TEST(QuantizeTest, GivesEveryChannelItsFactorAndBias) {
  ModelPackage package = RandomWeights("input x 1x1x1\na = Conv(x) out=2\noutput a", 1);
  package.weights.layers[0] = {{127, -12.7f}, {1000, 5}};
  Calibration calibration = Calibrate(package, true, 1);
  calibration.groups[0].by_bits[8] = 0.5;
  calibration.groups[1].output_scale = 2.0;
  const auto model = Quantize(package, calibration, ParseScheme("w8a8"));
  ASSERT_TRUE(model.ok()) << model.status();
  const StepNumbers& numbers = model->numbers[0];
  EXPECT_THAT(numbers.weights, ElementsAre(127, -127));
  // 1 * 0.5 / 2 = 1/4: 2^30 * 2^-32, rounding term 2.  0.1 * 0.5 / 2 = 1/40.
  EXPECT_EQ(numbers.scales[0], (FixedPointScale{1 << 30, 0}));
  EXPECT_EQ(numbers.bias[0], 2000 + 2);
  EXPECT_EQ(numbers.scales[1].shift, 4);
  EXPECT_EQ(numbers.bias[1], 100 + 20);
}

TEST(QuantizeTest, ClampsAtTheActivation) {
  const ModelPackage package = RandomWeights(R"(
    input x 2x3x3
    a = Conv(x) out=2 relu
    b = Conv(a) out=2 relu=0.1
    c = Conv(b) out=2
    r = Relu(c) relu=0.2
    d = Conv(r) out=1 relu
    output d)",
                                             1);
  const QuantizedModel model = MustQuantize(package, true, ParseScheme("w8a8,w8a8,w8a8,w8a5"));
  EXPECT_EQ(model.numbers[0].lowest, 0);
  EXPECT_EQ(model.numbers[0].highest, 255);
  EXPECT_EQ(model.numbers[1].highest,
            std::min(255.0, std::floor(static_cast<double>(0.1f) / model.scales[2] + 0.5)));
  EXPECT_EQ(model.numbers[2].lowest, -16);
  EXPECT_EQ(model.numbers[2].highest, 15);
  EXPECT_EQ(model.numbers[3].lowest, 0);
  EXPECT_EQ(model.numbers[3].highest,
            std::min(15.0, std::floor(static_cast<double>(0.2f) / model.scales[4] + 0.5)));
  EXPECT_EQ(model.numbers[4].lowest, 0);
  EXPECT_EQ(model.numbers[4].highest, 32767);
}

TEST(QuantizeTest, GivesTheLargestShiftToAnAdd) {
  const ModelPackage package = RandomWeights(kSmallNetwork, 1);
  const QuantizedModel model = MustQuantize(package, true, ParseScheme("w8a8,w8a8,w8a8"));
  const StepNumbers& add = model.numbers[2];
  const double factor_a = model.scales[1] / model.scales[3];
  const double factor_b = model.scales[2] / model.scales[3];
  const auto reach = [&](int shift) {
    const double unit = std::ldexp(1.0, shift);
    return 255 * (std::round(factor_a * unit) + std::round(factor_b * unit)) + unit / 2;
  };
  EXPECT_EQ(add.multiplier_a, std::round(std::ldexp(factor_a, add.shift)));
  EXPECT_EQ(add.multiplier_b, std::round(std::ldexp(factor_b, add.shift)));
  EXPECT_LE(reach(add.shift), 2147483647.0);
  EXPECT_GT(reach(add.shift + 1), 2147483647.0);
}

TEST(QuantizeTest, GivesAnAveragePoolOneFactorForEachDivisor) {
  const ModelPackage package = RandomWeights(R"(
    input x 1x5x5
    a = AveragePool(x) k=3x2 s=2x1 p=1,1,1,0
    b = AveragePool(x) k=3x2 s=2x1 p=1,1,1,0 include_pad
    c = Add(a, b)
    output c)",
                                             1);
  const QuantizedModel model = MustQuantize(package, true, ParseScheme(""));
  EXPECT_THAT(model.numbers[0].divisors, ElementsAre(2, 3, 4, 6));
  EXPECT_EQ(model.numbers[0].scales.size(), 4u);
  EXPECT_THAT(model.numbers[1].divisors, ElementsAre(6));
}

// A layer with the given weights and bias on an 8-bit input that reaches 1.0.
absl::StatusOr<QuantizedModel> QuantizeLayer(std::vector<float> weights, float bias, int bits) {
  ModelPackage package = RandomWeights(
      "input x " + std::to_string(weights.size()) + "x1x1\na = Conv(x) out=1\noutput a", 1);
  package.weights.layers[0] = {std::move(weights), {bias}};
  return Quantize(package, Calibrate(package, true, 1), BitScheme({{bits, 8}}));
}

TEST(QuantizeTest, GivesZeroAndTinyChannelsALargerScale) {
  for (int bits = 1; bits <= 8; ++bits) {
    for (const float weight : {0.0f, 1e-45f, 1e-30f, 1e-9f}) {
      for (const float bias : {0.0f, 1.0f, -1e6f, 1e-40f}) {
        const auto model = QuantizeLayer({weight, -weight, weight}, bias, bits);
        ASSERT_TRUE(model.ok()) << model.status();
        EXPECT_TRUE(Validate(*model).ok()) << Validate(*model);
        // The network's output is its bias.
        const IntegerTensor output = RunInteger(*model, std::vector<int32_t>{255, 3, 100})->front();
        EXPECT_NEAR(output[0] * model->output_scale(), bias, std::abs(bias) * 1e-4 + 1e-6)
            << bits << " bits, weight " << weight;
      }
    }
  }
}

TEST(QuantizeTest, RefusesAnAccumulatorThatLeavesInt32) {
  const std::vector<float> weights(70'000, 1.0f);
  const auto refused = QuantizeLayer(weights, 0.0f, 8);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("layer 'a'"));
  EXPECT_THAT(refused.status().message(), HasSubstr("2147483647"));
  EXPECT_TRUE(QuantizeLayer(weights, 0.0f, 7).ok());
  EXPECT_TRUE(QuantizeLayer(std::vector<float>(66'000, 1.0f), 0.0f, 8).ok());
}

TEST(QuantizeTest, RefusesACalibrationOfAnotherNetwork) {
  const ModelPackage package = RandomWeights(kSmallNetwork, 1);
  Calibration calibration = Calibrate(package, true, 1);
  const BitScheme scheme = ParseScheme("w8a8,w8a8,w8a8");
  for (const double scale : {0.0, -1.0, 1e300, std::nan("")}) {
    Calibration wrong = calibration;
    wrong.groups[0].by_bits[8] = scale;
    EXPECT_THAT(Quantize(package, wrong, scheme).status().message(), HasSubstr("'x'")) << scale;
  }
  calibration.groups.pop_back();
  EXPECT_EQ(Quantize(package, calibration, scheme).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(BoundAccumulatorTest, IsReachedByTheWorstInput) {
  const auto model = QuantizeLayer({1.0f, 0.5f, 1.0f}, 2.0f, 4);
  ASSERT_TRUE(model.ok());
  const StepNumbers& numbers = model->numbers[0];
  const AccumulatorBound bound = BoundAccumulator(*model, 0);
  const int64_t sum = numbers.weights[0] + numbers.weights[1] + numbers.weights[2];
  EXPECT_EQ(bound.products, 255 * sum);
  EXPECT_EQ(bound.total, 255 * sum + numbers.bias[0]);
}

TEST(BoundAccumulatorTest, CountsBiasAndRoundingTermApart) {
  auto model = QuantizeLayer({1.0f}, 0.0f, 8);
  ASSERT_TRUE(model.ok());
  const int32_t rounding = RoundingTerm(model->numbers[0].scales[0]);
  model->numbers[0].bias[0] = -1000 + rounding;
  const AccumulatorBound bound = BoundAccumulator(*model, 0);
  EXPECT_EQ(bound.total, bound.products + 1000 + rounding);
}

QuantizedModel SmallModel() {
  const std::string network = std::string(kSmallNetwork) + "\n  output pooled = p";
  return MustQuantize(RandomWeights(network, 3), true, ParseScheme("w3a8,w1a4,w8a2"));
}

TEST(ValidateTest, RefusesNumbersOutsideTheirRanges) {
  const QuantizedModel model = SmallModel();
  ASSERT_TRUE(Validate(model).ok()) << Validate(model);
  const auto step = [&](StepKind kind) {
    for (size_t i = 0; i < model.graph.steps.size(); ++i) {
      if (model.graph.steps[i].kind == kind) return i;
    }
    return model.graph.steps.size();
  };
  const size_t conv = step(StepKind::kConv), add = step(StepKind::kAdd);
  const size_t pool = step(StepKind::kAveragePool), max = step(StepKind::kMaxPool);
  const size_t narrow = step(StepKind::kRequantize);
  const auto refuses = [&](auto change) {
    QuantizedModel changed = model;
    change(changed.numbers, changed.scales);
    return !Validate(changed).ok();
  };
  const auto with_first = [](SharedWeights weights, int8_t first) {
    std::vector<int8_t> changed(weights.begin(), weights.end());
    changed[0] = first;
    return SharedWeights(changed);
  };
  const auto without_last = [](SharedWeights weights) {
    return SharedWeights(std::vector<int8_t>(weights.begin(), weights.end() - 1));
  };
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].weights = with_first(n[conv].weights, 4); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].weights = with_first(n[conv].weights, -4); }));
  EXPECT_TRUE(
      refuses([&](auto& n, auto&) { n[conv + 2].weights = with_first(n[conv + 2].weights, 0); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].weights = without_last(n[conv].weights); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].bias.pop_back(); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].scales.pop_back(); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].bias[0] = 2147483647; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].scales[0].multiplier = 1 << 29; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].scales[0].shift = 30; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].scales[0].shift = -31; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].highest = 256; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].lowest = -1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].lowest = n[conv].highest + 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[conv].shift = 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[add].shift = 0; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[add].shift = 31; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[add].multiplier_a = -1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[add].multiplier_b = 2147483647; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[pool].divisors[0] += 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[pool].divisors.clear(); }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[pool].bias[0] += 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[narrow].bias[0] += 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n[max].highest = 1; }));
  EXPECT_TRUE(refuses([&](auto& n, auto&) { n.pop_back(); }));
  EXPECT_TRUE(refuses([&](auto&, auto& s) { s.pop_back(); }));
  EXPECT_TRUE(refuses([&](auto&, auto& s) { s[1] = 0.0; }));
  EXPECT_TRUE(refuses([&](auto&, auto& s) { s[1] = std::nan(""); }));
}

TEST(QuantizedModelFormatTest, ReadsWhatItWritesOnRandomNetworks) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const ModelPackage package = RandomWeights(testing::RandomNetwork(random), seed);
    const BitScheme scheme = testing::RandomScheme(package.graph, false, random);
    const QuantizedModel model = MustQuantize(package, false, scheme, seed);
    const std::string bytes = Serialize(model);
    const auto parsed = ParseQuantizedModel(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->numbers, model.numbers);
    EXPECT_EQ(parsed->scales, model.scales);
    EXPECT_EQ(Serialize(*parsed), bytes);
  }
}

TEST(QuantizedModelFormatTest, ReadsTheDocumentedExample) {
  const std::string bytes = testing::DocumentedExample("quantized-model.md");
  const auto parsed = ParseQuantizedModel(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->graph.tensors[0].shape, (Shape{2, 1, 2}));
  EXPECT_EQ(parsed->graph.steps[0].weight_bits, 4);
  EXPECT_THAT(parsed->numbers[0].weights, ElementsAre(3, -5));
  EXPECT_THAT(parsed->numbers[0].bias, ElementsAre(11));
  EXPECT_THAT(parsed->numbers[0].scales, ElementsAre(FixedPointScale{3 << 29, 0}));
  EXPECT_THAT(parsed->scales, ElementsAre(0.5, 0.25));
  EXPECT_EQ(Serialize(*parsed), bytes);
}

TEST(QuantizedModelFormatTest, RefusesAnotherVersionByName) {
  std::string bytes = Serialize(SmallModel());
  bytes[7] = '1';
  EXPECT_THAT(ParseQuantizedModel(bytes).status().message(),
              HasSubstr("version 1; this program reads version 2"));
}

TEST(QuantizedModelFormatTest, RefusesEveryCutAndAppendedBytes) {
  const std::string bytes = Serialize(SmallModel());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(ParseQuantizedModel(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseQuantizedModel(bytes + '\0').ok());
}

TEST(QuantizedModelFormatTest, RefusesOrSafelyRunsEveryFlippedBit) {
  const QuantizedModel model = SmallModel();
  const std::string bytes = Serialize(model);
  int refused = 0;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto parsed = ParseQuantizedModel(flipped);
    if (!parsed.ok()) {
      ++refused;
      continue;
    }
    // What is accepted is another model in canonical form, and safe to run.
    ASSERT_EQ(Serialize(*parsed), flipped);
    const QuantizedTensor& input = parsed->graph.tensors[parsed->graph.input];
    const IntegerTensor zeros(input.shape.elements(), 0);
    ASSERT_TRUE(RunInteger(*parsed, zeros).ok()) << bit;
  }
  EXPECT_GT(refused, 0);
}

TEST(QuantizedModelFormatTest, RefusesWeightsThatTheGridDoesNotHave) {
  QuantizedModel model = SmallModel();
  std::vector<int8_t> weights(model.numbers[0].weights.begin(), model.numbers[0].weights.end());
  weights[0] = -4;
  model.numbers[0].weights = weights;
  EXPECT_THAT(ParseQuantizedModel(Serialize(model)).status().message(),
              HasSubstr("weight -4 does not exist at 3 bits"));
}

}  // namespace
}  // namespace mico
