#include <algorithm>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/text_form.h"
#include "quant/interpreter.h"
#include "quant/reconstruction.h"
#include "tests/support/random_dataset.h"
#include "worker/torch/describe_network.h"
#include "worker/torch/reconstruct.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

constexpr char kResidual[] = R"(
  input x 3x9x9
  a = Conv(x) k=3x3 p=1,1,1,1 out=8 relu
  b = Conv(a) k=3x3 p=1,1,1,1 out=8 relu
  c = Conv(b) k=3x3 p=1,1,1,1 out=8
  s = Add(a, c) relu
  p = AveragePool(s) k=9x9
  d = Conv(p) out=4
  output d)";

// Every operator, and padding that differs between sides.
constexpr char kBranches[] = R"(
  input x 3x9x9
  a = Conv(x) k=3x3 p=0,1,1,0 out=6 relu=6
  m = MaxPool(a) k=2x2 s=2x2
  l = Conv(m) k=3x3 p=1,1,1,1 g=6 out=6 relu
  r = Conv(m) k=3x3 p=2,2,2,2 d=2x2 out=4 relu
  k = Concat(l, r)
  h = AveragePool(k) k=3x3 p=1,1,1,1
  t = Slice(k) step=2,1,1 size=5x4x4
  u = Pad(t) c=2,3
  s = Add(h, u)
  e = Relu(s)
  f = Conv(e) k=4x4 out=4
  output f)";

Dataset Planes(int64_t samples, bool can_be_negative) {
  Dataset dataset =
      RandomDataset({3, 9, 9}, 3, {.samples = samples, .can_be_negative = can_be_negative});
  DrawPlanes(60, 130, 12, dataset);
  return dataset;
}

class TorchReconstructTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto evaluator = TorchEvaluator::Create({.threads = 2, .batch_size = 16});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = std::move(*evaluator);
  }

  // A network calibrated on random data.
  void Use(const char* text, uint64_t seed, const Dataset& dataset) {
    auto package = WithRandomWeights(ParseGraph(text).value(), seed);
    ASSERT_TRUE(package.ok()) << package.status();
    Use(*package, dataset);
  }
  void Use(const ModelPackage& package, const Dataset& dataset) {
    package_ = package;
    dataset_ = dataset;
    // Errors are those of the samples that were learned from.
    dataset_.val = dataset_.train;
    auto outcome = evaluator_->Calibrate(package_, dataset_, 0, 1, Metric::kTop1, nullptr);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    calibration_ = outcome->calibration;
  }

  absl::StatusOr<ReconstructionOutcome> Learn(const LayerBits& bits, int iterations = 150,
                                              const KeepGoing& keep_going = nullptr) const {
    ReconstructionWish wish;
    wish.bits = bits;
    wish.options.threads = 2;
    wish.options.iterations = iterations;
    return Reconstruct(package_, calibration_, dataset_, ChooseSamples(dataset_.train.count, 0, 1),
                       wish, keep_going);
  }

  QuantizedModel Quantized(const std::vector<const Reconstruction*>& learned,
                           const LayerBits& bits) const {
    const BitScheme scheme =
        BitScheme::Uniform(bits.weight_bits, bits.input_bits, InputLayers(package_.graph));
    auto model = Quantize(package_, calibration_, learned, scheme);
    EXPECT_TRUE(model.ok()) << model.status();
    EXPECT_TRUE(Validate(*model).ok()) << Validate(*model);
    return *model;
  }

  // Of the integers' outputs against the float network's, relative.
  double ErrorOf(const QuantizedModel& model) const {
    const int64_t count = dataset_.val.count;
    const auto floats = evaluator_->FloatForward(package_, dataset_, Split::kVal, 0, count).value();
    const auto integers =
        evaluator_->IntegerForward(model, dataset_, Split::kVal, 0, count).value();
    double error = 0.0, power = 0.0;
    for (size_t i = 0; i < floats[0].size(); ++i) {
      const double difference = integers[0][i] * model.output_scale() - floats[0][i];
      error += difference * difference;
      power += static_cast<double>(floats[0][i]) * floats[0][i];
    }
    return error / power;
  }

  void ExpectEqualToOracle(const QuantizedModel& model) const {
    const int64_t count = std::min<int64_t>(dataset_.val.count, 12);
    const auto outputs = evaluator_->IntegerForward(model, dataset_, Split::kVal, 0, count).value();
    for (int64_t i = 0; i < count; ++i) {
      const auto oracle =
          RunInteger(model, QuantizeInput(model, dataset_.Prepared(Split::kVal, i))).value();
      const auto width = static_cast<int64_t>(oracle[0].size());
      const auto begin = outputs[0].begin() + i * width;
      EXPECT_EQ(IntegerTensor(begin, begin + width), oracle[0]) << i;
    }
  }

  std::unique_ptr<TorchEvaluator> evaluator_;
  ModelPackage package_;
  Dataset dataset_;
  Calibration calibration_;
};

