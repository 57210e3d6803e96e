#include "quant/reconstruction.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/weight_grid.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using testing::Calibrate;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ParseScheme;
using testing::RandomWeights;

constexpr char kNetwork[] = R"(
  input x 2x4x4
  a = Conv(x) k=3x3 p=1,1,1,1 out=3 relu
  b = Conv(a) k=3x3 p=1,1,1,1 out=4 relu
  c = Conv(b) out=2
  output c)";

// What the fast rule gives for each layer, spelled as something learned, with other biases.
Reconstruction Spelled(const ModelPackage& package, const LayerBits& bits) {
  Reconstruction reconstruction;
  for (size_t i = 0; i < package.weights.layers.size(); ++i) {
    const LayerWeights& layer = package.weights.layers[i];
    ReconstructedLayer& learned = reconstruction.layers.emplace_back();
    learned.layer = static_cast<int>(i);
    learned.bits = {bits.weight_bits, i == 0 ? 8 : bits.input_bits};
    const size_t size = layer.weights.size() / layer.bias.size();
    for (size_t out = 0; out < layer.bias.size(); ++out) {
      const auto weights = std::span(layer.weights).subspan(out * size, size);
      const double scale = ChooseWeightScale(weights, bits.weight_bits);
      for (const float weight : weights) {
        learned.weights.push_back(QuantizeWeight(weight, scale, bits.weight_bits));
      }
      learned.scales.push_back(scale);
      learned.biases.push_back(layer.bias[out]);
    }
  }
  return reconstruction;
}

QuantizedModel With(const ModelPackage& package, const Calibration& calibration,
                    const std::vector<const Reconstruction*>& reconstructions, const char* scheme) {
  const auto model = Quantize(package, calibration, reconstructions, ParseScheme(scheme));
  EXPECT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(Validate(*model).ok()) << Validate(*model);
  return *model;
}

class ReconstructionTest : public ::testing::Test {
 protected:
  ReconstructionTest() { calibration_.input_means.clear(); }

  std::string Refusal(const Reconstruction& reconstruction) const {
    const std::vector<const Reconstruction*> all{&reconstruction};
    return std::string(
        Quantize(package_, calibration_, all, ParseScheme("w4a8,w4a4,w4a4")).status().message());
  }

  const ModelPackage package_ = RandomWeights(kNetwork, 1);
  Calibration calibration_ = Calibrate(package_, true, 1);
  Reconstruction learned_ = Spelled(package_, {4, 4});
};

TEST_F(ReconstructionTest, TheFastRuleSpelledOutGivesTheFastRule) {
  const QuantizedModel fast = With(package_, calibration_, {}, "w4a8,w4a4,w4a4");
  const QuantizedModel spelled = With(package_, calibration_, {&learned_}, "w4a8,w4a4,w4a4");
  EXPECT_EQ(DigestOf(spelled), DigestOf(fast));
}

TEST_F(ReconstructionTest, LayersAtItsWidthsUseItAndOthersDoNot) {
  for (ReconstructedLayer& layer : learned_.layers) {
    for (int8_t& weight : layer.weights) weight = 1;
  }
  const QuantizedModel fast = With(package_, calibration_, {}, "w4a8,w3a4,w4a4");
  const QuantizedModel mixed = With(package_, calibration_, {&learned_}, "w4a8,w3a4,w4a4");
  EXPECT_THAT(mixed.numbers[0].weights, ::testing::Each(1));
  EXPECT_EQ(mixed.numbers[1].weights, fast.numbers[1].weights);
  EXPECT_THAT(mixed.numbers[2].weights, ::testing::Each(1));
}

TEST_F(ReconstructionTest, OfSeveralTheFirstThatHasALayerCounts) {
  Reconstruction other = learned_;
  for (ReconstructedLayer& layer : other.layers) {
    for (int8_t& weight : layer.weights) weight = 2;
  }
  learned_.layers.erase(learned_.layers.begin());
  for (int8_t& weight : learned_.layers[0].weights) weight = 1;
  const QuantizedModel model = With(package_, calibration_, {&learned_, &other}, "w4a8,w4a4,w4a4");
  EXPECT_THAT(model.numbers[0].weights, ::testing::Each(2));
  EXPECT_THAT(model.numbers[1].weights, ::testing::Each(1));
}

TEST_F(ReconstructionTest, AGroupHasTheScaleThatItsFirstReaderLearned) {
  Reconstruction other = Spelled(package_, {2, 4});
  learned_.scales = {{1, 4, 0.5}, {2, 4, 0.25}};
  other.scales = {{1, 4, 0.75}, {2, 4, 0.125}};
  const std::vector<const Reconstruction*> both{&learned_, &other};
  const auto scales = [&](const char* scheme) {
    return With(package_, calibration_, both, scheme).scales;
  };
  EXPECT_EQ(scales("w4a8,w4a4,w2a4")[1], 0.5);
  EXPECT_EQ(scales("w4a8,w4a4,w2a4")[2], 0.125);
  EXPECT_EQ(scales("w4a8,w2a4,w4a4")[1], 0.75);
  EXPECT_EQ(scales("w4a8,w2a8,w4a4")[1], calibration_.groups[1].by_bits[8]);
  EXPECT_EQ(scales("w4a8,w8a4,w8a4")[1], calibration_.groups[1].by_bits[4]);
  // Learned for layers that are at other widths.
  EXPECT_EQ(scales("w8a8,w3a4,w4a3")[2], calibration_.groups[2].by_bits[3]);
}

