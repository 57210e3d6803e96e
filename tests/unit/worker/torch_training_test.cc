#include <algorithm>
#include <cmath>
#include <limits>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/text_form.h"
#include "quant/interpreter.h"
#include "tests/support/random_dataset.h"
#include "tests/unit/quant/quant_testing.h"
#include "worker/torch/prepare_training.h"
#include "worker/torch/torch_evaluator.h"
#include "worker/torch/train.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kResidual[] = R"(
  input x 3x9x9
  a = Conv(x) k=3x3 p=1,1,1,1 out=8 relu
  b = Conv(a) k=3x3 p=1,1,1,1 out=8 relu
  c = Conv(b) k=3x3 p=1,1,1,1 out=8
  s = Add(a, c) relu
  p = AveragePool(s) k=9x9
  d = Conv(p) out=4
  output d)";

Dataset Planes(int64_t samples) {
  Dataset dataset = RandomDataset({3, 9, 9}, 3, {.samples = samples, .num_classes = 4});
  DrawPlanes(40, 170, 20, dataset);
  return dataset;
}

class TorchTrainingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto evaluator = TorchEvaluator::Create({.threads = 2, .batch_size = 16});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = std::move(*evaluator);
    auto package = WithRandomWeights(ParseGraph(kResidual).value(), 1);
    ASSERT_TRUE(package.ok()) << package.status();
    Use(*package, Planes(256));
  }

  // The float network's outputs for train.
  std::vector<float> Answers() {
    return evaluator_->FloatForward(package_, dataset_, Split::kTrain, 0, dataset_.train.count)
        .value()[0];
  }

  // A network calibrated on data whose labels are what the network answers, each about as often as
  // the others. Train is val too.
  void Use(const ModelPackage& package, const Dataset& dataset) {
    package_ = package;
    dataset_ = dataset;
    const int64_t count = dataset_.train.count;
    std::vector<float> answers = Answers();
    std::vector<float>& bias = package_.weights.layers.back().bias;
    const size_t width = bias.size();
    for (size_t i = 0; i < answers.size(); ++i) {
      bias[i % width] -= answers[i] / static_cast<float>(count);
    }
    package_ = MakeModelPackage(package_.graph, package_.weights).value();
    answers = Answers();
    for (int64_t i = 0; i < count; ++i) {
      const auto first = answers.begin() + i * static_cast<int64_t>(width);
      dataset_.train.labels[i] = static_cast<int32_t>(
          std::max_element(first, first + static_cast<int64_t>(width)) - first);
    }
    dataset_.val = dataset_.train;
    auto outcome = evaluator_->Calibrate(package_, dataset_, 0, 1, metric_, nullptr);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    calibration_ = outcome->calibration;
  }

  BitScheme Uniform(int weight_bits, int input_bits) const {
    return BitScheme::Uniform(weight_bits, input_bits, InputLayers(package_.graph));
  }

  TrainingWish WishFor(const BitScheme& scheme) const {
    TrainingWish wish;
    wish.scheme = scheme;
    wish.epochs = 4.0;
    wish.batch = 32;
    wish.seed = 1;
    wish.metric = metric_;
    wish.trainer.threads = 2;
    return wish;
  }

  // What is measured takes a second each time it is asked.
  TrainingTools Tools() {
    TrainingTools tools;
    tools.now = [this] { return seconds_++; };
    tools.validate = [this](const Reconstruction& learned) { return ScoreOf(&learned); };
    return tools;
  }

  absl::StatusOr<TrainingResult> TrainIt(const TrainingWish& wish) {
    scheme_ = wish.scheme;
    return Train(package_, calibration_, dataset_, wish, Tools());
  }

  absl::StatusOr<Score> ScoreOf(const Reconstruction* learned) {
    std::vector<const Reconstruction*> reconstructions;
    if (learned != nullptr) reconstructions.push_back(learned);
    EvaluationRequest request;
    request.schemes = std::span(&scheme_, 1);
    request.metric = metric_;
    request.reconstructions = reconstructions;
    request.verify_images = 4;
    const auto outcomes = evaluator_->Evaluate(package_, calibration_, dataset_, request, nullptr);
    if (!outcomes.ok()) return outcomes.status();
    if (!(*outcomes)[0].status.ok()) return (*outcomes)[0].status;
    return (*outcomes)[0].score;
  }

  std::unique_ptr<TorchEvaluator> evaluator_;
  ModelPackage package_;
  Dataset dataset_;
  Calibration calibration_;
  Metric metric_ = Metric::kTop1;
  BitScheme scheme_;
  double seconds_ = 0.0;
};

