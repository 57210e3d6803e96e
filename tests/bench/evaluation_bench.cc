// How fast the integer evaluation of ResNet-20 is beside libtorch's own forward pass, and whether
// it is exact.
#include <chrono>
#include <cmath>
#include <optional>

#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "tests/bench/libtorch_forward.h"
#include "tests/bench/network_bench.h"
#include "worker/torch/runtime.h"
#include "worker/torch/sample_reader.h"

namespace mico {
namespace {

constexpr char kScript[] = "models/resnet20-cifar10/resnet20_cifar10.ts.pt";

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Bench {
 public:
  Bench(const NetworkBenchOptions& options, BenchReport& report)
      : options_(options), report_(report) {}

  absl::Status Measure() {
    MICO_ASSIGN_OR_RETURN(evaluator_, TorchEvaluator::Create({.threads = options_.threads}));
    MICO_ASSIGN_OR_RETURN(network_, LoadResNet20(options_, 1000, *evaluator_));
    if (options_.IsWanted("speed")) MICO_RETURN_IF_ERROR(MeasureSpeed());
    if (options_.IsWanted("exactness")) MICO_RETURN_IF_ERROR(MeasureExactness());
    return absl::OkStatus();
  }

 private:
  // Seconds of one scheme from its bits to its accuracy on `samples` val images; the float logits
  // are already known, as they are for all schemes of a job but the first.
  absl::StatusOr<double> TimeOneScheme(int64_t samples, int64_t verify_images = 0) {
    const std::vector<BitScheme> schemes{network_.Uniform(4, 8)};
    const Clock::time_point start = Clock::now();
    MICO_ASSIGN_OR_RETURN(
        const auto outcomes,
        evaluator_->Evaluate(
            network_.package, network_.calibration, network_.dataset,
            {.schemes = schemes, .samples = samples, .verify_images = verify_images}, nullptr));
    MICO_RETURN_IF_ERROR(outcomes[0].status);
    return SecondsSince(start);
  }

  absl::StatusOr<double> TimeLibtorch(const LibtorchForward& forward, int64_t samples) const {
    const std::vector<int64_t> indices = ChooseSamples(samples, 0, 1);
    std::vector<float> inputs(samples * network_.dataset.sample_shape.elements());
    SampleReader(network_.dataset, Split::kVal, network_.dataset.sample_shape)
        .Read(indices, inputs.data());
    const int threads = options_.threads > 0 ? options_.threads : AvailableCores();
    const Clock::time_point start = Clock::now();
    const std::vector<int64_t> classes = forward.Classify(inputs, samples, threads, 128);
    const double seconds = SecondsSince(start);
    int64_t correct = 0;
    for (int64_t i = 0; i < samples; ++i) correct += classes[i] == network_.dataset.val.labels[i];
    if (correct * 10 > samples * 8) return seconds;
    return absl::InternalError(
        fmt::format("libtorch classified {} of {} images", correct, samples));
  }

  // Alternating, the best of several each: both see the same machine.
  absl::Status MeasureSpeed() {
    const int64_t samples = 2000;
    const LibtorchForward forward((options_.data / kScript).string());
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
    return absl::OkStatus();
  }

  absl::Status MeasureExactness() {
    Random random(5);
    const int64_t images = options_.quick ? 2 : 10;
    OracleComparison comparison;
    for (int i = 0; i < (options_.quick ? 2 : 8); ++i) {
      std::vector<LayerBits> layers;
      for (const int least :
           LeastInputBits(network_.package.graph, network_.calibration.input_non_negative)) {
        layers.push_back(
            {static_cast<int>(random.Between(1, 8)), static_cast<int>(random.Between(least, 8))});
      }
      MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                            Quantize(network_.package, network_.calibration, BitScheme(layers)));
      MICO_ASSIGN_OR_RETURN(
          const auto outputs,
          evaluator_->IntegerForward(model, network_.dataset, Split::kTest, 0, images));
      const std::vector<int32_t>& logits = outputs.front();
      MICO_RETURN_IF_ERROR(comparison.Compare(model, network_.dataset, Split::kTest, logits,
                                              logits.size() / images, images));
    }
    return comparison.Report("exactness", report_);
  }

  const NetworkBenchOptions& options_;
  BenchReport& report_;
  std::unique_ptr<TorchEvaluator> evaluator_;
  BenchNetwork network_;
};

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  CLI::App app{"Speed and exactness of the integer evaluation, on ResNet-20"};
  mico::NetworkBenchOptions options;
  mico::AddOptions(app, "speed or exactness", options);
  CLI11_PARSE(app, argc, argv);
  return mico::RunNetworkBench(
      "evaluation_bench", "ResNet-20, CIFAR-10", options,
      [&](mico::BenchReport& report) { return mico::Bench(options, report).Measure(); });
}
