// What training with quantization gets back beyond reconstruction, in the integers of the oracle,
// and how long it takes.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/reconstruction.h"
#include "tests/bench/network_bench.h"
#include "tests/support/raw_data.h"
#include "worker/torch/prepare_training.h"
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
constexpr int64_t kComparedImages = 8;

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct QatBenchOptions {
  NetworkBenchOptions network;
  double epochs = 30.0;
  bool sgd = false;
  // Where all five training batches of CIFAR-10 are; empty: the one of the development data.
  std::filesystem::path all_images;
  // Keep what is reconstructed here, and take it from there; empty: learn it anew.
  std::filesystem::path reconstructions;
  ReconstructOptions reconstruct;
};

// What is trained, and the goal in points: over reconstruction, or of the accuracy itself.
struct Wanted {
  LayerBits bits;
  std::optional<double> gain, accuracy;

  std::string name() const { return BitScheme({bits}).ToString(); }
};

void Append(const SplitData& from, int64_t first, int64_t last, int64_t size, SplitData& to) {
  to.bytes.insert(to.bytes.end(), from.bytes.begin() + first * size,
                  from.bytes.begin() + last * size);
  to.labels.insert(to.labels.end(), from.labels.begin() + first, from.labels.begin() + last);
  to.count += last - first;
}