TEST_F(TorchTrainingTest, ValGetsBetterAndIsThatOfTheIntegers) {
  for (const bool sgd : {false, true}) {
    for (const auto& scheme :
         {Uniform(2, 2), Uniform(1, 8), BitScheme::Parse("w4a8,w2a3,w3a2,w8a4").value()}) {
      SCOPED_TRACE(fmt::format("{} {}", scheme.ToString(), sgd ? "sgd" : "adamw"));
      TrainingWish wish = WishFor(scheme);
      wish.epochs = 12.0;
      wish.trainer = TrainerOptionsFor(sgd ? Optimizer::kSgd : Optimizer::kAdamW);
      const auto result = TrainIt(wish);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_GT(result->best.value, result->first.value);
      EXPECT_EQ(ScoreOf(&result->reconstruction).value(), result->best);
      EXPECT_GT(result->best.value, 0.5);
    }
  }
}

TEST_F(TorchTrainingTest, BeginsWithTheIntegersThatItIsGiven) {
  for (const auto& scheme : {Uniform(4, 4), Uniform(2, 8), Uniform(1, 4)}) {
    TrainingWish wish = WishFor(scheme);
    wish.trainer.weight_rate = wish.trainer.bias_rate = 0.0;
    wish.trainer.weight_scale_rate = wish.trainer.tensor_scale_rate = 0.0;
    const auto result = TrainIt(wish);
    ASSERT_TRUE(result.ok()) << result.status();
    const std::vector<const Reconstruction*> learned{&result->reconstruction};
    const QuantizedModel expected = Quantize(package_, calibration_, scheme).value();
    const QuantizedModel model = Quantize(package_, calibration_, learned, scheme).value();
    for (size_t i = 0; i < model.numbers.size(); ++i) {
      EXPECT_EQ(model.numbers[i].weights, expected.numbers[i].weights);
      for (size_t out = 0; out < model.numbers[i].bias.size(); ++out) {
        // A sum of a few hundred products: one of 2^20 or so may round to its neighbour.
        EXPECT_NEAR(model.numbers[i].bias[out], expected.numbers[i].bias[out], 2);
      }
    }
    for (size_t i = 0; i < model.scales.size(); ++i) {
      EXPECT_NEAR(model.scales[i], expected.scales[i], 1e-5 * expected.scales[i]);
    }
  }
}

TEST_F(TorchTrainingTest, AnInterruptedTrainingEndsAsIfItHadNotBeen) {
  for (const bool sgd : {false, true}) {
    TrainingWish wish = WishFor(Uniform(2, 2));
    wish.trainer.sgd = sgd;
    wish.augmentation = {1, 1, true};
    scheme_ = wish.scheme;
    const auto whole = Train(package_, calibration_, dataset_, wish, Tools());
    ASSERT_TRUE(whole.ok()) << whole.status();
    // Stopped in the middle of the second epoch, with a state of a few steps before.
    std::string saved;
    int steps = 0;
    TrainingTools tools = Tools();
    tools.seconds_between_saves = 0.0;
    tools.save = [&](const TrainingState& state) {
      if (steps <= 10) saved = Serialize(state);
    };
    tools.keep_going = [&](double) { return ++steps < 13; };
    EXPECT_TRUE(absl::IsCancelled(Train(package_, calibration_, dataset_, wish, tools).status()));
    const auto state = ParseTrainingState(saved);
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_TRUE(state->progress.has_value());
    wish.checkpoint = &*state->progress;
    const auto resumed = Train(package_, calibration_, dataset_, wish, Tools());
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(Serialize(resumed->reconstruction), Serialize(whole->reconstruction));
    EXPECT_EQ(resumed->best, whole->best);
    EXPECT_EQ(resumed->epochs, whole->epochs);
  }
}

