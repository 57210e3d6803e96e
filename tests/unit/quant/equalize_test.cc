#include "quant/equalize.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using testing::ParseScheme;
using testing::RandomSample;
using testing::RandomWeights;
using testing::RunFloat;

constexpr char kSeparable[] = R"(
  input x 3x6x6
  a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu
  dw = Conv(a) k=3x3 p=1,1,1,1 g=16 out=16 relu
  b = Conv(dw) out=8 relu
  output b)";

// Channels from the first layer to the depthwise one, and from there on, are up to 100 times as
// large as others; the network computes the same.
ModelPackage WithUnequalChannels(const char* network, uint64_t seed) {
  ModelPackage package = RandomWeights(network, seed);
  std::vector<LayerWeights>& layers = package.weights.layers;
  for (int64_t c = 0; c < 16; ++c) {
    const auto factor = static_cast<float>(std::pow(100.0, static_cast<double>(c) / 15.0));
    const auto other =
        static_cast<float>(std::pow(100.0, static_cast<double>((c * 7) % 16) / 15.0));
    const size_t first = layers[0].weights.size() / 16, taps = layers[1].weights.size() / 16;
    for (size_t i = 0; i < first; ++i) layers[0].weights[c * first + i] *= factor;
    layers[0].bias[c] *= factor;
    for (size_t i = 0; i < taps; ++i) layers[1].weights[c * taps + i] *= other / factor;
    layers[1].bias[c] *= other;
    for (size_t out = 0; out < 8; ++out) layers[2].weights[out * 16 + c] /= other;
  }
  return MakeModelPackage(package.graph, package.weights).value();
}

std::vector<double> Outputs(const ModelPackage& package, const std::vector<float>& sample) {
  return RunFloat(package, sample)[package.graph.outputs[0].value];
}

// Of the integers' outputs against the float network's, squared and relative.
double ErrorOf(const ModelPackage& package, const BitScheme& scheme) {
  const QuantizedModel model = testing::MustQuantize(package, true, scheme);
  Random random(77);
  double error = 0.0, total = 0.0;
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> sample = RandomSample(package.graph, true, random);
    const std::vector<double> expected = Outputs(package, sample);
    const auto integers = RunInteger(model, QuantizeInput(model, sample)).value();
    for (size_t j = 0; j < expected.size(); ++j) {
      // Both in the oracle's order: outputs of one position differ in channels alone.
      const Shape& shape = package.graph.values[package.graph.outputs[0].value].shape;
      const size_t plane = shape.height * shape.width;
      const size_t nhwc = j % plane * shape.channels + j / plane;
      const double difference = integers.front()[nhwc] * model.output_scale() - expected[j];
      error += difference * difference;
      total += expected[j] * expected[j];
    }
  }
  return error / total;
}

TEST(EqualizeChannelsTest, LeavesTheFloatNetworkAsItIs) {
  const ModelPackage package = WithUnequalChannels(kSeparable, 1);
  const ModelPackage equalized = EqualizeChannels(package).value();
  EXPECT_NE(equalized.digest, package.digest);
  Random random(3);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> sample = RandomSample(package.graph, true, random);
    EXPECT_EQ(Outputs(equalized, sample), Outputs(package, sample));
  }
}

TEST(EqualizeChannelsTest, GivesDepthwiseChannelsThatDifferAHundredfoldTheirPrecisionBack) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const ModelPackage package = WithUnequalChannels(kSeparable, seed);
    const ModelPackage equalized = EqualizeChannels(package).value();
    const BitScheme scheme = ParseScheme("w8a8,w8a8,w8a8");
    const double even = ErrorOf(RandomWeights(kSeparable, seed), scheme);
    EXPECT_GT(ErrorOf(package, scheme), 20 * even) << seed;
    EXPECT_LT(ErrorOf(equalized, scheme), 4 * even) << seed;
  }
}

TEST(EqualizeChannelsTest, LeavesAloneWhatGainsNothing) {
  const ModelPackage even = RandomWeights(kSeparable, 1);
  EXPECT_EQ(EqualizeChannels(even).value().digest, even.digest);
  // Nothing is depthwise.
  const ModelPackage plain = RandomWeights(R"(
    input x 3x6x6
    a = Conv(x) out=16 relu
    dw = Conv(a) out=16 relu
    b = Conv(dw) out=8
    output b)",
                                           1);
  EXPECT_EQ(EqualizeChannels(plain).value().digest, plain.digest);
}

TEST(EqualizeChannelsTest, StopsAtLimitsOtherReadersAndOutputs) {
  for (const char* network : {
           R"(input x 3x6x6
              a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu=6
              dw = Conv(a) k=3x3 p=1,1,1,1 g=16 out=16 relu=6
              b = Conv(dw) out=8 relu
              output b)",
           R"(input x 3x6x6
              a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu
              dw = Conv(a) k=3x3 p=1,1,1,1 g=16 out=16
              b = Conv(dw) out=8
              s = Add(a, dw)
              output b
              output s)",
           R"(input x 3x6x6
              a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu
              dw = Conv(a) k=3x3 p=1,1,1,1 g=16 out=16
              b = Conv(dw) out=8
              output b
              output a
              output dw)"}) {
    const ModelPackage package = WithUnequalChannels(network, 1);
    EXPECT_EQ(EqualizeChannels(package).value().digest, package.digest) << network;
  }
}

TEST(EqualizeChannelsTest, PassesByChannelsThatAreZeroOrWouldNotScaleExactly) {
  ModelPackage package = WithUnequalChannels(kSeparable, 2);
  std::vector<LayerWeights>& layers = package.weights.layers;
  const size_t first = layers[0].weights.size() / 16;
  std::fill_n(layers[0].weights.begin(), first, 0.0f);
  layers[0].weights[15 * first] = 1e-38f;
  package = MakeModelPackage(package.graph, package.weights).value();
  const ModelPackage equalized = EqualizeChannels(package).value();
  Random random(3);
  const std::vector<float> sample = RandomSample(package.graph, true, random);
  EXPECT_EQ(Outputs(equalized, sample), Outputs(package, sample));
  EXPECT_EQ(equalized.weights.layers[0].weights[15 * first], 1e-38f);
}

}  // namespace
}  // namespace mico
