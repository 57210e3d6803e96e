// The networks of ../shared/data: float accuracy as in its MANIFEST.md, integers as the oracle's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/random.h"
#include "model/importer.h"
#include "model/onnx_wire.pb.h"
#include "quant/interpreter.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

constexpr double kPercent = 100.0;

class TorchNetworksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = DataFolder(kSourceFolder);
    if (!folder.has_value()) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << "no development data; set MICO_TEST_DATA";
      GTEST_SKIP() << "NOT TESTED: no development data; set MICO_TEST_DATA";
    }
    data_ = *folder;
    auto evaluator = TorchEvaluator::Create();
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = std::move(*evaluator);
  }

  std::string Read(const std::string& name) const {
    const auto bytes = ReadFile(data_ / "models" / name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or("");
  }

  ModelPackage Import(const std::string& name) const {
    auto package = OnnxImporter().Import(Read(name));
    EXPECT_TRUE(package.ok()) << package.status();
    return package.value_or(ModelPackage{});
  }

  // Over val and test together, in percent.
  static double PercentOf(const CalibrationOutcome& outcome) {
    const Score whole =
        CountScore(Metric::kTop1, outcome.float_val.correct + outcome.float_test.correct,
                   outcome.float_val.total + outcome.float_test.total);
    EXPECT_EQ(whole.total, 10'000);
    return kPercent * whole.value;
  }

  void ExpectEqualToOracle(const ModelPackage& package, const Calibration& calibration,
                           const Dataset& dataset, const BitScheme& scheme, int64_t samples) {
    SCOPED_TRACE(scheme.ToString());
    const auto model = Quantize(package, calibration, scheme);
    ASSERT_TRUE(model.ok()) << model.status();
    const auto outputs = evaluator_->IntegerForward(*model, dataset, Split::kTest, 0, samples);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    const std::vector<int32_t>& logits = outputs->front();
    ASSERT_EQ(logits.size(), 10u * samples);
    for (int64_t i = 0; i < samples; ++i) {
      const auto oracle =
          RunInteger(*model, QuantizeInput(*model, dataset.Prepared(Split::kTest, i)));
      ASSERT_TRUE(oracle.ok()) << oracle.status();
      EXPECT_EQ(IntegerTensor(logits.begin() + 10 * i, logits.begin() + 10 * (i + 1)),
                oracle->front());
    }
  }

  // Uniform 8, 4, 2 and, where it may be, 1 bit, then random widths.
  void ExpectExactAtManySchemes(const ModelPackage& package, const Calibration& calibration,
                                const Dataset& dataset, int random_schemes, int64_t samples) {
    const std::vector<int> least = LeastInputBits(package.graph, calibration.input_non_negative);
    for (const int bits : {8, 4, 2, 1}) {
      std::vector<LayerBits> layers;
      for (const int floor : least) layers.push_back({bits, std::max(bits, floor)});
      ExpectEqualToOracle(package, calibration, dataset, BitScheme(layers), samples);
    }
    Random random(17);
    for (int i = 0; i < random_schemes; ++i) {
      std::vector<LayerBits> layers;
      for (const int floor : least) {
        layers.push_back(
            {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(floor, 8))});
      }
      ExpectEqualToOracle(package, calibration, dataset, BitScheme(layers), samples);
    }
  }

  std::filesystem::path data_;
  std::unique_ptr<TorchEvaluator> evaluator_;
};

std::vector<float> TensorValues(const std::string& bytes) {
  onnx_wire::TensorProto tensor;
  EXPECT_TRUE(tensor.ParseFromString(bytes));
  if (tensor.float_data_size() > 0) {
    return {tensor.float_data().begin(), tensor.float_data().end()};
  }
  std::vector<float> values(tensor.raw_data().size() / sizeof(float));
  std::memcpy(values.data(), tensor.raw_data().data(), values.size() * sizeof(float));
  return values;
}

