// What the evaluator scores is what the oracle's integers score, bit for bit, for any number of
// threads and any size of batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/text_form.h"
#include "quant/interpreter.h"
#include "tests/support/random_dataset.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// Out comes what went in, 2x4x3; both are larger than one position and than one channel.
constexpr std::string_view kAutoencoder = R"(
  input x 2x4x3
  code = Conv(x) k=3x3 p=1,1,1,1 out=6 relu
  back = Conv(code) k=1x1 out=2
  output back
)";
// 24 numbers from 24, in another shape.
constexpr std::string_view kFlatAutoencoder = R"(
  input x 2x4x3
  code = Conv(x) k=4x3 out=5 relu
  back = Conv(code) k=1x1 out=24
  output back
)";
constexpr std::string_view kClassifier = R"(
  input x 2x4x3
  a = Conv(x) k=4x3 out=12 relu
  fc = Conv(a) k=1x1 out=9
  output fc
)";

const std::vector<BitScheme> kSchemes{*BitScheme::Parse("w8a8,w8a8"),
                                      *BitScheme::Parse("w3a8,w2a4")};

ModelPackage Network(std::string_view text) {
  return WithRandomWeights(ParseGraph(text).value(), 7).value();
}

// An odd number of samples, so that the last batch is a short one.
Dataset Samples(int classes = 2) {
  return RandomDataset({2, 4, 3}, 21, {.samples = 37, .num_classes = classes});
}

std::unique_ptr<TorchEvaluator> Evaluator(int threads, int64_t batch_size) {
  return TorchEvaluator::Create(
             {.threads = threads, .batch_size = batch_size, .integer_batch_size = batch_size})
      .value();
}

// With the same calibration for every evaluator, as a job has it: the floats that a calibration
// comes from differ in their last bits between batch sizes on some processors.
std::vector<SchemeOutcome> Evaluate(TorchEvaluator& evaluator, const ModelPackage& package,
                                    const Dataset& dataset, Metric metric, int64_t samples = 0) {
  const auto calibrated = Evaluator(1, 37)->Calibrate(package, dataset, 0, 1, metric, nullptr);
  EXPECT_TRUE(calibrated.ok()) << calibrated.status();
  if (!calibrated.ok()) return {};
  auto outcomes = evaluator.Evaluate(package, calibrated->calibration, dataset,
                                     {.schemes = kSchemes,
                                      .samples = samples,
                                      .metric = metric,
                                      .verify_images = 8,
                                      .keep_models = true},
                                     nullptr);
  EXPECT_TRUE(outcomes.ok()) << outcomes.status();
  return outcomes.ok() ? *std::move(outcomes) : std::vector<SchemeOutcome>();
}

// Element `index` of what ONNX would flatten; the oracle's channels are last.
double Output(const QuantizedModel& model, const IntegerTensor& integers, int64_t index) {
  const Shape& shape = model.graph.tensors[model.graph.scored_tensor()].shape;
  const int64_t plane = shape.height * shape.width;
  return model.output_scale() * integers[index % plane * shape.channels + index / plane];
}

IntegerTensor Oracle(const QuantizedModel& model, const Dataset& dataset, int64_t sample) {
  return RunInteger(model, QuantizeInput(model, dataset.Prepared(Split::kVal, sample)))
      .value()
      .front();
}

std::vector<double> OraclesErrors(const QuantizedModel& model, const Dataset& dataset) {
  std::vector<double> errors;
  for (int64_t sample = 0; sample < dataset.val.count; ++sample) {
    const IntegerTensor integers = Oracle(model, dataset, sample);
    const std::vector<float> target = dataset.target_elements > 0
                                          ? dataset.Target(Split::kVal, sample)
                                          : dataset.Prepared(Split::kVal, sample);
    double sum = 0.0;
    for (size_t i = 0; i < target.size(); ++i) {
      const double distance = Output(model, integers, static_cast<int64_t>(i)) - target[i];
      sum += distance * distance;
    }
    errors.push_back(sum / static_cast<double>(target.size()));
  }
  return errors;
}

TEST(TorchMetricsTest, ErrorsOfReconstructionAreThoseOfTheOraclesIntegers) {
  const Dataset dataset = Samples();
  const auto evaluator = Evaluator(2, 8);
  for (const std::string_view text : {kAutoencoder, kFlatAutoencoder}) {
    const auto mse = Evaluate(*evaluator, Network(text), dataset, Metric::kMse);
    const auto auc = Evaluate(*evaluator, Network(text), dataset, Metric::kAuc);
    ASSERT_EQ(mse.size(), kSchemes.size());
    for (size_t i = 0; i < mse.size(); ++i) {
      const std::vector<double> errors = OraclesErrors(mse[i].model, dataset);
      EXPECT_EQ(mse[i].score, MseScore(errors));
      EXPECT_EQ(auc[i].score, AucScore(errors, dataset.val.labels));
      EXPECT_EQ(auc[i].divergence, mse[i].divergence);
    }
    EXPECT_GT(mse[1].divergence, mse[0].divergence);
  }
}

