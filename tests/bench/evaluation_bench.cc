// How fast the integer evaluation of ResNet-20 is, whether it is exact, and what fast post-training
// quantization scores.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <optional>

#include "CLI/CLI.hpp"
#include "base/file.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "quant/interpreter.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/libtorch_forward.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "worker/torch/runtime.h"
#include "worker/torch/sample_reader.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

constexpr char kModel[] = "models/resnet20-cifar10/resnet20_cifar10";
constexpr double kPercent = 100.0;

struct Options {
  std::filesystem::path data;
  std::string json, only;
  bool quick = false;
  int threads = 0;
};

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Bench {
 public:
  Bench(Options options, BenchReport& report) : options_(std::move(options)), report_(report) {}

  absl::Status Prepare() {
    MICO_ASSIGN_OR_RETURN(const std::string bytes,
                          ReadFile(options_.data / (std::string(kModel) + ".onnx")));
    MICO_ASSIGN_OR_RETURN(package_, OnnxImporter().Import(bytes));
    MICO_ASSIGN_OR_RETURN(dataset_, LoadCifar10(options_.data));
    MICO_ASSIGN_OR_RETURN(evaluator_, TorchEvaluator::Create({.threads = options_.threads}));
    MICO_ASSIGN_OR_RETURN(
        CalibrationOutcome outcome,
        evaluator_->Calibrate(package_, dataset_, 1000, 1, Metric::kTop1, nullptr));
    calibration_ = std::move(outcome.calibration);
    float_percent_ = PercentOf(outcome.float_val, outcome.float_test);
    return absl::OkStatus();
  }

  absl::Status Measure() {
    if (IsWanted("speed")) MICO_RETURN_IF_ERROR(MeasureSpeed());
    if (IsWanted("exactness")) MICO_RETURN_IF_ERROR(MeasureExactness());
    if (IsWanted("accuracy")) MICO_RETURN_IF_ERROR(MeasureAccuracy());
    if (!report_.figures().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("no figure is called '{}': speed, exactness, accuracy", options_.only));
  }

 private:
  bool IsWanted(std::string_view name) const {
    return options_.only.empty() || options_.only == name;
  }

  static double PercentOf(const Score& a, const Score& b) {
    return kPercent * CountScore(Metric::kTop1, a.correct + b.correct, a.total + b.total).value;
  }

  BitScheme Uniform(int weight_bits, int input_bits) const {
    return BitScheme::Uniform(weight_bits, input_bits, InputLayers(package_.graph));
  }

  // Seconds of one scheme from its bits to its accuracy on `samples` val images; the float logits
  // are already known, as they are for all schemes of a job but the first.
  absl::StatusOr<double> TimeOneScheme(int64_t samples, int64_t verify_images = 0) {
    const std::vector<BitScheme> schemes{Uniform(4, 8)};
    const Clock::time_point start = Clock::now();
    MICO_ASSIGN_OR_RETURN(
        const auto outcomes,
        evaluator_->Evaluate(
            package_, calibration_, dataset_,
            {.schemes = schemes, .samples = samples, .verify_images = verify_images}, nullptr));
    MICO_RETURN_IF_ERROR(outcomes[0].status);
    return SecondsSince(start);
  }

  absl::StatusOr<double> TimeLibtorch(const LibtorchForward& forward, int64_t samples) const {
    const std::vector<int64_t> indices = ChooseSamples(samples, 0, 1);
    std::vector<float> inputs(samples * dataset_.sample_shape.elements());
    SampleReader(dataset_, Split::kVal, dataset_.sample_shape).Read(indices, inputs.data());
    const int threads = options_.threads > 0 ? options_.threads : AvailableCores();
    const Clock::time_point start = Clock::now();
    const std::vector<int64_t> classes = forward.Classify(inputs, samples, threads, 128);
    const double seconds = SecondsSince(start);
    int64_t correct = 0;
    for (int64_t i = 0; i < samples; ++i) correct += classes[i] == dataset_.val.labels[i];
    if (correct * 10 > samples * 8) return seconds;
    return absl::InternalError(
        fmt::format("libtorch classified {} of {} images", correct, samples));
  }

  // Seconds of 4-bit weights in one layer after the other, as the sensitivity strategy asks: from
  // the last layer to the first, so that neighbours share as much as they can.
  absl::StatusOr<double> TimeSingleChanges(int64_t samples) {
    std::vector<BitScheme> schemes;
    for (size_t layer = Uniform(8, 8).size(); layer-- > 0;) {
      schemes.push_back(Uniform(8, 8));
      schemes.back().mutable_layers()[layer].weight_bits = 4;
    }
    const Clock::time_point start = Clock::now();
    MICO_ASSIGN_OR_RETURN(const auto outcomes,
                          evaluator_->Evaluate(package_, calibration_, dataset_,
                                               {.schemes = schemes, .samples = samples}, nullptr));
    for (const SchemeOutcome& outcome : outcomes) MICO_RETURN_IF_ERROR(outcome.status);
    return SecondsSince(start) / static_cast<double>(schemes.size());
  }

  // Alternating, the best of several each: both see the same machine.
  absl::Status MeasureSpeed() {
    const int64_t samples = 2000;
    const LibtorchForward forward((options_.data / (std::string(kModel) + ".ts.pt")).string());
    double mine = HUGE_VAL, verified = HUGE_VAL, libtorch = HUGE_VAL;
    MICO_RETURN_IF_ERROR(TimeOneScheme(samples).status());  // fills the caches
    for (int round = 0; round < (options_.quick ? 2 : 5); ++round) {
      MICO_ASSIGN_OR_RETURN(const double seconds, TimeOneScheme(samples));
      MICO_ASSIGN_OR_RETURN(const double libtorch_seconds, TimeLibtorch(forward, samples));
      MICO_ASSIGN_OR_RETURN(const double verified_seconds, TimeOneScheme(samples, 8));
      mine = std::min(mine, seconds);
      verified = std::min(verified, verified_seconds);
      libtorch = std::min(libtorch, libtorch_seconds);
    }
    report_.Add({"speed: ResNet-20, 2,000 images", 1.0 / mine, 1.0, "evaluations/s", "-"});
    report_.Add({"speed: images", samples / mine, std::nullopt, "images/s", "-"});
    report_.Add(
        {"speed: libtorch float forward", samples / libtorch, std::nullopt, "images/s", "-"});
    report_.Add({"speed: integers against libtorch float", libtorch / mine, 0.7, "ratio", "1"});
    report_.Add({"speed: 8 images verified with the oracle", verified / mine, std::nullopt,
                 "of the time without", "-"});
    MICO_ASSIGN_OR_RETURN(const double single_change, TimeSingleChanges(samples));
    report_.Add({"speed: single changes, sharing prefixes", 1.0 / single_change, std::nullopt,
                 "evaluations/s", "-"});
    report_.Add({"speed: sharing against one by one", mine / single_change, 1.3, "ratio", "-"});
    return absl::OkStatus();
  }

  absl::Status MeasureExactness() {
    Random random(5);
    const int64_t images = options_.quick ? 2 : 10;
    int64_t unequal = 0, compared = 0;
    for (int i = 0; i < (options_.quick ? 2 : 8); ++i) {
      std::vector<LayerBits> layers;
      for (const int least : LeastInputBits(package_.graph, calibration_.input_non_negative)) {
        layers.push_back(
            {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(least, 8))});
      }
      MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                            Quantize(package_, calibration_, BitScheme(layers)));
      MICO_ASSIGN_OR_RETURN(const auto outputs,
                            evaluator_->IntegerForward(model, dataset_, Split::kTest, 0, images));
      const std::vector<int32_t>& logits = outputs.front();
      const size_t width = logits.size() / images;
      for (int64_t image = 0; image < images; ++image) {
        MICO_ASSIGN_OR_RETURN(
            const std::vector<IntegerTensor> oracle,
            RunInteger(model, QuantizeInput(model, dataset_.Prepared(Split::kTest, image))));
        for (size_t c = 0; c < width; ++c, ++compared) {
          unequal += logits[image * width + c] != oracle.front()[c];
        }
      }
    }
    if (compared == 0) return absl::InternalError("no logit was compared with the oracle");
    report_.Add({"exactness: logits unequal to the oracle", static_cast<double>(unequal), 0.0,
                 fmt::format("of {}", compared), "-", Goal::kAtMost});
    return absl::OkStatus();
  }

  absl::Status MeasureAccuracy() {
    report_.Add({"accuracy: float", float_percent_, 91.73, "%", "91.73"});
    const std::vector<BitScheme> schemes{Uniform(8, 8), Uniform(4, 8), Uniform(4, 4)};
    const int64_t samples = options_.quick ? 500 : 0;
    MICO_ASSIGN_OR_RETURN(const auto val,
                          evaluator_->Evaluate(package_, calibration_, dataset_,
                                               {.schemes = schemes, .samples = samples}, nullptr));
    MICO_ASSIGN_OR_RETURN(
        const auto test,
        evaluator_->Evaluate(package_, calibration_, dataset_,
                             {.schemes = schemes, .split = Split::kTest, .samples = samples},
                             nullptr));
    const struct {
      const char* name;
      double goal;
      const char* field;
    } rows[] = {{"accuracy: fast PTQ w8a8", 91.6, "-"},
                {"accuracy: fast PTQ w4a8", 89.8, "89.99"},
                {"accuracy: fast PTQ w4a4", 87.0, "87.4"}};
    for (size_t i = 0; i < schemes.size(); ++i) {
      MICO_RETURN_IF_ERROR(val[i].status);
      MICO_RETURN_IF_ERROR(test[i].status);
      // A thousand images say nothing about tenths of a point.
      const std::optional<double> goal =
          options_.quick ? std::nullopt : std::optional(rows[i].goal);
      report_.Add({rows[i].name, PercentOf(val[i].score, test[i].score), goal, "%", rows[i].field});
    }
    return absl::OkStatus();
  }

  const Options options_;
  ModelPackage package_;
  Dataset dataset_;
  Calibration calibration_;
  double float_percent_ = 0.0;
  std::unique_ptr<TorchEvaluator> evaluator_;
  BenchReport& report_;
};

int Run(const Options& options) {
  BenchReport report("ResNet-20, CIFAR-10");
  Bench bench(options, report);
  absl::Status status = bench.Prepare();
  if (status.ok()) {
    report.Start();
    status = bench.Measure();
  }
  if (!status.ok()) {
    fmt::print(stderr, "evaluation_bench: {}\n", status.ToString());
    return 1;
  }
  return report.Finish("evaluation_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  mico::Options options;
  options.data = mico::DataFolder(mico::kSourceFolder).value_or("../shared/data");
  CLI::App app{"Speed, exactness and accuracy of the integer evaluation, on ResNet-20"};
  app.add_option("--data", options.data, "The folder of development data");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.add_option("--only", options.only, "speed, exactness or accuracy");
  app.add_flag("--quick", options.quick, "Fewer rounds and images");
  app.add_option("--threads", options.threads, "Threads; 0: one for each core");
  app.set_version_flag("--version", MICO_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    return mico::Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "evaluation_bench: {}\n", error.what());
    return 1;
  }
}
