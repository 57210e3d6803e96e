// The batched evaluation and the oracle give equal integers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "fmt/format.h"
#include "model/text_form.h"
#include "quant/interpreter.h"
#include "tests/support/random_dataset.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kResidual = R"(
  input x 3x9x9
  conv1 = Conv(x) k=3x3 p=1,1,1,1 out=16 relu
  dw = Conv(conv1) k=3x3 p=1,1,1,1 g=16 out=16 relu=6
  pw = Conv(dw) k=1x1 out=16
  sum = Add(conv1, pw) relu
  down = Conv(sum) k=3x3 s=2x2 p=1,1,1,1 out=24
  half = Slice(sum) start=0,0,0 step=1,2,2 size=16x5x5
  wide = Pad(half) c=4,4 p=0,0,0,0
  sum2 = Add(down, wide)
  pool = AveragePool(sum2) k=5x5
  fc = Conv(pool) k=1x1 out=5
  output fc
)";

constexpr std::string_view kBranches = R"(
  input x 2x11x7
  a = Conv(x) k=3x3 s=2x1 p=0,1,1,1 out=7 relu
  b = Conv(x) k=5x3 s=2x1 p=1,1,2,1 out=6
  both = Concat(a, b)
  bent = Relu(both)
  most = MaxPool(bent) k=3x3 s=2x2 p=1,1,1,1
  mean = AveragePool(most) k=3x3 s=2x2 p=1,1,1,1
  flat = AveragePool(mean) k=2x2 p=1,0,1,0 include_pad
  c = Conv(flat) k=3x1 g=1 out=9 relu
  fc = Conv(c) k=1x1 out=4
  output fc
)";

// Moves only after its last layer: the output is written by a requantization.
constexpr std::string_view kEndsWithPool = R"(
  input x 1x8x8
  a = Conv(x) k=3x3 d=2x2 p=2,2,2,2 out=5
  b = Conv(a) k=4x4 s=4x4 out=3
  top = MaxPool(b) k=2x2
  output top
)";

// Outputs of different shapes and signs: the last layer, one that is read inside, a moved copy of
// it, and the first under another name.
constexpr std::string_view kSeveralOutputs = R"(
  input x 2x9x9
  a = Conv(x) k=3x3 p=1,1,1,1 out=6 relu
  m = MaxPool(a) k=3x3 s=3x3
  b = Conv(a) k=3x3 s=2x2 out=7
  fc = Conv(b) k=4x4 out=4
  boxes = Conv(m) k=1x1 out=3
  output fc
  output inner = b
  output moved = m
  output boxes
  output same = fc
)";

// A one-dimensional network: signals are images of one row.
constexpr std::string_view kSignals = R"(
  input x 3x1x40
  a = Conv(x) k=1x5 s=1x2 p=0,2,0,2 out=8 relu
  dw = Conv(a) k=1x3 d=1x2 p=0,2,0,2 g=8 out=8 relu=6
  m = MaxPool(dw) k=1x2 s=1x2
  p = AveragePool(dw) k=1x2 s=1x2
  both = Concat(m, p)
  b = Conv(both) k=1x3 out=6 relu
  mean = AveragePool(b) k=1x8
  fc = Conv(mean) k=1x1 out=4
  output fc
  output b
)";

class TorchIntegerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto evaluator =
        TorchEvaluator::Create({.threads = 2, .batch_size = 8, .integer_batch_size = 8});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = std::move(*evaluator);
  }

  static ModelPackage Network(std::string_view text, uint64_t seed) {
    auto graph = ParseGraph(text);
    EXPECT_TRUE(graph.ok()) << graph.status();
    auto package = WithRandomWeights(*graph, seed);
    EXPECT_TRUE(package.ok()) << package.status();
    return *package;
  }

  Calibration Calibrated(const ModelPackage& package, const Dataset& dataset) {
    auto outcome = evaluator_->Calibrate(package, dataset, 200, 1, Metric::kTop1, nullptr);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome->calibration;
  }

  // Compares every element of every output of `count` samples; gives how many were compared.
  int64_t ExpectEqualToOracle(const QuantizedModel& model, const Dataset& dataset, int64_t count) {
    const auto outputs = evaluator_->IntegerForward(model, dataset, Split::kVal, 0, count);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    if (!outputs.ok()) return 0;
    int64_t compared = 0;
    for (int64_t sample = 0; sample < count; ++sample) {
      const auto oracle =
          RunInteger(model, QuantizeInput(model, dataset.Prepared(Split::kVal, sample)));
      EXPECT_TRUE(oracle.ok()) << oracle.status();
      if (!oracle.ok()) return 0;
      EXPECT_EQ(oracle->size(), outputs->size());
      for (size_t i = 0; i < oracle->size(); ++i) {
        const auto width = static_cast<int64_t>((*oracle)[i].size());
        const auto begin = (*outputs)[i].begin() + sample * width;
        EXPECT_EQ(IntegerTensor(begin, begin + width), (*oracle)[i])
            << "sample " << sample << ", output " << model.graph.outputs[i].name;
        compared += width;
      }
    }
    return compared;
  }

  // Every width from 1 to 8 wherever it may stand.
  static BitScheme RandomScheme(const Graph& graph, bool input_non_negative, Random& random) {
    std::vector<LayerBits> layers;
    for (const int least : LeastInputBits(graph, input_non_negative)) {
      layers.push_back(
          {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(least, 8))});
    }
    return BitScheme(layers);
  }

  void ExpectExactAtRandomSchemes(const ModelPackage& package, const Dataset& dataset, int schemes,
                                  int64_t samples) {
    const Calibration calibration = Calibrated(package, dataset);
    Random random(99);
    for (int i = 0; i < schemes; ++i) {
      const BitScheme scheme = RandomScheme(package.graph, calibration.input_non_negative, random);
      const auto model = Quantize(package, calibration, scheme);
      ASSERT_TRUE(model.ok()) << model.status();
      SCOPED_TRACE(scheme.ToString());
      ASSERT_GT(ExpectEqualToOracle(*model, dataset, samples), 0);
    }
  }

  std::unique_ptr<TorchEvaluator> evaluator_;
};

TEST_F(TorchIntegerTest, ResidualNetworkEqualsTheOracleAtRandomSchemes) {
  for (const bool negative : {true, false}) {
    const Dataset dataset = RandomDataset({3, 9, 9}, 3, {.can_be_negative = negative});
    ExpectExactAtRandomSchemes(Network(kResidual, 1), dataset, 25, 20);
  }
}

TEST_F(TorchIntegerTest, BranchesPoolsAndUnevenPaddingEqualTheOracle) {
  const Dataset dataset = RandomDataset({2, 11, 7}, 4, {.is_uint8 = false});
  ExpectExactAtRandomSchemes(Network(kBranches, 2), dataset, 25, 20);
}

TEST_F(TorchIntegerTest, NetworkThatEndsWithoutArithmeticEqualsTheOracle) {
  const Dataset dataset = RandomDataset({1, 8, 8}, 5);
  ExpectExactAtRandomSchemes(Network(kEndsWithPool, 3), dataset, 10, 20);
}

TEST_F(TorchIntegerTest, EveryOneOfSeveralOutputsEqualsTheOracle) {
  for (const bool negative : {true, false}) {
    const Dataset dataset = RandomDataset({2, 9, 9}, 3, {.can_be_negative = negative});
    ExpectExactAtRandomSchemes(Network(kSeveralOutputs, 3), dataset, 10, 20);
  }
}

TEST_F(TorchIntegerTest, FloatOutputsAreThoseOfOneOutputEach) {
  const Dataset dataset = RandomDataset({2, 9, 9}, 3);
  const ModelPackage package = Network(kSeveralOutputs, 3);
  const auto together = evaluator_->FloatForward(package, dataset, Split::kVal, 0, 20);
  ASSERT_TRUE(together.ok()) << together.status();
  ASSERT_EQ(together->size(), package.graph.outputs.size());
  for (size_t i = 0; i < together->size(); ++i) {
    Graph graph = package.graph;
    graph.outputs = {package.graph.outputs[i]};
    const ModelPackage single = *MakeModelPackage(graph, package.weights);
    const auto alone = evaluator_->FloatForward(single, dataset, Split::kVal, 0, 20);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ((*together)[i], (*alone)[0]) << graph.outputs[0].name;
  }
}

TEST_F(TorchIntegerTest, TheFirstOutputIsTheOneThatIsScored) {
  const Dataset dataset = RandomDataset({2, 9, 9}, 4);
  const ModelPackage package = Network(kSeveralOutputs, 3);
  Graph graph = package.graph;
  graph.outputs = {package.graph.outputs[0]};
  const ModelPackage single = *MakeModelPackage(graph, package.weights);
  // Widths at which the additional readers do not change what is stored.
  const std::vector<BitScheme> schemes{*BitScheme::Parse("w4a8,w2a8,w4a8,w8a8")};

  const auto several = evaluator_->Evaluate(package, Calibrated(package, dataset), dataset,
                                            {.schemes = schemes}, nullptr);
  const auto one = evaluator_->Evaluate(single, Calibrated(single, dataset), dataset,
                                        {.schemes = schemes}, nullptr);

  ASSERT_TRUE(several.ok() && one.ok()) << several.status() << one.status();
  EXPECT_EQ((*several)[0].score, (*one)[0].score);
  EXPECT_EQ((*several)[0].divergence, (*one)[0].divergence);
}

