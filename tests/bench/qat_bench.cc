// What training with quantization gets back beyond reconstruction, in the integers of the oracle,
// and how long it takes.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/reconstruction.h"
#include "tests/bench/network_bench.h"
#include "worker/torch/reconstruct.h"
#include "worker/torch/runtime.h"
#include "worker/torch/train.h"

namespace mico {
namespace {

constexpr double kPercent = 100.0;
constexpr double kMostMinutes = 60.0;
constexpr int64_t kCalibrationSamples = 1024;
// Of train, to stop by: nothing is chosen with test images.
constexpr int64_t kValSamples = 1000;

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct QatBenchOptions {
  NetworkBenchOptions network;
  double epochs = 30.0;
  bool start_fast = false;
  std::filesystem::path reconstructions;
  ReconstructOptions reconstruct;
  TrainerOptions trainer;
  int64_t batch = 128;
  bool no_augment = false;
};

// What is trained, and the goal in points: over reconstruction, or of the accuracy itself.
struct Wanted {
  LayerBits bits;
  std::optional<double> gain, accuracy;
};

// Holds out the last of train as val; all test images are test.
void HoldOut(Dataset& dataset) {
  const int64_t size = dataset.sample_shape.elements();
  SplitData& train = dataset.train;
  SplitData& val = dataset.val;
  SplitData& test = dataset.test;
  val.bytes.insert(val.bytes.end(), test.bytes.begin(), test.bytes.end());
  val.labels.insert(val.labels.end(), test.labels.begin(), test.labels.end());
  test = {.count = val.count + test.count,
          .bytes = std::move(val.bytes),
          .floats = {},
          .labels = std::move(val.labels)};
  const int64_t kept = train.count - kValSamples;
  val = {};
  val.count = kValSamples;
  val.bytes.assign(train.bytes.begin() + kept * size, train.bytes.end());
  val.labels.assign(train.labels.begin() + kept, train.labels.end());
  train.count = kept;
  train.bytes.resize(kept * size);
  train.labels.resize(kept);
}

class Bench {
 public:
  Bench(const QatBenchOptions& options, BenchReport& report) : options_(options), report_(report) {
    threads_ = options_.network.threads > 0 ? options_.network.threads : AvailableCores();
  }

  absl::Status Measure() {
    MICO_ASSIGN_OR_RETURN(evaluator_,
                          TorchEvaluator::Create({.threads = options_.network.threads}));
    if (options_.network.IsWanted("lenet")) {
      MICO_ASSIGN_OR_RETURN(BenchNetwork lenet,
                            LoadLeNet5(options_.network, kCalibrationSamples, *evaluator_));
      HoldOut(lenet.dataset);
      MICO_RETURN_IF_ERROR(MeasureTraining(lenet, {{2, 2}, std::nullopt, 98.5}));
      MICO_RETURN_IF_ERROR(comparison_.Report(lenet.name, report_));
    }
    const std::vector<Wanted> pairs = PairsToTrain();
    if (pairs.empty()) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(BenchNetwork resnet,
                          LoadResNet20(options_.network, kCalibrationSamples, *evaluator_));
    HoldOut(resnet.dataset);
    for (const Wanted& wanted : pairs) MICO_RETURN_IF_ERROR(MeasureTraining(resnet, wanted));
    return comparison_.Report(resnet.name, report_);
  }

 private:
  std::vector<Wanted> PairsToTrain() const {
    std::vector<Wanted> pairs;
    for (const Wanted& wanted :
         {Wanted{{4, 4}, 0.3, std::nullopt}, Wanted{{2, 4}, 0.7, std::nullopt},
          Wanted{{2, 2}, 2.0, std::nullopt}}) {
      if (options_.network.IsWanted(BitScheme({wanted.bits}).ToString())) pairs.push_back(wanted);
    }
    return pairs;
  }

  absl::StatusOr<Score> ScoreOf(const BenchNetwork& subject, const BitScheme& scheme, Split split,
                                const std::vector<const Reconstruction*>& learned) {
    EvaluationRequest request;
    request.schemes = std::span(&scheme, 1);
    request.split = split;
    request.reconstructions = learned;
    request.verify_images = split == Split::kTest ? 8 : 0;
    MICO_ASSIGN_OR_RETURN(const std::vector<SchemeOutcome> outcomes,
                          evaluator_->Evaluate(subject.package, subject.calibration,
                                               subject.dataset, request, nullptr));
    MICO_RETURN_IF_ERROR(outcomes[0].status);
    return outcomes[0].score;
  }