TEST_F(TorchNetworksTest, ResNet20ScoresAsPublishedAndItsIntegersAreTheOracles) {
  const ModelPackage package = Import("resnet20-cifar10/resnet20_cifar10.onnx");
  const auto dataset = LoadCifar10(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();

  const auto outcome = evaluator_->Calibrate(package, *dataset, 256, 1, Metric::kTop1, nullptr);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_DOUBLE_EQ(PercentOf(*outcome), 91.73);
  ExpectExactAtManySchemes(package, outcome->calibration, *dataset, 4, 3);
}

TEST_F(TorchNetworksTest, LeNet5ScoresAsMeasuredAndItsIntegersAreTheOracles) {
  const ModelPackage package = Import("lenet5-mnist/lenet5_mnist.onnx");
  const auto dataset = LoadMnist32(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();

  const auto outcome = evaluator_->Calibrate(package, *dataset, 512, 1, Metric::kTop1, nullptr);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_DOUBLE_EQ(PercentOf(*outcome), 99.07);
  ExpectExactAtManySchemes(package, outcome->calibration, *dataset, 8, 20);
}

TEST_F(TorchNetworksTest, Mnist8ScoresAsMeasuredAndGivesItsPublishedOutputs) {
  const ModelPackage package = Import("mnist-8-cntk/mnist-8.onnx");
  const auto dataset = LoadMnist(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();

  const auto outcome = evaluator_->Calibrate(package, *dataset, 512, 1, Metric::kTop1, nullptr);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_DOUBLE_EQ(PercentOf(*outcome), 98.91);
  for (const int pair : {0, 1, 2}) {
    const std::string folder = "mnist-8-cntk/test_data_set_" + std::to_string(pair);
    const auto outputs =
        evaluator_->FloatForward(package, TensorValues(Read(folder + "/input_0.pb")));
    const std::vector<float> published = TensorValues(Read(folder + "/output_0.pb"));
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    const std::vector<float>& logits = outputs->front();
    ASSERT_EQ(logits.size(), published.size());
    for (size_t i = 0; i < published.size(); ++i) {
      // Relative for the large ones: the logits go up to thousands.
      const double tolerance = 1e-4 * std::max(1.0f, std::fabs(published[i]));
      EXPECT_NEAR(logits[i], published[i], tolerance) << "pair " << pair << ", logit " << i;
    }
  }
  ExpectExactAtManySchemes(package, outcome->calibration, *dataset, 4, 20);
}

// Batch norms between matrices, no activation; the input is a vector.
TEST_F(TorchNetworksTest, TheMlpScoresAsMeasuredAndItsIntegersAreTheOracles) {
  const ModelPackage package = Import("mnist-mlp-onnx2c/mnist-mlp-bn.onnx");
  const auto dataset = LoadMnistFlat(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();

  const auto outcome = evaluator_->Calibrate(package, *dataset, 512, 1, Metric::kTop1, nullptr);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_DOUBLE_EQ(PercentOf(*outcome), 91.89);
  ExpectExactAtManySchemes(package, outcome->calibration, *dataset, 4, 20);
}

TEST_F(TorchNetworksTest, TheNetworkOf14By14ScoresAsMeasuredAndItsIntegersAreTheOracles) {
  const ModelPackage package = Import("mnist-atmega-onnx2c/mnist.simplified.onnx");
  const auto dataset = LoadMnistBinary14(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();

  const auto outcome = evaluator_->Calibrate(package, *dataset, 512, 1, Metric::kTop1, nullptr);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  // MANIFEST.md: 95.6 %.
  EXPECT_DOUBLE_EQ(PercentOf(*outcome), 95.57);
  ExpectExactAtManySchemes(package, outcome->calibration, *dataset, 8, 20);
}

TEST_F(TorchNetworksTest, EightBitsCostLittleAndTheDivergenceGrowsWithFewerBits) {
  const ModelPackage package = Import("lenet5-mnist/lenet5_mnist.onnx");
  const auto dataset = LoadMnist32(data_);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const auto calibrated = evaluator_->Calibrate(package, *dataset, 512, 1, Metric::kTop1, nullptr);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  const std::vector<bool> input_layers = InputLayers(package.graph);
  const std::vector<BitScheme> schemes{BitScheme::Uniform(8, 8, input_layers),
                                       BitScheme::Uniform(4, 4, input_layers),
                                       BitScheme::Uniform(2, 2, input_layers)};

  const auto outcomes = evaluator_->Evaluate(package, calibrated->calibration, *dataset,
                                             {.schemes = schemes, .verify_images = 8}, nullptr);

  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_GT((*outcomes)[0].score.value, calibrated->float_val.value - 0.003);
  EXPECT_LT((*outcomes)[0].divergence, (*outcomes)[1].divergence);
  EXPECT_LT((*outcomes)[1].divergence, (*outcomes)[2].divergence);
}

}  // namespace
}  // namespace mico