TEST_F(TorchIntegerTest, OneDimensionalNetworksEqualTheOracle) {
  // As a (N, 3, 40) array is read, whose samples could be images of one channel too.
  const Dataset dataset = RandomDataset({1, 3, 40}, 5);
  ExpectExactAtRandomSchemes(Network(kSignals, 4), dataset, 10, 20);
}

TEST_F(TorchIntegerTest, SamplesAreReadInTheShapeOfTheNetwork) {
  Dataset dataset = RandomDataset({1, 3, 40}, 5);
  const ModelPackage package = Network(kSignals, 4);
  const auto as_images = evaluator_->FloatForward(package, dataset, Split::kVal, 0, 10);
  dataset.sample_shape = {3, 1, 40};
  const auto as_signals = evaluator_->FloatForward(package, dataset, Split::kVal, 0, 10);
  ASSERT_TRUE(as_images.ok() && as_signals.ok()) << as_images.status() << as_signals.status();
  EXPECT_EQ(*as_images, *as_signals);
  dataset.sample_shape = {1, 40, 3};
  EXPECT_THAT(evaluator_->FloatForward(package, dataset, Split::kVal, 0, 10).status().message(),
              HasSubstr("samples are 1x40x3; the network reads 3x1x40"));
}

// One layer with extreme weights, so wide that float32 alone cannot hold its sums.
ModelPackage WideLayer(int64_t inputs) {
  auto graph =
      ParseGraph(fmt::format("input x {}x1x1\nfc = Conv(x) k=1x1 out=3\noutput fc", inputs));
  Weights weights;
  weights.layers.push_back({std::vector<float>(3 * inputs), {0.0f, 1.0f, -1.0f}});
  Random random(6);
  // One sign for a channel, so that the sum comes near its bound.
  for (int64_t i = 0; i < 3 * inputs; ++i) {
    weights.layers[0].weights[i] = static_cast<float>(0.8 + 0.2 * random.Unit());
  }
  return *MakeModelPackage(*graph, weights);
}

Dataset BrightSamples(int64_t inputs) {
  Dataset dataset = RandomDataset({inputs, 1, 1}, 7, {.can_be_negative = false});
  for (SplitData* split : {&dataset.train, &dataset.val}) {
    for (uint8_t& value : split->bytes) value = static_cast<uint8_t>(200 + value % 56);
  }
  return dataset;
}

TEST_F(TorchIntegerTest, SumsBeyondFloatAreExactInTwoParts) {
  const ModelPackage package = WideLayer(1000);
  const Dataset dataset = BrightSamples(1000);
  const auto model = Quantize(package, Calibrated(package, dataset), *BitScheme::Parse("w8a8"));
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_GT(BoundAccumulator(*model, 0).products, 1 << 24);

  EXPECT_GT(ExpectEqualToOracle(*model, dataset, 20), 0);
}