TEST_F(TorchTrainingTest, ACheckpointOfSomethingElseIsRefused) {
  TrainingWish wish = WishFor(Uniform(2, 2));
  TrainingTools tools = Tools();
  tools.seconds_between_saves = 0.0;
  std::optional<TrainingState> saved;
  tools.save = [&](const TrainingState& state) { saved = state; };
  scheme_ = wish.scheme;
  ASSERT_TRUE(Train(package_, calibration_, dataset_, wish, tools).ok());
  ASSERT_TRUE(saved.has_value());
  wish.scheme = Uniform(2, 3);
  wish.checkpoint = &*saved->progress;
  EXPECT_TRUE(absl::IsInvalidArgument(TrainIt(wish).status()));
  wish.scheme = Uniform(2, 2);
  saved->progress->memory.variables[0].pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(TrainIt(wish).status()));
}

TEST_F(TorchTrainingTest, AWarmStartBeginsAheadOfTheFloats) {
  TrainingWish wish = WishFor(Uniform(2, 2));
  wish.epochs = 12.0;
  const auto near = TrainIt(wish);
  ASSERT_TRUE(near.ok()) << near.status();
  TrainingWish other = WishFor(BitScheme::Parse("w3a8,w2a2,w2a2,w2a2").value());
  const auto cold = TrainIt(other);
  other.warm_start = &near->trained;
  const auto warm = TrainIt(other);
  ASSERT_TRUE(cold.ok() && warm.ok()) << cold.status() << warm.status();
  EXPECT_GT(warm->first.value, cold->first.value);
  EXPECT_GE(warm->best.value, warm->first.value);
  TrainedScheme foreign = near->trained;
  foreign.layers.pop_back();
  other.warm_start = &foreign;
  EXPECT_TRUE(absl::IsInvalidArgument(TrainIt(other).status()));
}

TEST_F(TorchTrainingTest, ADivergingTrainingEndsWithItsStep) {
  TrainingWish wish = WishFor(Uniform(4, 8));
  wish.trainer.weight_scale_rate = 1e36;
  const auto result = TrainIt(wish);
  EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("not a number at step "));
}

TEST_F(TorchTrainingTest, ABudgetSmallerThanAnEpochIsOne) {
  TrainingWish wish = WishFor(Uniform(2, 2));
  wish.epochs = 0.01;
  const auto one_step = TrainIt(wish);
  ASSERT_TRUE(one_step.ok()) << one_step.status();
  EXPECT_EQ(one_step->epochs, 1.0 / 8);
  wish.epochs.reset();
  wish.seconds = 0.5;  // less than a step takes
  const auto half_a_second = TrainIt(wish);
  ASSERT_TRUE(half_a_second.ok()) << half_a_second.status();
  EXPECT_LE(half_a_second->epochs, 1.0 / 8);
  wish.seconds = 25.0;
  const auto some_steps = TrainIt(wish);
  ASSERT_TRUE(some_steps.ok()) << some_steps.status();
  EXPECT_GT(some_steps->epochs, 0.0);
  EXPECT_LT(some_steps->epochs, 4.0);
}

TEST_F(TorchTrainingTest, EndsWhenNothingIsGainedAtLowRates) {
  TrainingWish wish = WishFor(Uniform(2, 2));
  wish.trainer.weight_rate = wish.trainer.bias_rate = 0.0;
  wish.trainer.weight_scale_rate = wish.trainer.tensor_scale_rate = 0.0;
  wish.epochs = 10.0;
  const auto result = TrainIt(wish);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->epochs, 8.0);
}

