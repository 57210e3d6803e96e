#include "quant/interpreter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MustQuantize;
using testing::ParseScheme;
using testing::RandomInput;
using testing::RandomWeights;
using testing::RunReference;

void ExpectEqualToReference(const QuantizedModel& model, Random& random) {
  const IntegerTensor input = RandomInput(model, random);
  const auto tensors = RunIntegerKeepingAll(model, input);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const std::vector<IntegerTensor> expected = RunReference(model, input);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ((*tensors)[i], expected[i]) << "tensor " << model.graph.tensors[i].name;
  }
}

TEST(InterpreterTest, EqualsTheReferenceOnRandomNetworks) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const std::string network = testing::RandomNetwork(random);
    SCOPED_TRACE(network);
    const bool non_negative = random.Below(2) == 0;
    const ModelPackage package = RandomWeights(network, seed);
    const BitScheme scheme = testing::RandomScheme(package.graph, non_negative, random);
    SCOPED_TRACE(scheme.ToString());
    const QuantizedModel model = MustQuantize(package, non_negative, scheme, seed);
    ASSERT_TRUE(Validate(model).ok()) << Validate(model);
    ExpectEqualToReference(model, random);
    if (HasFatalFailure()) return;
  }
}

TEST(InterpreterTest, EqualsTheReferenceAtEveryPairOfWidths) {
  const ModelPackage package = RandomWeights(R"(
    input x 3x5x7
    a = Conv(x) k=3x3 p=1,1,1,1 out=5 relu
    b = Conv(a) k=3x3 s=2x2 out=7 relu
    c = Conv(b) k=2x3 out=3
    output c)",
                                             7);
  Random random(1);
  for (int weight_bits = 1; weight_bits <= 8; ++weight_bits) {
    for (int input_bits = 1; input_bits <= 8; ++input_bits) {
      const BitScheme scheme = BitScheme::Uniform(weight_bits, input_bits, {false, false, false});
      SCOPED_TRACE(scheme.ToString());
      ExpectEqualToReference(MustQuantize(package, true, scheme), random);
    }
  }
}

TEST(InterpreterTest, EqualsTheReferenceOnNegativeInputs) {
  const ModelPackage package = RandomWeights(R"(
    input x 4x5x5
    a = Conv(x) k=3x3 p=1,1,1,1 g=4 out=8
    m = MaxPool(a) k=3x3 s=2x2 p=1,1,1,1
    b = Conv(m) k=1x1 g=2 out=6
    p = AveragePool(b) k=3x3
    output p)",
                                             3);
  Random random(2);
  for (int bits = 2; bits <= 8; ++bits) {
    const BitScheme scheme = BitScheme::Uniform(bits, bits, {false, false});
    ExpectEqualToReference(MustQuantize(package, false, scheme), random);
  }
}

// A layer whose numbers are written down here, so that the result can be computed by hand.
QuantizedModel HandMadeLayer() {
  QuantizedModel model;
  model.graph.tensors = {{"x", {2, 1, 2}, {8, true}}, {"y", {1, 1, 2}, {16, true}}};
  model.graph.input = 0;
  model.graph.outputs = {{"y", 1}};
  Step step;
  step.name = "y";
  step.inputs = {0};
  step.output = 1;
  step.attributes = ConvAttributes{};
  step.layer = 0;
  step.weight_bits = 8;
  model.graph.steps = {step};
  // 3/8 = 0.75 * 2^31 * 2^-(32 + 0): r = round(2^31 / M) = round(1.33) = 1.
  StepNumbers numbers{.weights = {3, -5},
                      .bias = {10 + 1},
                      .scales = {{3 << 29, 0}},
                      .lowest = -32768,
                      .highest = 32767};
  model.numbers = {numbers};
  model.scales = {0.5, 0.25};
  return model;
}

TEST(InterpreterTest, ComputesAHandMadeLayer) {
  const QuantizedModel model = HandMadeLayer();
  ASSERT_TRUE(Validate(model).ok()) << Validate(model);

  // 3*7 - 5*(-2) + 11 = 42; 42 * 3/8 = 15.75.  3*(-100) - 5*50 + 11 = -539; * 3/8 = -202.125.
  const auto outputs = RunInteger(model, std::vector<int32_t>{7, -2, -100, 50});

  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(*outputs, ElementsAre(ElementsAre(15, -203)));
}

