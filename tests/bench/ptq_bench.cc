// What post-training quantization keeps of a network: fast and with reconstruction, in the integers
// of the oracle, and how long it takes.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/reconstruction.h"
#include "tests/bench/network_bench.h"
#include "worker/torch/reconstruct.h"
#include "worker/torch/runtime.h"

namespace mico {
namespace {

constexpr double kPercent = 100.0;
constexpr double kMostMinutes = 10.0;
constexpr int64_t kCalibrationSamples = 1024;

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

class Bench {
 public:
  Bench(const NetworkBenchOptions& options, ReconstructOptions reconstruct, BenchReport& report)
      : options_(options), reconstruct_(reconstruct), report_(report) {
    reconstruct_.threads = options_.threads > 0 ? options_.threads : AvailableCores();
    if (options_.quick) reconstruct_.iterations = 100;
  }

  absl::Status Measure() {
    MICO_ASSIGN_OR_RETURN(evaluator_, TorchEvaluator::Create({.threads = options_.threads}));
    if (IsWanted("lenet")) {
      MICO_ASSIGN_OR_RETURN(const BenchNetwork lenet,
                            LoadLeNet5(options_, kCalibrationSamples, *evaluator_));
      MICO_RETURN_IF_ERROR(MeasureFast(lenet, {{{4, 4}, 98.8}}));
    }
    if (IsWanted("fast") || IsWanted("reconstruct")) {
      MICO_ASSIGN_OR_RETURN(const BenchNetwork resnet,
                            LoadResNet20(options_, kCalibrationSamples, *evaluator_));
      if (IsWanted("fast")) {
        MICO_RETURN_IF_ERROR(MeasureFast(resnet, {{{8, 8}, 91.6},
                                                  {{4, 8}, 89.8, "89.99"},
                                                  {{4, 4}, 87.0, "87.4"},
                                                  {{8, 4}, std::nullopt},
                                                  {{2, 8}, std::nullopt}}));
      }
      if (IsWanted("reconstruct")) MICO_RETURN_IF_ERROR(MeasureReconstruction(resnet));
    }
    return absl::OkStatus();
  }

 private:
  bool IsWanted(std::string_view name) const {
    const bool is_pair = BitScheme::Parse(options_.only).ok();
    return options_.IsWanted(name) || (is_pair && name == "reconstruct");
  }

  // On all test images, which serve as val and test.
  absl::StatusOr<double> Accuracy(const BenchNetwork& subject, const QuantizedModel& model) {
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
      MICO_RETURN_IF_ERROR(comparison_.Compare(model, subject.dataset, split, logits, width,
                                               options_.quick ? 2 : 8));
    }
    return kPercent * static_cast<double>(correct) / static_cast<double>(total);
  }

  void Report(const std::string& name, double percent, std::optional<double> goal,
              const std::string& field) {
    // A thousand images say nothing about tenths of a point.
    const std::optional<double> wanted = options_.quick ? std::nullopt : goal;
    report_.Add({name, percent, wanted, "%", field});
  }

  absl::Status MeasureFast(const BenchNetwork& subject, const std::vector<Wanted>& all) {
    report_.Add({subject.name + ": float", subject.float_percent, std::nullopt, "%", "-"});
    for (const Wanted& wanted : all) {
      MICO_ASSIGN_OR_RETURN(
          const QuantizedModel model,
          Quantize(subject.package, subject.calibration,
                   subject.Uniform(wanted.bits.weight_bits, wanted.bits.input_bits)));
      MICO_ASSIGN_OR_RETURN(const double percent, Accuracy(subject, model));
      Report(fmt::format("{}: fast PTQ {}", subject.name, PairName(wanted.bits)), percent,
             wanted.goal, wanted.field);
    }
    return comparison_.Report(subject.name, report_);
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

  absl::Status MeasureReconstruction(const BenchNetwork& subject) {
    const std::vector<int64_t> indices =
        ChooseSamples(subject.dataset.train.count, kCalibrationSamples, 1);
    for (const Wanted& wanted : PairsToReconstruct()) {
      const std::string pair = PairName(wanted.bits);
      const Clock::time_point start = Clock::now();
      const double processor_start = ProcessorMinutes();
      MICO_ASSIGN_OR_RETURN(const ReconstructionOutcome outcome,
                            Reconstruct(subject.package, subject.calibration, subject.dataset,
                                        indices, {wanted.bits, reconstruct_}, nullptr));
      const double minutes = MinutesSince(start);
      const double processor_minutes = ProcessorMinutes() - processor_start;
      for (size_t i = 0; i < outcome.errors_before.size(); ++i) {
        fmt::print(stderr, "block {}: {:.5f} -> {:.5f}\n", i, outcome.errors_before[i],
                   outcome.errors_after[i]);
      }
      const std::vector<const Reconstruction*> reconstructions{&outcome.reconstruction};
      MICO_ASSIGN_OR_RETURN(
          const QuantizedModel model,
          Quantize(subject.package, subject.calibration, reconstructions,
                   subject.Uniform(wanted.bits.weight_bits, wanted.bits.input_bits)));
      MICO_ASSIGN_OR_RETURN(const double percent, Accuracy(subject, model));
      const std::string name = fmt::format("{}: reconstructed {}", subject.name, pair);
      Report(name, percent, wanted.goal, wanted.field);
      report_.Add({name + ", time", minutes, kMostMinutes, "min", "-", Goal::kAtMost});
      report_.Add({name + ", processor time", processor_minutes, std::nullopt, "min", "-"});
    }
    return comparison_.Report(subject.name, report_);
  }

  const NetworkBenchOptions& options_;
  ReconstructOptions reconstruct_;
  std::unique_ptr<TorchEvaluator> evaluator_;
  OracleComparison comparison_;
  BenchReport& report_;
};

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  CLI::App app{"What fast and reconstructing post-training quantization keep"};
  mico::NetworkBenchOptions options;
  mico::ReconstructOptions reconstruct;
  mico::AddOptions(app, "lenet, fast, reconstruct, or a pair of widths like w2a4", options);
  app.add_option("--iterations", reconstruct.iterations, "Of each block's training");
  CLI11_PARSE(app, argc, argv);
  return mico::RunNetworkBench("ptq_bench", "Post-training quantization", options,
                               [&](mico::BenchReport& report) {
                                 return mico::Bench(options, reconstruct, report).Measure();
                               });
}