TEST(TorchMetricsTest, TargetsOfTheDataTakeThePlaceOfTheInput) {
  Dataset dataset = Samples();
  dataset.num_classes = 0;
  dataset.target_elements = 9;
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    split->labels.clear();
    for (int64_t i = 0; i < 9 * split->count; ++i) {
      split->targets.push_back(static_cast<float>(i % 7) - 3.0f);
    }
  }
  const auto evaluator = Evaluator(1, 16);
  const ModelPackage package = Network(kClassifier);

  for (const SchemeOutcome& outcome : Evaluate(*evaluator, package, dataset, Metric::kMse)) {
    EXPECT_EQ(outcome.score, MseScore(OraclesErrors(outcome.model, dataset)));
  }
  const auto refused = evaluator->Calibrate(package, dataset, 0, 1, Metric::kTop1, nullptr);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("metric top1 needs labels"));
}

TEST(TorchMetricsTest, Top5CountsLabelsAmongTheOraclesFiveLargest) {
  const Dataset dataset = Samples(9);
  const auto outcomes = Evaluate(*Evaluator(2, 8), Network(kClassifier), dataset, Metric::kTop5);
  ASSERT_EQ(outcomes.size(), kSchemes.size());
  for (const SchemeOutcome& outcome : outcomes) {
    int64_t correct = 0;
    for (int64_t sample = 0; sample < dataset.val.count; ++sample) {
      const IntegerTensor logits = Oracle(outcome.model, dataset, sample);
      std::vector<int> order(logits.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int a, int b) { return logits[a] > logits[b]; });
      correct += std::count(order.begin(), order.begin() + 5, dataset.val.labels[sample]);
    }
    EXPECT_EQ(outcome.score, CountScore(Metric::kTop5, correct, dataset.val.count));
  }
}

TEST(TorchMetricsTest, ScoresAreTheSameBitsForAnyThreadsAndBatches) {
  const Dataset dataset = Samples();
  const ModelPackage package = Network(kAutoencoder);
  for (const Metric metric : {Metric::kMse, Metric::kAuc}) {
    const auto expected = Evaluate(*Evaluator(1, 37), package, dataset, metric);
    ASSERT_EQ(expected.size(), kSchemes.size());
    for (const auto& [threads, batch_size] : {std::pair(1, 1), std::pair(2, 5), std::pair(3, 16)}) {
      const auto got = Evaluate(*Evaluator(threads, batch_size), package, dataset, metric);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].score, expected[i].score);
    }
  }
}

TEST(TorchMetricsTest, AProbeWithoutAnAnomalyKnowsNothing) {
  Dataset dataset = Samples();
  std::fill(dataset.val.labels.begin(), dataset.val.labels.end(), 0);
  const auto outcomes =
      Evaluate(*Evaluator(1, 16), Network(kAutoencoder), dataset, Metric::kAuc, 10);
  ASSERT_EQ(outcomes.size(), kSchemes.size());
  EXPECT_EQ(outcomes[0].score.value, 0.5);
  EXPECT_EQ(outcomes[0].score.total, 10);
  EXPECT_LT(outcomes[0].divergence, outcomes[1].divergence);
}

TEST(TorchMetricsTest, TheFloatNetworkIsJudgedTheSameWay) {
  const Dataset dataset = Samples();
  const auto evaluator = Evaluator(2, 8);
  const ModelPackage package = Network(kAutoencoder);
  const auto calibrated = evaluator->Calibrate(package, dataset, 0, 1, Metric::kMse, nullptr);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  EXPECT_EQ(calibrated->float_val.metric, Metric::kMse);
  EXPECT_EQ(calibrated->float_test.total, dataset.test.count);
  const auto outcomes = Evaluate(*evaluator, package, dataset, Metric::kMse);
  // Eight bits are near; how near depends on the random weights.
  EXPECT_NEAR(outcomes[0].score.value, calibrated->float_val.value,
              0.05 * calibrated->float_val.value);
}

TEST(TorchMetricsTest, ANetworkThatGivesLessThanItGetsReconstructsNothing) {
  const auto refused =
      Evaluator(1, 16)->Calibrate(Network(kClassifier), Samples(), 0, 1, Metric::kMse, nullptr);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("metric mse: targets of 24; the network has 9 outputs"));
}

}  // namespace
}  // namespace mico
