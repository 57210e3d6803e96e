// Many schemes at once: whatever they share, however little memory there is, however early one is
// given up, a score is that of the oracle's integers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "fmt/format.h"
#include "model/text_form.h"
#include "quant/interpreter.h"
#include "tests/support/random_dataset.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/torch/oracle_check.h"
#include "worker/torch/racing.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kNetwork = R"(
  input x 3x9x9
  a = Conv(x) k=3x3 p=1,1,1,1 out=8 relu
  b = Conv(a) k=3x3 p=1,1,1,1 out=8
  sum = Add(a, b) relu
  c = Conv(sum) k=3x3 s=2x2 out=12 relu
  pool = AveragePool(c) k=4x4
  fc = Conv(pool) k=1x1 out=4
  output fc
)";

class EvaluationTest : public ::testing::Test {
 protected:
  EvaluationTest()
      : package_(*WithRandomWeights(*ParseGraph(kNetwork), 5)),
        dataset_(RandomDataset({3, 9, 9}, 3, {.samples = 600, .num_classes = 4})) {
    calibration_ =
        Evaluator()->Calibrate(package_, dataset_, 100, 1, Metric::kTop1, nullptr)->calibration;
  }

  static std::unique_ptr<TorchEvaluator> Evaluator(TorchEvaluatorOptions options = {}) {
    return TorchEvaluator::Create(options).value();
  }

  std::vector<BitScheme> RandomSchemes(int count) const {
    Random random(7);
    std::vector<BitScheme> schemes;
    for (int i = 0; i < count; ++i) {
      std::vector<LayerBits> layers;
      for (const int least : LeastInputBits(package_.graph, calibration_.input_non_negative)) {
        layers.push_back(
            {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(least, 8))});
      }
      schemes.emplace_back(layers);
    }
    return schemes;
  }

  std::vector<SchemeOutcome> Evaluate(TorchEvaluator& evaluator,
                                      const EvaluationRequest& request) const {
    auto outcomes = evaluator.Evaluate(package_, calibration_, dataset_, request, nullptr);
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? *std::move(outcomes) : std::vector<SchemeOutcome>();
  }

  ModelPackage package_;
  Dataset dataset_;
  Calibration calibration_;
};

TEST_F(EvaluationTest, ScoresAreTheOraclesWhateverIsSharedAndHoweverLittleMemoryThereIs) {
  const std::vector<BitScheme> schemes = RandomSchemes(40);
  const auto expected = Evaluate(*Evaluator({.threads = 1, .schemes_together = 1}),
                                 {.schemes = schemes, .verify_images = 8});
  for (const SchemeOutcome& outcome : expected) ASSERT_TRUE(outcome.status.ok()) << outcome.status;

  for (const int64_t bytes : {int64_t{1}, int64_t{20'000}, int64_t{1} << 30}) {
    const auto outcomes = Evaluate(*Evaluator({.threads = 2, .activation_memory_bytes = bytes}),
                                   {.schemes = schemes, .verify_images = 8});
    for (size_t i = 0; i < schemes.size(); ++i) {
      ASSERT_TRUE(outcomes[i].status.ok()) << outcomes[i].status;
      EXPECT_EQ(outcomes[i].score, expected[i].score) << schemes[i].ToString();
      EXPECT_EQ(outcomes[i].divergence, expected[i].divergence) << schemes[i].ToString();
      EXPECT_EQ(outcomes[i].model_digest, expected[i].model_digest);
    }
  }
}

TEST_F(EvaluationTest, ModelsAreGivenWhereTheyAreWanted) {
  const std::vector<BitScheme> schemes = RandomSchemes(1);
  const auto evaluator = Evaluator();

  const auto kept = Evaluate(*evaluator, {.schemes = schemes, .keep_models = true});
  const auto dropped = Evaluate(*evaluator, {.schemes = schemes});

  EXPECT_EQ(DigestOf(kept[0].model), kept[0].model_digest);
  EXPECT_TRUE(dropped[0].model.numbers.empty());
  EXPECT_EQ(dropped[0].model_digest, kept[0].model_digest);
}

TEST_F(EvaluationTest, AnUnequalLogitNamesTheSampleAndTheElement) {
  const QuantizedModel model = *Quantize(package_, calibration_, RandomSchemes(1)[0]);
  const auto oracle = RunInteger(model, QuantizeInput(model, dataset_.Prepared(Split::kVal, 17)));
  std::vector<int32_t> logits = oracle->front();
  EXPECT_TRUE(CompareWithOracle(model, dataset_, Split::kVal, 17, logits).ok());
  logits[2] += 1;

  const absl::Status status = CompareWithOracle(model, dataset_, Split::kVal, 17, logits);

  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("sample 17 of val"), HasSubstr("output 2"),
                    HasSubstr("evaluated alone the model does not differ")));
}