TEST_F(TorchTrainingTest, AnUnwantedResultIsCancelled) {
  TrainingWish wish = WishFor(Uniform(2, 2));
  scheme_ = wish.scheme;
  TrainingTools tools = Tools();
  double last = 0.0;
  tools.keep_going = [&](double share) {
    EXPECT_GE(share, last);
    last = share;
    return share < 0.5;
  };
  EXPECT_TRUE(absl::IsCancelled(Train(package_, calibration_, dataset_, wish, tools).status()));
  EXPECT_LT(last, 0.6);
}

TEST_F(TorchTrainingTest, OutputsThatAreNoClassesAreTrainedAgainstTheFloatNetwork) {
  metric_ = Metric::kMse;
  ModelPackage package = WithRandomWeights(ParseGraph(R"(
      input x 12x1x1
      a = Conv(x) out=16 relu
      b = Conv(a) out=6 relu
      c = Conv(b) out=12
      output c)")
                                               .value(),
                                           2)
                             .value();
  Use(package, RandomDataset({12, 1, 1}, 4, {.samples = 200, .is_uint8 = false}));
  TrainingWish wish = WishFor(Uniform(2, 3));
  wish.epochs = 20.0;
  const auto result = TrainIt(wish);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->best.value, result->first.value);
}

TEST_F(TorchTrainingTest, DeadChannelsConstantDataAndFewSamplesDoNoHarm) {
  ModelPackage package = package_;
  std::vector<LayerWeights>& layers = package.weights.layers;
  // A channel without weights; a ReLU that never opens; a layer that says nothing.
  std::fill_n(layers[0].weights.begin(), 27, 0.0f);
  layers[1].bias.assign(layers[1].bias.size(), -1e6f);
  std::fill(layers[3].weights.begin(), layers[3].weights.end(), 0.0f);
  package = MakeModelPackage(package.graph, package.weights).value();
  // One class, one colour, fewer samples than a batch.
  Dataset dataset = dataset_;
  dataset.train.count = 5;
  dataset.train.labels.assign(5, 0);
  dataset.train.bytes.assign(size_t{5} * 243, 7);
  Use(package, dataset);
  for (const BitScheme& scheme : {Uniform(4, 4), Uniform(2, 2), Uniform(1, 8)}) {
    const auto result = TrainIt(WishFor(scheme));
    ASSERT_TRUE(result.ok()) << result.status();
    const auto parsed = ParseReconstruction(Serialize(result->reconstruction));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(result->best.value, 1.0);
  }
}

std::string DocumentedState() { return testing::DocumentedExample("training-state.md"); }

// One with everything in it.
TrainingState SmallState() {
  TrainingState state = ParseTrainingState(DocumentedState()).value();
  TrainingProgress& progress = state.progress.emplace();
  progress.memory = {7, {{0.5f, 1.0f}, {2.0f}}, {{0.25f, 0.5f}, {}}, {{0.125f, 0.25f}, {}}};
  progress.seconds = 61.5;
  progress.best = state.trained;
  progress.best_score = CountScore(Metric::kTop1, 90, 100);
  progress.first_score = CountScore(Metric::kTop1, 80, 100);
  progress.trained_score = CountScore(Metric::kTop1, 85, 100);
  progress.gained_share = 0.25;
  progress.validated_share = 0.5;
  return state;
}

TEST(TrainingStateTest, ReadsTheDocumentedExample) {
  const auto state = ParseTrainingState(DocumentedState());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->trained.scheme.ToString(), "w2a8");
  ASSERT_EQ(state->trained.layers.size(), 1u);
  EXPECT_THAT(state->trained.layers[0].weights, ElementsAre(0.75f, -1.0f));
  EXPECT_THAT(state->trained.layers[0].scales, ElementsAre(0.5));
  EXPECT_THAT(state->trained.layers[0].bias, ElementsAre(-1.5));
  EXPECT_EQ(state->trained.scales.at(0).group, 1);
  EXPECT_FALSE(state->progress.has_value());
  EXPECT_EQ(Serialize(*state), DocumentedState());
  const Reconstruction integers = IntegersOf(state->trained);
  // 1.5 steps and -2, on a grid that ends at 1.
  EXPECT_THAT(integers.layers.at(0).weights, ElementsAre(1, -1));
  EXPECT_EQ(integers.scales.at(0).bits, 4);
}

