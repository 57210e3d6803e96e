// What post-training quantization keeps of a network: fast and with reconstruction, in the integers
// of the oracle, and how long it takes.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <exception>
#include <optional>

#include "CLI/CLI.hpp"
#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "quant/interpreter.h"
#include "quant/reconstruction.h"
#include "tests/bench/bench_report.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "worker/torch/reconstruct.h"
#include "worker/torch/runtime.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

constexpr char kResNet20[] = "models/resnet20-cifar10/resnet20_cifar10.onnx";
constexpr char kLeNet5[] = "models/lenet5-mnist/lenet5_mnist.onnx";
constexpr double kPercent = 100.0;
constexpr double kMostMinutes = 10.0;
constexpr int64_t kCalibrationSamples = 1024;

struct Options {
  std::filesystem::path data;
  std::string json, only;
  bool quick = false;
  int threads = 0;
  ReconstructOptions reconstruct;
};

using Clock = std::chrono::steady_clock;

// Of all threads together, which a machine that is busy with other work does not lengthen.
double ProcessorMinutes() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC / 60.0; }

double MinutesSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count() / 60.0;
}

struct Wanted {
  LayerBits bits;
  std::optional<double> goal;
  std::string field = "-";
};

// A network with its data, calibrated.
struct Subject {
  std::string name;
  ModelPackage package;
  Dataset dataset;
  Calibration calibration;
};

class Bench {
 public:
  Bench(Options options, BenchReport& report) : options_(std::move(options)), report_(report) {}

  absl::Status Prepare() {
    MICO_ASSIGN_OR_RETURN(evaluator_, TorchEvaluator::Create({.threads = options_.threads}));
    options_.reconstruct.threads = options_.threads > 0 ? options_.threads : AvailableCores();
    if (options_.quick) options_.reconstruct.iterations = 100;
    return absl::OkStatus();
  }

  absl::Status Measure() {
    if (IsWanted("lenet")) {
      MICO_ASSIGN_OR_RETURN(const Subject lenet, Load("LeNet-5", kLeNet5, LoadMnist32));
      MICO_RETURN_IF_ERROR(MeasureFast(lenet, {{{4, 4}, 98.8}}));
    }
    if (IsWanted("fast") || IsWanted("reconstruct")) {
      MICO_ASSIGN_OR_RETURN(const Subject resnet, Load("ResNet-20", kResNet20, LoadCifar10));
      if (IsWanted("fast")) {
        MICO_RETURN_IF_ERROR(MeasureFast(resnet, {{{8, 8}, 91.6},
                                                  {{4, 8}, 89.8, "89.99"},
                                                  {{4, 4}, 87.0, "87.4"},
                                                  {{8, 4}, std::nullopt},
                                                  {{2, 8}, std::nullopt}}));
      }
      if (IsWanted("reconstruct")) MICO_RETURN_IF_ERROR(MeasureReconstruction(resnet));
    }
    if (!report_.figures().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format(
        "no figure is called '{}': lenet, fast, reconstruct, or a pair like w2a4", options_.only));
  }

 private:
  bool IsWanted(std::string_view name) const {
    const bool is_pair = BitScheme::Parse(options_.only).ok();
    return options_.only.empty() || options_.only == name || (is_pair && name == "reconstruct");
  }