TEST_F(EvaluationTest, OtherSchemesVerifyOtherSamples) {
  const Digest a = Digest::Of("a"), b = Digest::Of("b");
  EXPECT_EQ(SamplesToVerify(a, 1000, 8).size(), 8);
  EXPECT_EQ(SamplesToVerify(a, 1000, 8), SamplesToVerify(a, 1000, 8));
  EXPECT_NE(SamplesToVerify(a, 1000, 8), SamplesToVerify(b, 1000, 8));
  EXPECT_EQ(SamplesToVerify(a, 5, 8).size(), 5);
  EXPECT_TRUE(SamplesToVerify(a, 5, 0).empty());
}

TEST_F(EvaluationTest, ASchemeBelowTheFloorIsGivenUpAndSaysWhatItSaw) {
  const std::vector<BitScheme> schemes = RandomSchemes(12);
  const auto evaluator = Evaluator();
  const auto full = Evaluate(*evaluator, {.schemes = schemes});

  const auto hopeless = Evaluate(*evaluator, {.schemes = schemes, .floor = 0.9});
  const auto easy = Evaluate(*evaluator, {.schemes = schemes, .floor = 0.0});

  for (size_t i = 0; i < schemes.size(); ++i) {
    // Random answers to four classes: a quarter is right.
    ASSERT_LT(full[i].score.value, 0.5);
    EXPECT_TRUE(hopeless[i].gave_up);
    EXPECT_EQ(hopeless[i].score.total, 128);
    EXPECT_LT(hopeless[i].score.value, 0.9);
    EXPECT_FALSE(easy[i].gave_up);
    EXPECT_EQ(easy[i].score, full[i].score);
    EXPECT_EQ(easy[i].divergence, full[i].divergence);
  }
}

TEST_F(EvaluationTest, WhoIsGivenUpDoesNotDependOnThreadsMemoryOrCompany) {
  const std::vector<BitScheme> schemes = RandomSchemes(12);
  const EvaluationRequest request{.schemes = schemes, .verify_images = 2, .floor = 0.30};

  const auto one = Evaluate(*Evaluator({.threads = 1, .schemes_together = 1}), request);
  const auto two = Evaluate(*Evaluator({.threads = 2, .activation_memory_bytes = 50'000}), request);

  for (size_t i = 0; i < schemes.size(); ++i) {
    ASSERT_TRUE(one[i].status.ok() && two[i].status.ok());
    EXPECT_EQ(one[i].gave_up, two[i].gave_up);
    EXPECT_EQ(one[i].score, two[i].score);
    EXPECT_EQ(one[i].divergence, two[i].divergence);
  }
}

TEST_F(EvaluationTest, AFloorNeedsAMetricThatCounts) {
  const std::vector<BitScheme> schemes = RandomSchemes(1);
  Dataset dataset = dataset_;
  const auto outcomes =
      Evaluator()->Evaluate(package_, calibration_, dataset,
                            {.schemes = schemes, .metric = Metric::kMse, .floor = 0.5}, nullptr);
  EXPECT_EQ(outcomes.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(EvaluationTest, FewerSamplesThanABatchAndASingleClassAreScored) {
  Dataset small = RandomDataset({3, 9, 9}, 4, {.samples = 3, .num_classes = 4});
  for (int32_t& label : small.val.labels) label = 1;
  const std::vector<BitScheme> schemes = RandomSchemes(5);

  const auto outcomes = Evaluator()->Evaluate(package_, calibration_, small,
                                              {.schemes = schemes, .verify_images = 8}, nullptr);

  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  for (const SchemeOutcome& outcome : *outcomes) {
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
    EXPECT_EQ(outcome.score.total, 3);
  }
}

TEST(RacingTest, LooksDoubleUntilAllAreSeen) {
  EXPECT_THAT(Looks(1000), ElementsAre(128, 256, 512, 1000));
  EXPECT_THAT(Looks(128), ElementsAre(128));
  EXPECT_THAT(Looks(5), ElementsAre(5));
}

TEST(RacingTest, GivesUpOnlyBeyondDoubt) {
  // 64 of 128 right: Wilson's upper end at 99.9 % is 0.6319.
  EXPECT_TRUE(CanReach(0.631, 64, 128, 100'000));
  EXPECT_FALSE(CanReach(0.632, 64, 128, 100'000));
  // What is left cannot make up for it, whatever the interval says.
  EXPECT_FALSE(CanReach(0.60, 64, 128, 150));
  EXPECT_TRUE(CanReach(0.57, 64, 128, 150));
  EXPECT_TRUE(CanReach(1.0, 0, 0, 10));
}

// One true scheme in a thousand may be given up wrongly at each look.
TEST(RacingTest, AFairRaceRarelyLosesAWinner) {
  Random random(3);
  int lost = 0;
  for (int race = 0; race < 20'000; ++race) {
    int64_t correct = 0;
    for (int i = 0; i < 128; ++i) correct += random.Below(10) < 9;
    lost += !CanReach(0.9, correct, 128, 100'000);
  }
  EXPECT_LT(lost, 60);
}

}  // namespace
}  // namespace mico