  // Taken from the folder that was asked for, or learned and kept there.
  absl::StatusOr<Reconstruction> Reconstructed(const BenchNetwork& subject, const LayerBits& bits,
                                               const ReconstructOptions& reconstruct) const {
    const std::filesystem::path file =
        options_.reconstructions / fmt::format("{}-{}-{}.bin", subject.name,
                                               BitScheme({bits}).ToString(),
                                               reconstruct.iterations);
    if (!options_.reconstructions.empty() && std::filesystem::exists(file)) {
      MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file));
      return ParseReconstruction(bytes);
    }
    MICO_ASSIGN_OR_RETURN(
        const ReconstructionOutcome outcome,
        Reconstruct(subject.package, subject.calibration, subject.dataset,
                    ChooseSamples(subject.dataset.train.count, kCalibrationSamples, 1),
                    {bits, reconstruct}, nullptr));
    if (!options_.reconstructions.empty()) {
      MICO_RETURN_IF_ERROR(WriteFileDurably(file, Serialize(outcome.reconstruction)));
    }
    return outcome.reconstruction;
  }

  absl::Status MeasureTraining(const BenchNetwork& subject, const Wanted& wanted) {
    const BitScheme scheme = subject.Uniform(wanted.bits.weight_bits, wanted.bits.input_bits);
    const std::string pair = BitScheme({wanted.bits}).ToString();
    std::vector<const Reconstruction*> start;
    Reconstruction reconstruction;
    if (!options_.start_fast) {
      ReconstructOptions reconstruct = options_.reconstruct;
      reconstruct.threads = threads_;
      MICO_ASSIGN_OR_RETURN(reconstruction, Reconstructed(subject, wanted.bits, reconstruct));
      start.push_back(&reconstruction);
    }
    MICO_ASSIGN_OR_RETURN(const Score before, ScoreOf(subject, scheme, Split::kTest, start));
    report_.Add({fmt::format("{}: {} {}", subject.name,
                             options_.start_fast ? "fast PTQ" : "reconstructed", pair),
                 kPercent * before.value, std::nullopt, "%", "-"});
    TrainingWish wish;
    wish.scheme = scheme;
    wish.reconstructions = start;
    wish.epochs = options_.epochs;
    wish.seed = 1;
    wish.batch = options_.batch;
    if (!options_.no_augment) wish.augmentation = ChooseAugmentation(subject.dataset.sample_shape);
    wish.trainer = options_.trainer;
    wish.trainer.threads = threads_;
    TrainingTools tools;
    const double begin = SecondsNow();
    tools.now = SecondsNow;
    tools.validate = [&](const Reconstruction& learned) -> absl::StatusOr<Score> {
      MICO_ASSIGN_OR_RETURN(const Score score, ScoreOf(subject, scheme, Split::kVal, {&learned}));
      MICO_ASSIGN_OR_RETURN(const Score test, ScoreOf(subject, scheme, Split::kTest, {&learned}));
      fmt::print(stderr, "{:7.1f} s: val {:.2f} test {:.2f}\n", SecondsNow() - begin,
                 100 * score.value, 100 * test.value);
      return score;
    };
    MICO_ASSIGN_OR_RETURN(const TrainingResult result, Train(subject.package, subject.calibration,
                                                             subject.dataset, wish, tools));
    MICO_ASSIGN_OR_RETURN(const Score after,
                          ScoreOf(subject, scheme, Split::kTest, {&result.reconstruction}));
    const std::string name = fmt::format("{}: trained {}", subject.name, pair);
    const double percent = kPercent * after.value;
    report_.Add({name, percent, wanted.accuracy, "%", "-"});
    if (wanted.gain.has_value()) {
      report_.Add({name + " over reconstruction", percent - kPercent * before.value, wanted.gain,
                   "points", "-"});
    }
    report_.Add({name + ", time", result.seconds / 60, kMostMinutes, "min", "-", Goal::kAtMost});
    return absl::OkStatus();
  }

  const QatBenchOptions& options_;
  int threads_ = 1;
  std::unique_ptr<TorchEvaluator> evaluator_;
  OracleComparison comparison_;
  BenchReport& report_;
};

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  CLI::App app{"What training with quantization gets back"};
  mico::QatBenchOptions options;
  mico::AddOptions(app, "lenet, w4a4, w2a4 or w2a2", options.network);
  app.add_option("--epochs", options.epochs, "");
  app.add_flag("--fast", options.start_fast, "");
  app.add_flag("--sgd", options.trainer.sgd, "");
  app.add_flag("--no-augment", options.no_augment, "");
  app.add_option("--batch", options.batch, "");
  app.add_option("--reconstructions", options.reconstructions,
                 "Keep reconstructions in this folder, and take them from there");
  app.add_option("--iterations", options.reconstruct.iterations, "");
  app.add_option("--weight-rate", options.trainer.weight_rate, "");
  app.add_option("--bias-rate", options.trainer.bias_rate, "");
  app.add_option("--weight-scale-rate", options.trainer.weight_scale_rate, "");
  app.add_option("--tensor-scale-rate", options.trainer.tensor_scale_rate, "");
  app.add_option("--decay", options.trainer.weight_decay, "");
  app.add_option("--temperature", options.trainer.temperature, "");
  app.add_option("--label-share", options.trainer.label_share, "");
  CLI11_PARSE(app, argc, argv);
  return mico::RunNetworkBench(
      "qat_bench", "Training with quantization", options.network,
      [&](mico::BenchReport& report) { return mico::Bench(options, report).Measure(); });
}