TEST_F(TorchIntegerTest, SumsBeyondTwoFloatPartsAreExactInDouble) {
  const ModelPackage package = WideLayer(12'000);
  const Dataset dataset = BrightSamples(12'000);
  const auto model = Quantize(package, Calibrated(package, dataset), *BitScheme::Parse("w8a8"));
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_GT(BoundAccumulator(*model, 0).products, int64_t{12'000} * 7 * 255 * 8);

  EXPECT_GT(ExpectEqualToOracle(*model, dataset, 5), 0);
}

TEST_F(TorchIntegerTest, OutcomesDoNotDependOnThreadsOrBatches) {
  const ModelPackage package = Network(kResidual, 1);
  const Dataset dataset = RandomDataset({3, 9, 9}, 3);
  const Calibration calibration = Calibrated(package, dataset);
  const std::vector<BitScheme> schemes{*BitScheme::Parse("w8a8,w8a8,w8a8,w8a8,w8a8"),
                                       *BitScheme::Parse("w2a8,w2a3,w4a4,w3a5,w7a6")};
  const auto other =
      TorchEvaluator::Create({.threads = 1, .batch_size = 40, .integer_batch_size = 40});
  ASSERT_TRUE(other.ok()) << other.status();

  const auto first =
      evaluator_->Evaluate(package, calibration, dataset, {.schemes = schemes}, nullptr);
  const auto second =
      (*other)->Evaluate(package, calibration, dataset, {.schemes = schemes}, nullptr);

  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  for (size_t i = 0; i < schemes.size(); ++i) {
    ASSERT_TRUE((*first)[i].status.ok()) << (*first)[i].status;
    EXPECT_EQ((*first)[i].score, (*second)[i].score);
    EXPECT_EQ((*first)[i].model_digest, (*second)[i].model_digest);
    EXPECT_NEAR((*first)[i].divergence, (*second)[i].divergence, 1e-5 * (*first)[i].divergence);
  }
  EXPECT_LT((*first)[0].divergence, (*first)[1].divergence);
}

TEST_F(TorchIntegerTest, CalibrationIsTheSameBytesForAnyThreadsAndKnowsWhatLayersRead) {
  const ModelPackage package = Network(kResidual, 1);
  const Dataset dataset = RandomDataset({3, 9, 9}, 3);
  std::vector<std::string> bytes;
  Calibration calibration;
  for (const int threads : {1, 2, 3}) {
    const auto evaluator = TorchEvaluator::Create({.threads = threads, .batch_size = 7});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    const auto outcome = (*evaluator)->Calibrate(package, dataset, 50, 1, Metric::kTop1, nullptr);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    calibration = outcome->calibration;
    bytes.push_back(Serialize(calibration));
  }
  EXPECT_EQ(bytes[1], bytes[0]);
  EXPECT_EQ(bytes[2], bytes[0]);

  std::vector<double> sums(3);
  const std::vector<int64_t> samples = ChooseSamples(dataset.train.count, 50, 1);
  for (const int64_t sample : samples) {
    const std::vector<float> values = dataset.Prepared(Split::kTrain, sample);
    for (size_t i = 0; i < values.size(); ++i) sums[i / 81] += values[i];
  }
  ASSERT_EQ(calibration.input_means.size(), package.graph.QuantizedLayers().size());
  for (size_t c = 0; c < sums.size(); ++c) {
    EXPECT_NEAR(calibration.input_means[0][c], sums[c] / 81 / static_cast<double>(samples.size()),
                1e-5);
  }
}

TEST_F(TorchIntegerTest, SchemesThatShareAPrefixGetWhatEachGetsAlone) {
  const ModelPackage package = Network(kResidual, 1);
  const Dataset dataset = RandomDataset({3, 9, 9}, 3);
  const Calibration calibration = Calibrated(package, dataset);
  // Later and earlier layers change in turn, so that what is shared grows and shrinks; one twice.
  std::vector<BitScheme> schemes;
  for (const std::string_view text :
       {"w8a8,w8a8,w8a8,w8a8,w8a8", "w8a8,w8a8,w8a8,w8a8,w2a8", "w8a8,w8a8,w8a8,w4a8,w8a8",
        "w8a8,w8a8,w8a8,w4a8,w8a8", "w8a8,w8a8,w8a8,w4a4,w8a3", "w8a8,w4a8,w8a8,w8a8,w8a8",
        "w8a8,w4a8,w8a8,w8a2,w8a8", "w8a4,w4a8,w8a8,w8a8,w8a8", "w8a4,w4a8,w3a3,w8a8,w8a8"}) {
    schemes.push_back(*BitScheme::Parse(text));
  }

  const auto together =
      evaluator_->Evaluate(package, calibration, dataset, {.schemes = schemes}, nullptr);

  ASSERT_TRUE(together.ok()) << together.status();
  for (size_t i = 0; i < schemes.size(); ++i) {
    const auto alone = evaluator_->Evaluate(package, calibration, dataset,
                                            {.schemes = std::span(schemes).subspan(i, 1)}, nullptr);
    ASSERT_TRUE(alone.ok()) << alone.status();
    ASSERT_TRUE((*together)[i].status.ok()) << (*together)[i].status;
    EXPECT_EQ((*together)[i].score, (*alone)[0].score) << schemes[i].ToString();
    EXPECT_EQ((*together)[i].divergence, (*alone)[0].divergence) << schemes[i].ToString();
    EXPECT_EQ((*together)[i].model_digest, (*alone)[0].model_digest);
  }
}

TEST_F(TorchIntegerTest, EveryDistinctComputationIsDoneOnce) {
  const ModelPackage package = Network(kResidual, 1);
  const Dataset dataset = RandomDataset({3, 9, 9}, 3);
  const Calibration calibration = Calibrated(package, dataset);
  const auto quantized = [&](std::string_view scheme) {
    return *Quantize(package, calibration, *BitScheme::Parse(scheme));
  };
  const QuantizedModel first = quantized("w8a8,w8a8,w8a8,w8a8,w8a8");
  const QuantizedModel last_changed = quantized("w8a8,w8a8,w8a8,w8a8,w4a8");
  const QuantizedModel first_changed = quantized("w4a8,w8a8,w8a8,w8a8,w4a8");
  const QuantizedModel other_reader = quantized("w8a8,w8a8,w8a4,w8a8,w8a8");
  const auto operations = [](std::vector<const QuantizedModel*> models) {
    return PlanEvaluation(models, WantedTensors::kScored).operations.size();
  };
  const size_t all = first.graph.steps.size() + 1;  // and the input

  EXPECT_EQ(operations({&first}), all);
  EXPECT_EQ(operations({&first, &first}), all);
  EXPECT_EQ(operations({&first, &last_changed, &last_changed}), all + 1);
  EXPECT_EQ(operations({&first, &first_changed, &last_changed}), 2 * all);  // but the input
  // The depthwise layer's sums are requantized twice; what is behind them is done twice.
  const size_t behind = first.graph.steps.size() - 2;
  EXPECT_EQ(operations({&first, &other_reader}), all + 1 + 1 + behind);
}

TEST_F(TorchIntegerTest, ASchemeThatCannotBeQuantizedDoesNotStopTheOthers) {
  const ModelPackage package = Network(kEndsWithPool, 3);
  const Dataset dataset = RandomDataset({1, 8, 8}, 5);
  const std::vector<BitScheme> schemes{*BitScheme::Parse("w8a8"), *BitScheme::Parse("w8a8,w8a8")};

  const auto outcomes = evaluator_->Evaluate(package, Calibrated(package, dataset), dataset,
                                             {.schemes = schemes, .samples = 10}, nullptr);

  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_FALSE((*outcomes)[0].status.ok());
  EXPECT_TRUE((*outcomes)[1].status.ok());
  EXPECT_EQ((*outcomes)[1].score.total, 10);
}

TEST_F(TorchIntegerTest, AnUnwantedResultIsCancelled) {
  const ModelPackage package = Network(kResidual, 1);
  const Dataset dataset = RandomDataset({3, 9, 9}, 3);
  const Calibration calibration = Calibrated(package, dataset);
  const std::vector<BitScheme> schemes(3, *BitScheme::Parse("w8a8,w8a8,w8a8,w8a8,w8a8"));
  double last = 0.0;
  bool unwanted = false;
  // One thread: with several, others may have done all the work before the first question.
  const auto evaluator = TorchEvaluator::Create({.threads = 1}).value();

  const auto outcomes = evaluator->Evaluate(package, calibration, dataset, {.schemes = schemes},
                                            [&](double progress) {
                                              EXPECT_FALSE(unwanted) << "asked after a no";
                                              EXPECT_GE(progress, last);
                                              last = progress;
                                              unwanted = progress >= 0.5;
                                              return !unwanted;
                                            });

  EXPECT_TRUE(unwanted);
  EXPECT_EQ(outcomes.status().code(), absl::StatusCode::kCancelled) << outcomes.status();
}

TEST_F(TorchIntegerTest, RefusesDataThatDoesNotFitTheNetwork) {
  const ModelPackage package = Network(kResidual, 1);
  const auto wrong_shape =
      evaluator_->Calibrate(package, RandomDataset({3, 8, 8}, 1), 0, 1, Metric::kTop1, nullptr);
  const auto many_labels = evaluator_->Calibrate(
      package, RandomDataset({3, 9, 9}, 1, {.num_classes = 200}), 0, 1, Metric::kTop1, nullptr);

  EXPECT_THAT(std::string(wrong_shape.status().message()), HasSubstr("3x8x8"));
  EXPECT_THAT(std::string(many_labels.status().message()), HasSubstr("5 outputs"));
}

TEST(ChooseSamplesTest, FewerAreASubsetOfMore) {
  const auto few = ChooseSamples(100, 10, 5);
  const auto more = ChooseSamples(100, 30, 5);

  EXPECT_EQ(few.size(), 10u);
  EXPECT_TRUE(std::is_sorted(few.begin(), few.end()));
  EXPECT_TRUE(std::includes(more.begin(), more.end(), few.begin(), few.end()));
  EXPECT_EQ(ChooseSamples(100, 0, 5).size(), 100u);
  EXPECT_EQ(ChooseSamples(100, 1000, 5).size(), 100u);
}

}  // namespace
}  // namespace mico