TEST(TrainingStateTest, ReadsWhatItWritesAndRefusesEveryCutAndTurnedBitThatIsNotItself) {
  const std::string bytes = Serialize(SmallState());
  const auto state = ParseTrainingState(bytes);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(Serialize(*state), bytes);
  EXPECT_EQ(state->progress->memory.steps, 7);
  EXPECT_EQ(state->progress->best_score, CountScore(Metric::kTop1, 90, 100));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseTrainingState(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseTrainingState(bytes + '\0').ok());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string turned = bytes;
    turned[bit / 8] = static_cast<char>(turned[bit / 8] ^ (1 << (bit % 8)));
    const auto parsed = ParseTrainingState(turned);
    if (parsed.ok()) EXPECT_EQ(Serialize(*parsed), turned) << bit;
  }
}

TEST(TrainingStateTest, RefusesNumbersThatCannotBe) {
  const auto refusal = [](auto change) {
    TrainingState state = SmallState();
    change(state);
    return std::string(ParseTrainingState(Serialize(state)).status().message());
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refusal([](auto&) {}), "");
  EXPECT_THAT(refusal([&](auto& s) { s.trained.layers[0].weights[0] = kNan; }),
              HasSubstr("finite"));
  EXPECT_THAT(refusal([](auto& s) { s.trained.layers[0].scales[0] = 0.0; }), HasSubstr("scale"));
  EXPECT_THAT(refusal([](auto& s) { s.trained.layers[0].bias.clear(); }), HasSubstr("together"));
  EXPECT_THAT(refusal([](auto& s) { s.trained.layers.clear(); }), HasSubstr("layers"));
  EXPECT_THAT(refusal([](auto& s) { s.trained.scales[0].bits = 9; }), HasSubstr("width"));
  EXPECT_THAT(refusal([](auto& s) { s.progress->seconds = -1.0; }), HasSubstr("below 0"));
  EXPECT_THAT(refusal([](auto& s) { s.progress->memory.steps = -1; }), HasSubstr("below 0"));
  EXPECT_THAT(refusal([](auto& s) { s.progress->best_score.correct = -1; }), HasSubstr("count"));
  EXPECT_THAT(refusal([&](auto& s) { s.progress->memory.first_moments[0][0] = kNan; }),
              HasSubstr("finite"));
}

TEST(AugmentTest, MovesAndMirrorsWithNothingFromOutside) {
  // 1x2x3, two channels: elements count up.
  const Shape shape{2, 2, 3};
  std::vector<float> sample;
  for (int i = 1; i <= 12; ++i) sample.push_back(static_cast<float>(i));
  bool moved = false, mirrored = false;
  for (uint64_t seed = 0; seed < 64; ++seed) {
    Random random(seed);
    std::vector<float> changed = sample;
    Augment(shape, {0, 1, true}, random, changed);
    moved |= changed == std::vector<float>{0, 0, 1, 2, 3, 4, 0, 0, 7, 8, 9, 10};
    mirrored |= changed == std::vector<float>{5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8};
  }
  EXPECT_TRUE(moved);
  EXPECT_TRUE(mirrored);
  Random random(1);
  std::vector<float> same = sample;
  Augment(shape, {}, random, same);
  EXPECT_EQ(same, sample);
}

TEST(AugmentTest, PicturesAreMovedAndColouredOnesMirrored) {
  const auto range = [](const Shape& shape) {
    const AugmentationRange chosen = ChooseAugmentation(shape);
    return std::vector<int64_t>{chosen.rows, chosen.columns, chosen.mirrors};
  };
  EXPECT_THAT(range({3, 32, 32}), ElementsAre(4, 4, 1));
  EXPECT_THAT(range({1, 28, 28}), ElementsAre(3, 3, 0));
  EXPECT_THAT(range({3, 1, 100}), ElementsAre(0, 0, 0));
  EXPECT_THAT(range({64, 1, 1}), ElementsAre(0, 0, 0));
}

}  // namespace
}  // namespace mico