  template <typename LoadDataset>
  absl::StatusOr<Subject> Load(const char* name, const char* model, LoadDataset load) {
    Subject subject;
    subject.name = name;
    MICO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options_.data / model));
    MICO_ASSIGN_OR_RETURN(subject.package, OnnxImporter().Import(bytes));
    MICO_ASSIGN_OR_RETURN(subject.dataset, load(options_.data));
    MICO_ASSIGN_OR_RETURN(CalibrationOutcome outcome,
                          evaluator_->Calibrate(subject.package, subject.dataset,
                                                kCalibrationSamples, 1, Metric::kTop1, nullptr));
    subject.calibration = std::move(outcome.calibration);
    report_.Add({fmt::format("{}: float", name), PercentOf(outcome.float_val, outcome.float_test),
                 std::nullopt, "%", "-"});
    return subject;
  }

  static double PercentOf(const Score& a, const Score& b) {
    return kPercent * CountScore(Metric::kTop1, a.correct + b.correct, a.total + b.total).value;
  }

  static BitScheme Uniform(const Subject& subject, const LayerBits& bits) {
    return BitScheme::Uniform(bits.weight_bits, bits.input_bits,
                              InputLayers(subject.package.graph));
  }

  // On all test images, which serve as val and test.
  absl::StatusOr<double> Accuracy(const Subject& subject, const QuantizedModel& model) {
    int64_t correct = 0, total = 0;
    for (const Split split : {Split::kVal, Split::kTest}) {
      const SplitData& data = subject.dataset.split(split);
      const int64_t count = options_.quick ? 500 : data.count;
      MICO_ASSIGN_OR_RETURN(const auto outputs,
                            evaluator_->IntegerForward(model, subject.dataset, split, 0, count));
      const std::vector<int32_t>& logits = outputs.front();
      const size_t width = logits.size() / count;
      for (int64_t i = 0; i < count; ++i) {
        const auto first = logits.begin() + i * width;
        correct += std::max_element(first, first + width) - first == data.labels[i];
        ++total;
      }
      MICO_RETURN_IF_ERROR(Compare(subject, model, split, logits, width));
    }
    return kPercent * static_cast<double>(correct) / static_cast<double>(total);
  }

  // The first images' logits with those of the oracle.
  absl::Status Compare(const Subject& subject, const QuantizedModel& model, Split split,
                       const std::vector<int32_t>& logits, size_t width) {
    for (int64_t image = 0; image < (options_.quick ? 2 : 8); ++image) {
      MICO_ASSIGN_OR_RETURN(
          const std::vector<IntegerTensor> oracle,
          RunInteger(model, QuantizeInput(model, subject.dataset.Prepared(split, image))));
      for (size_t c = 0; c < width; ++c, ++compared_) {
        unequal_ += logits[image * width + c] != oracle.front()[c];
      }
    }
    return absl::OkStatus();
  }

  void Report(const std::string& name, double percent, std::optional<double> goal,
              const std::string& field) {
    // A thousand images say nothing about tenths of a point.
    const std::optional<double> wanted = options_.quick ? std::nullopt : goal;
    report_.Add({name, percent, wanted, "%", field});
  }

  absl::Status MeasureFast(const Subject& subject, const std::vector<Wanted>& all) {
    for (const Wanted& wanted : all) {
      MICO_ASSIGN_OR_RETURN(
          const QuantizedModel model,
          Quantize(subject.package, subject.calibration, Uniform(subject, wanted.bits)));
      MICO_ASSIGN_OR_RETURN(const double percent, Accuracy(subject, model));
      Report(fmt::format("{}: fast PTQ {}", subject.name, PairName(wanted.bits)), percent,
             wanted.goal, wanted.field);
    }
    return Unequal(subject);
  }

  static std::string PairName(const LayerBits& bits) {
    return fmt::format("w{}a{}", bits.weight_bits, bits.input_bits);
  }

  // Those with goals, or the one that was asked for.
  std::vector<Wanted> PairsToReconstruct() const {
    std::vector<Wanted> pairs{{{4, 8}, 91.5, "91.87"},
                              {{4, 4}, 90.7, "90.92"},
                              {{2, 8}, 89.8, "90.12"},
                              {{2, 4}, 88.7, "88.96"}};
    const absl::StatusOr<BitScheme> asked = BitScheme::Parse(options_.only);
    if (!asked.ok() || asked->size() != 1) return pairs;
    for (const Wanted& wanted : pairs) {
      if (wanted.bits == (*asked)[0]) return {wanted};
    }
    return {{(*asked)[0], std::nullopt}};
  }

  absl::Status MeasureReconstruction(const Subject& subject) {
    const std::vector<int64_t> indices =
        ChooseSamples(subject.dataset.train.count, kCalibrationSamples, 1);
    for (const Wanted& wanted : PairsToReconstruct()) {
      const std::string pair = PairName(wanted.bits);
      const Clock::time_point start = Clock::now();
      const double processor_start = ProcessorMinutes();
      MICO_ASSIGN_OR_RETURN(const ReconstructionOutcome outcome,
                            Reconstruct(subject.package, subject.calibration, subject.dataset,
                                        indices, {wanted.bits, options_.reconstruct}, nullptr));
      const double minutes = MinutesSince(start);
      const double processor_minutes = ProcessorMinutes() - processor_start;
      for (size_t i = 0; i < outcome.errors_before.size(); ++i) {
        fmt::print(stderr, "block {}: {:.5f} -> {:.5f}\n", i, outcome.errors_before[i],
                   outcome.errors_after[i]);
      }
      const std::vector<const Reconstruction*> reconstructions{&outcome.reconstruction};
      MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                            Quantize(subject.package, subject.calibration, reconstructions,
                                     Uniform(subject, wanted.bits)));
      MICO_ASSIGN_OR_RETURN(const double percent, Accuracy(subject, model));
      const std::string name = fmt::format("{}: reconstructed {}", subject.name, pair);
      Report(name, percent, wanted.goal, wanted.field);
      report_.Add({name + ", time", minutes, kMostMinutes, "min", "-", Goal::kAtMost});
      report_.Add({name + ", processor time", processor_minutes, std::nullopt, "min", "-"});
    }
    return Unequal(subject);
  }

  absl::Status Unequal(const Subject& subject) {
    if (compared_ == 0) return absl::InternalError("no logit was compared with the oracle");
    report_.Add({subject.name + ": logits unequal to the oracle", static_cast<double>(unequal_),
                 0.0, fmt::format("of {}", compared_), "-", Goal::kAtMost});
    return absl::OkStatus();
  }

  Options options_;
  std::unique_ptr<TorchEvaluator> evaluator_;
  int64_t unequal_ = 0, compared_ = 0;
  BenchReport& report_;
};

int Run(const Options& options) {
  BenchReport report("Post-training quantization");
  Bench bench(options, report);
  absl::Status status = bench.Prepare();
  if (status.ok()) {
    report.Start();
    status = bench.Measure();
  }
  if (!status.ok()) {
    fmt::print(stderr, "ptq_bench: {}\n", status.ToString());
    return 1;
  }
  return report.Finish("ptq_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  mico::Options options;
  options.data = mico::DataFolder(mico::kSourceFolder).value_or("../shared/data");
  CLI::App app{"What fast and reconstructing post-training quantization keep"};
  app.add_option("--data", options.data, "The folder of development data");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.add_option("--only", options.only, "lenet, fast, reconstruct, or a pair of widths");
  app.add_flag("--quick", options.quick, "Fewer images and iterations");
  app.add_option("--threads", options.threads, "Threads; 0: one for each core");
  app.add_option("--iterations", options.reconstruct.iterations, "Of each block's training");
  app.set_version_flag("--version", MICO_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    return mico::Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ptq_bench: {}\n", error.what());
    return 1;
  }
}