TEST(InterpreterTest, GivesEveryOutputAndJoinsThemInTheirOrder) {
  const ModelPackage package = RandomWeights(R"(
    input x 3x4x4
    a = Conv(x) k=3x3 out=4 relu
    b = Conv(a) k=2x2 out=5
    c = Conv(a) k=1x1 out=2
    output boxes = c
    output b
    output again = c
    output inner = a)",
                                             5);
  const QuantizedModel model = MustQuantize(package, false, ParseScheme("w8a8,w4a4,w4a2"));
  Random random(1);
  const IntegerTensor input = RandomInput(model, random);

  const auto outputs = RunInteger(model, input);

  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->size(), 4u);
  const std::vector<IntegerTensor> expected = RunReference(model, input);
  IntegerTensor joined;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ((*outputs)[i], expected[model.graph.outputs[i].tensor]) << i;
    if (i != 2) joined.insert(joined.end(), (*outputs)[i].begin(), (*outputs)[i].end());
  }
  EXPECT_EQ((*outputs)[0], (*outputs)[2]);
  EXPECT_EQ(JoinOutputs(model.graph, *outputs), joined) << "one tensor lies at one place";
}

TEST(InterpreterTest, RefusesInputsThatAreNotOnTheGrid) {
  const QuantizedModel model = HandMadeLayer();
  EXPECT_THAT(RunInteger(model, std::vector<int32_t>{0, 0, 128, 0}).status().message(),
              HasSubstr("128 is not an s8"));
  EXPECT_THAT(RunInteger(model, std::vector<int32_t>{0, 0}).status().message(),
              HasSubstr("2 elements; needed 4"));
}

TEST(InterpreterTest, MaxPoolIgnoresItsPadding) {
  const ModelPackage package = RandomWeights(R"(
    input x 1x2x2
    m = MaxPool(x) k=2x2 s=1x1 p=1,1,0,0
    c = Conv(m) k=1x1 out=1
    output c)",
                                             1);
  const QuantizedModel model = MustQuantize(package, false, ParseScheme("w8a8"));

  const auto tensors = RunIntegerKeepingAll(model, std::vector<int32_t>{-4, -3, -2, -1});

  ASSERT_TRUE(tensors.ok());
  EXPECT_THAT((*tensors)[1], ElementsAre(-4, -3, -2, -1));
}

TEST(QuantizeInputTest, RoundsHalvesUpAndClamps) {
  const TensorType u4{4, false}, s4{4, true};
  EXPECT_EQ(QuantizeInput(0.5, 1.0, u4), 1);
  EXPECT_EQ(QuantizeInput(-2.5, 1.0, s4), -2);
  EXPECT_EQ(QuantizeInput(-2.51, 1.0, s4), -3);
  EXPECT_EQ(QuantizeInput(-1.0, 1.0, u4), 0);
  EXPECT_EQ(QuantizeInput(1e30, 1e-30, u4), 15);
  EXPECT_EQ(QuantizeInput(-1e30, 1e-30, s4), -8);
  EXPECT_EQ(QuantizeInput(std::numeric_limits<double>::quiet_NaN(), 1.0, s4), 0);
}

TEST(QuantizeInputTest, GivesRowsOfPixelsOfChannels) {
  QuantizedModel model = HandMadeLayer();
  // Channel 0 is 1, 2; channel 1 is 3, 4; the scale is 0.5.
  EXPECT_THAT(QuantizeInput(model, std::vector<float>{1, 2, 3, 4}), ElementsAre(2, 6, 4, 8));
}

TEST(ArgMaxTest, GivesTiesToTheLowerIndex) {
  EXPECT_EQ(ArgMax(std::vector<int32_t>{-5, 3, 7, 7}), 2);
  EXPECT_EQ(ArgMax(std::vector<int32_t>{-5, -5}), 0);
}

}  // namespace
}  // namespace mico