// Holds out the last of train as val; all test images are test.
void HoldOut(Dataset& dataset) {
  const int64_t size = dataset.sample_shape.elements();
  const int64_t kept = dataset.train.count - kValSamples;
  SplitData train, val, test;
  Append(dataset.train, 0, kept, size, train);
  Append(dataset.train, kept, dataset.train.count, size, val);
  Append(dataset.val, 0, dataset.val.count, size, test);
  Append(dataset.test, 0, dataset.test.count, size, test);
  dataset.train = std::move(train);
  dataset.val = std::move(val);
  dataset.test = std::move(test);
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
      MICO_ASSIGN_OR_RETURN(lenet.dataset, LoadWholeMnist32(options_.network.data));
      MICO_RETURN_IF_ERROR(Measure(std::move(lenet), {{{2, 2}, std::nullopt, 98.5}}));
    }
    std::vector<Wanted> pairs{{{4, 4}, 0.3, {}}, {{2, 4}, 0.7, {}}, {{2, 2}, 2.0, {}}};
    std::erase_if(pairs,
                  [&](const Wanted& pair) { return !options_.network.IsWanted(pair.name()); });
    if (pairs.empty()) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(BenchNetwork resnet,
                          LoadResNet20(options_.network, kCalibrationSamples, *evaluator_));
    if (!options_.all_images.empty()) {
      MICO_ASSIGN_OR_RETURN(resnet.dataset, LoadWholeCifar10(options_.all_images));
    }
    return Measure(std::move(resnet), pairs);
  }

 private:
  absl::Status Measure(BenchNetwork subject, const std::vector<Wanted>& pairs) {
    HoldOut(subject.dataset);
    OracleComparison comparison;
    for (const Wanted& wanted : pairs) {
      MICO_RETURN_IF_ERROR(MeasurePair(subject, wanted, comparison));
    }
    return comparison.Report(subject.name, report_);
  }

  absl::Status MeasurePair(const BenchNetwork& subject, const Wanted& wanted,
                           OracleComparison& comparison) {
    const BitScheme scheme = subject.Uniform(wanted.bits.weight_bits, wanted.bits.input_bits);
    MICO_ASSIGN_OR_RETURN(const Reconstruction start, Reconstructed(subject, wanted));
    MICO_ASSIGN_OR_RETURN(const double before, Percent(subject, scheme, Split::kTest, start));
    MICO_ASSIGN_OR_RETURN(const TrainingResult result, Trained(subject, scheme, start));
    MICO_ASSIGN_OR_RETURN(const double after,
                          Percent(subject, scheme, Split::kTest, result.reconstruction));
    MICO_RETURN_IF_ERROR(Compare(subject, scheme, result.reconstruction, comparison));
    const std::string name = fmt::format("{}: trained {}", subject.name, wanted.name());
    report_.Add({fmt::format("{}: reconstructed {}", subject.name, wanted.name()), before,
                 std::nullopt, "%", "-"});
    report_.Add({name, after, Reachable(wanted.accuracy), "%", "-"});
    report_.Add(
        {name + " over reconstruction", after - before, Reachable(wanted.gain), "points", "-"});
    report_.Add({name + ", epochs", result.epochs, std::nullopt, "", "-"});
    report_.Add({name + ", time", result.seconds / 60, kMostMinutes, "min", "-", Goal::kAtMost});
    return absl::OkStatus();
  }

  // An epoch or two do not reach what many do.
  std::optional<double> Reachable(const std::optional<double>& goal) const {
    return options_.network.quick ? std::nullopt : goal;
  }

  absl::StatusOr<Reconstruction> Reconstructed(const BenchNetwork& subject,
                                               const Wanted& wanted) const {
    ReconstructOptions reconstruct = options_.reconstruct;
    reconstruct.threads = threads_;
    if (options_.network.quick) reconstruct.iterations = 100;
    const std::filesystem::path& folder = options_.reconstructions;
    const std::filesystem::path file =
        folder / fmt::format("{}-{}-{}.bin", subject.name, wanted.name(), reconstruct.iterations);
    if (!folder.empty() && std::filesystem::exists(file)) {
      MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file));
      return ParseReconstruction(bytes);
    }
    MICO_ASSIGN_OR_RETURN(
        const ReconstructionOutcome outcome,
        Reconstruct(subject.package, subject.calibration, subject.dataset,
                    ChooseSamples(subject.dataset.train.count, kCalibrationSamples, 1),
                    {wanted.bits, reconstruct}, nullptr));
    if (!folder.empty()) {
      MICO_RETURN_IF_ERROR(WriteFileDurably(file, Serialize(outcome.reconstruction)));
    }
    return outcome.reconstruction;
  }

  absl::StatusOr<TrainingResult> Trained(const BenchNetwork& subject, const BitScheme& scheme,
                                         const Reconstruction& start) {
    const std::vector<const Reconstruction*> reconstructions{&start};
    TrainingWish wish;
    wish.scheme = scheme;
    wish.reconstructions = reconstructions;
    wish.epochs = options_.network.quick ? 1.0 : options_.epochs;
    wish.seed = 1;
    wish.augmentation = ChooseAugmentation(subject.dataset.sample_shape);
    wish.trainer = TrainerOptionsFor(options_.sgd ? Optimizer::kSgd : Optimizer::kAdamW);
    wish.trainer.threads = threads_;
    TrainingTools tools;
    tools.now = SecondsNow;
    tools.validate = [&](const Reconstruction& learned) {
      return Validate(subject, scheme, learned);
    };
    return Train(subject.package, subject.calibration, subject.dataset, wish, tools);
  }

  absl::StatusOr<Score> Validate(const BenchNetwork& subject, const BitScheme& scheme,
                                 const Reconstruction& learned) {
    MICO_ASSIGN_OR_RETURN(const Score score, ScoreOf(subject, scheme, Split::kVal, learned));
    fmt::print(stderr, "{} {}: val {:.1f} %\n", subject.name, BitScheme({scheme[1]}).ToString(),
               kPercent * score.value);
    return score;
  }

  absl::StatusOr<Score> ScoreOf(const BenchNetwork& subject, const BitScheme& scheme, Split split,
                                const Reconstruction& learned) {
    const std::vector<const Reconstruction*> reconstructions{&learned};
    EvaluationRequest request;
    request.schemes = std::span(&scheme, 1);
    request.split = split;
    request.samples = options_.network.quick ? 500 : 0;
    request.reconstructions = reconstructions;
    MICO_ASSIGN_OR_RETURN(const std::vector<SchemeOutcome> outcomes,
                          evaluator_->Evaluate(subject.package, subject.calibration,
                                               subject.dataset, request, nullptr));
    MICO_RETURN_IF_ERROR(outcomes.front().status);
    return outcomes.front().score;
  }

  absl::StatusOr<double> Percent(const BenchNetwork& subject, const BitScheme& scheme, Split split,
                                 const Reconstruction& learned) {
    MICO_ASSIGN_OR_RETURN(const Score score, ScoreOf(subject, scheme, split, learned));
    return kPercent * score.value;
  }

  absl::Status Compare(const BenchNetwork& subject, const BitScheme& scheme,
                       const Reconstruction& learned, OracleComparison& comparison) {
    const std::vector<const Reconstruction*> reconstructions{&learned};
    MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                          Quantize(subject.package, subject.calibration, reconstructions, scheme));
    MICO_ASSIGN_OR_RETURN(
        const auto outputs,
        evaluator_->IntegerForward(model, subject.dataset, Split::kTest, 0, kComparedImages));
    return comparison.Compare(model, subject.dataset, Split::kTest, outputs.front(),
                              outputs.front().size() / kComparedImages, kComparedImages);
  }

  const QatBenchOptions& options_;
  int threads_ = 1;
  std::unique_ptr<TorchEvaluator> evaluator_;
  BenchReport& report_;
};

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  CLI::App app{"What training with quantization gets back"};
  mico::QatBenchOptions options;
  mico::AddOptions(app, "lenet, w4a4, w2a4 or w2a2", options.network);
  app.add_option("--epochs", options.epochs, "Of each training")->capture_default_str();
  app.add_option("--all-images", options.all_images,
                 "Train ResNet-20 with all of CIFAR-10, from where deploy/get-data.sh put it");
  app.add_flag("--sgd", options.sgd, "SGD in place of AdamW");
  app.add_option("--iterations", options.reconstruct.iterations, "Of each block's reconstruction")
      ->capture_default_str();
  app.add_option("--reconstructions", options.reconstructions,
                 "Keep reconstructions in this folder, and take them from there");
  CLI11_PARSE(app, argc, argv);
  return mico::RunNetworkBench(
      "qat_bench", "Training with quantization", options.network,
      [&](mico::BenchReport& report) { return mico::Bench(options, report).Measure(); });
}