TEST_F(TorchReconstructTest, BlocksEndWhereOneTensorIsAlive) {
  Use(kResidual, 1, RandomDataset({3, 9, 9}, 3));
  const QuantizedModel model = Quantized({}, {4, 4});
  const std::vector<TrainedBlock> blocks = FindBlocks(model.graph);
  // The first layer; the residual block; the pool with the last layer.
  ASSERT_EQ(blocks.size(), 3u);
  const auto name = [&](int tensor) { return model.graph.tensors[tensor].name; };
  EXPECT_EQ(name(blocks[0].input), "x");
  EXPECT_EQ(name(blocks[0].outputs.at(0)), "a");
  EXPECT_EQ(name(blocks[1].input), "a");
  EXPECT_EQ(name(blocks[1].outputs.at(0)), "s");
  EXPECT_EQ(name(blocks[2].input), "s");
  EXPECT_EQ(name(blocks[2].outputs.at(0)), "d");
  EXPECT_EQ(blocks[0].first, 0);
  EXPECT_EQ(blocks[2].last, static_cast<int>(model.graph.steps.size()));
  for (size_t i = 1; i < blocks.size(); ++i) EXPECT_EQ(blocks[i].first, blocks[i - 1].last);
}

TEST_F(TorchReconstructTest, WhatIsLearnedIsNearerToTheFloatNetworkAndEqualsTheOracle) {
  for (const char* network : {kResidual, kBranches}) {
    for (const bool negative : {true, false}) {
      Use(network, 1, Planes(100, negative));
      for (const LayerBits bits : {LayerBits{4, 4}, LayerBits{2, 8}, LayerBits{2, 4}}) {
        SCOPED_TRACE(BitScheme({bits}).ToString());
        const auto outcome = Learn(bits, 120);
        ASSERT_TRUE(outcome.ok()) << outcome.status();
        const QuantizedModel learned = Quantized({&outcome->reconstruction}, bits);
        EXPECT_LT(ErrorOf(learned), ErrorOf(Quantized({}, bits)));
        ExpectEqualToOracle(learned);
        for (size_t i = 0; i < outcome->errors_before.size(); ++i) {
          EXPECT_LE(outcome->errors_after[i], outcome->errors_before[i]) << "block " << i;
        }
      }
    }
  }
}

TEST_F(TorchReconstructTest, WhatIsTrainedIsWhatTheIntegersDo) {
  for (const char* network : {kResidual, kBranches}) {
    Use(network, 2, Planes(100, true));
    for (const LayerBits bits : {LayerBits{3, 8}, LayerBits{8, 8}, LayerBits{8, 4}}) {
      SCOPED_TRACE(BitScheme({bits}).ToString());
      const auto outcome = Learn(bits, 50);
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      const double integers = ErrorOf(Quantized({&outcome->reconstruction}, bits));
      const double simulated = outcome->errors_after.back();
      // Requantization rounds some values to the neighbour of the simulation's.
      EXPECT_NEAR(integers, simulated, 0.2 * simulated);
    }
  }
}

TEST_F(TorchReconstructTest, TheSameSeedGivesTheSameBytes) {
  Use(kResidual, 1, RandomDataset({3, 9, 9}, 3));
  const auto first = Learn({2, 4}, 20), second = Learn({2, 4}, 20);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(Serialize(first->reconstruction), Serialize(second->reconstruction));
  const auto parsed = ParseReconstruction(Serialize(first->reconstruction));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
}

TEST_F(TorchReconstructTest, LayersOfTheInputKeepEightBitsAndOtherScalesAreLearned) {
  Use(kResidual, 1, RandomDataset({3, 9, 9}, 3));
  const auto outcome = Learn({4, 4}, 10);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  const Reconstruction& learned = outcome->reconstruction;
  ASSERT_EQ(learned.layers.size(), 4u);
  EXPECT_EQ(learned.layers[0].bits, (LayerBits{4, 8}));
  EXPECT_EQ(learned.layers[1].bits, (LayerBits{4, 4}));
  // Of a, b and p, which layers read at 4 bits.
  EXPECT_EQ(learned.scales.size(), 3u);
  EXPECT_THAT(Learn({4, 8}, 10)->reconstruction.scales, ::testing::IsEmpty());
}

TEST_F(TorchReconstructTest, AnUnwantedResultIsCancelled) {
  Use(kResidual, 1, RandomDataset({3, 9, 9}, 3));
  double last = 0.0;
  const auto stop = [&](double share) {
    EXPECT_GE(share, last);
    last = share;
    return share < 0.5;
  };
  EXPECT_TRUE(absl::IsCancelled(Learn({4, 4}, 40, stop).status()));
  EXPECT_LT(last, 0.7);
}

TEST_F(TorchReconstructTest, DeadChannelsConstantDataAndFewSamplesDoNoHarm) {
  ModelPackage package = WithRandomWeights(ParseGraph(kResidual).value(), 1).value();
  std::vector<LayerWeights>& layers = package.weights.layers;
  // A channel without weights; a ReLU that never opens; a layer that says nothing.
  std::fill_n(layers[0].weights.begin(), 27, 0.0f);
  layers[1].bias.assign(layers[1].bias.size(), -1e6f);
  std::fill(layers[3].weights.begin(), layers[3].weights.end(), 0.0f);
  package = MakeModelPackage(package.graph, package.weights).value();
  Dataset dataset = RandomDataset({3, 9, 9}, 3);
  // One class, one colour, fewer samples than a batch.
  dataset.train.count = 5;
  dataset.train.labels.assign(5, 0);
  dataset.train.bytes.assign(size_t{5} * 243, 7);
  Use(package, dataset);
  for (const LayerBits bits : {LayerBits{4, 4}, LayerBits{2, 2}, LayerBits{1, 8}}) {
    const auto outcome = Learn(bits, 30);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    const auto parsed = ParseReconstruction(Serialize(outcome->reconstruction));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ExpectEqualToOracle(Quantized({&*parsed}, bits));
  }
}

}  // namespace
}  // namespace mico