TEST_F(ReconstructionTest, AChannelThatWouldOverflowIsQuantizedAsWithout) {
  const QuantizedModel fast = With(package_, calibration_, {}, "w4a8,w4a4,w4a4");
  learned_.layers[1].biases[2] = 1e12;
  learned_.layers[2].scales[0] = 1e-30;
  const QuantizedModel model = With(package_, calibration_, {&learned_}, "w4a8,w4a4,w4a4");
  EXPECT_EQ(DigestOf(model), DigestOf(fast));
}

TEST_F(ReconstructionTest, OneOfAnotherNetworkIsRefused) {
  Reconstruction other = learned_;
  other.layers[2].layer = 3;
  EXPECT_THAT(Refusal(other), HasSubstr("layer 3"));
  other = learned_;
  other.layers[1].weights.pop_back();
  EXPECT_THAT(Refusal(other), HasSubstr("107 weights"));
  other = learned_;
  other.scales = {{4, 4, 1.0}};
  EXPECT_THAT(Refusal(other), HasSubstr("group 4"));
  EXPECT_EQ(Refusal(learned_), "");
}

TEST_F(ReconstructionTest, ReadsWhatItWrites) {
  for (int weight_bits = 1; weight_bits <= 8; ++weight_bits) {
    Reconstruction learned = Spelled(package_, {weight_bits, 3});
    learned.scales = {{1, 3, 0.5}, {1, 4, 0.5}, {3, 3, 0.25}};
    const std::string bytes = Serialize(learned);
    const auto parsed = ParseReconstruction(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(Serialize(*parsed), bytes);
    EXPECT_EQ(parsed->layers[1].weights, learned.layers[1].weights);
    EXPECT_EQ(parsed->layers[2].biases, learned.layers[2].biases);
  }
}

TEST_F(ReconstructionTest, ReadsTheDocumentedExample) {
  const std::string bytes = testing::DocumentedExample("reconstruction.md");
  const auto parsed = ParseReconstruction(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->layers.size(), 1u);
  EXPECT_EQ(parsed->layers[0].bits, (LayerBits{4, 8}));
  EXPECT_THAT(parsed->layers[0].weights, ElementsAre(3, -5));
  EXPECT_THAT(parsed->layers[0].scales, ElementsAre(0.5));
  EXPECT_THAT(parsed->layers[0].biases, ElementsAre(-1.5));
  ASSERT_EQ(parsed->scales.size(), 1u);
  EXPECT_EQ(parsed->scales[0].group, 1);
  EXPECT_EQ(parsed->scales[0].bits, 4);
  EXPECT_EQ(Serialize(*parsed), bytes);
}

TEST_F(ReconstructionTest, RefusesEveryCutAppendedByteAndTurnedBitThatIsNotItself) {
  learned_.scales = {{1, 4, 0.5}};
  learned_.layers.erase(learned_.layers.begin());
  const std::string bytes = Serialize(learned_);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseReconstruction(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseReconstruction(bytes + '\0').ok());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string turned = bytes;
    turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ (1 << (bit % 8)));
    const auto parsed = ParseReconstruction(turned);
    if (parsed.ok()) EXPECT_EQ(Serialize(*parsed), turned) << bit;
  }
}

TEST_F(ReconstructionTest, RefusesNumbersThatCannotBe) {
  const auto refusal = [&](auto change) {
    Reconstruction changed = learned_;
    change(changed);
    return std::string(ParseReconstruction(Serialize(changed)).status().message());
  };
  const double kNan = std::nan("");
  EXPECT_EQ(refusal([](auto&) {}), "");
  EXPECT_THAT(refusal([&](auto& r) { r.layers[0].scales[1] = kNan; }), HasSubstr("scale"));
  EXPECT_THAT(refusal([](auto& r) { r.layers[0].scales[1] = 0.0; }), HasSubstr("scale"));
  EXPECT_THAT(refusal([&](auto& r) { r.layers[0].biases[1] = kNan; }), HasSubstr("bias"));
  EXPECT_THAT(refusal([](auto& r) { r.layers[0].weights[1] = -8; }), HasSubstr("grid"));
  EXPECT_THAT(refusal([](auto& r) { r.layers[1].layer = 0; }), HasSubstr("ascending"));
  EXPECT_THAT(refusal([](auto& r) { r.layers[1].bits.input_bits = 9; }), HasSubstr("width"));
  EXPECT_THAT(refusal([](auto& r) {
                r.scales = {{2, 4, 1.0}, {1, 4, 1.0}};
              }),
              HasSubstr("ascending"));
  EXPECT_THAT(refusal([](auto& r) { r.scales = {{2, 4, -1.0}}; }), HasSubstr("scale"));
}

}  // namespace
}  // namespace mico
