// What it saves to do every distinct computation of many schemes once: the same schemes, the same
// weight cache and loops, together and one by one.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "tests/bench/digits_network.h"
#include "tests/bench/network_bench.h"
#include "tests/bench/sharing_schemes.h"
#include "tests/bench/two_workers.h"
#include "worker/torch/runtime.h"

namespace mico {
namespace {

constexpr int64_t kImages = 2000;
constexpr size_t kFirstStage = 7;  // layers of ResNet-20 on 32x32
constexpr size_t kFrontMembers = 96, kNeighbours = 256;
constexpr double kGibibyte = 1 << 30;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Bench {
 public:
  Bench(const NetworkBenchOptions& options, BenchReport& report)
      : options_(options),
        threads_(options.threads > 0 ? options.threads : AvailableCores()),
        report_(report) {}

  absl::Status Measure() {
    if (options_.IsWanted("digits")) MICO_RETURN_IF_ERROR(MeasureDigits());
    if (options_.IsWanted("resnet")) MICO_RETURN_IF_ERROR(MeasureResNet());
    if (options_.IsWanted("workers")) return MeasureTwoWorkers(options_, report_);
    return absl::OkStatus();
  }

 private:
  static absl::StatusOr<std::unique_ptr<TorchEvaluator>> Evaluator(int threads, int64_t together) {
    return TorchEvaluator::Create({.threads = threads, .schemes_together = together});
  }

  absl::StatusOr<double> Time(TorchEvaluator& evaluator, const BenchNetwork& network,
                              const std::vector<BitScheme>& schemes, int64_t samples,
                              int64_t verify = 0) {
    const Clock::time_point start = Clock::now();
    MICO_ASSIGN_OR_RETURN(
        const auto outcomes,
        evaluator.Evaluate(network.package, network.calibration, network.dataset,
                           {.schemes = schemes, .samples = samples, .verify_images = verify},
                           nullptr));
    for (const SchemeOutcome& outcome : outcomes) MICO_RETURN_IF_ERROR(outcome.status);
    return SecondsSince(start);
  }

  // The ratio of both ways, taken alternately. One by one only every `stride`-th scheme is run.
  absl::Status Compare(const std::string& name, const BenchNetwork& network, int threads,
                       std::vector<BitScheme> schemes, int64_t samples, size_t stride,
                       std::optional<double> goal) {
    MICO_ASSIGN_OR_RETURN(const auto shared, Evaluator(threads, 0));
    MICO_ASSIGN_OR_RETURN(const auto alone, Evaluator(threads, 1));
    Random random(3);
    for (size_t i = schemes.size(); i > 1; --i) std::swap(schemes[i - 1], schemes[random.Below(i)]);
    std::vector<BitScheme> some;
    for (size_t i = 0; i < schemes.size(); i += stride) some.push_back(schemes[i]);
    // Fills the caches of both; checked against the oracle in the same go.
    const std::vector<BitScheme> first(some.begin(),
                                       some.begin() + std::min<size_t>(some.size(), 20));
    MICO_RETURN_IF_ERROR(Time(*alone, network, first, samples, 2).status());
    MICO_RETURN_IF_ERROR(Time(*shared, network, first, samples, 2).status());
    double together = HUGE_VAL, one_by_one = HUGE_VAL;
    for (int round = 0; round < (options_.quick ? 1 : 2); ++round) {
      MICO_ASSIGN_OR_RETURN(const double a, Time(*alone, network, some, samples));
      MICO_ASSIGN_OR_RETURN(const double b, Time(*shared, network, schemes, samples));
      one_by_one = std::min(one_by_one, a / static_cast<double>(some.size()));
      together = std::min(together, b / static_cast<double>(schemes.size()));
    }
    report_.Add({name, one_by_one / together, goal, "ratio", "-"});
    report_.Add({name + ": schemes", static_cast<double>(schemes.size()), std::nullopt, "", "-"});
    report_.Add({name + ": together", 1.0 / together, std::nullopt, "evaluations/s", "-"});
    report_.Add({name + ": one by one", 1.0 / one_by_one, std::nullopt, "evaluations/s", "-"});
    return absl::OkStatus();
  }

  absl::Status MeasureDigits() {
    MICO_ASSIGN_OR_RETURN(const auto evaluator, Evaluator(1, 0));
    MICO_ASSIGN_OR_RETURN(const BenchNetwork network, LoadDigitsNetwork(options_, *evaluator));
    std::vector<BitScheme> schemes = AllSchemes(5);
    if (options_.quick) schemes.resize(6561);
    // One thread: starting another costs as much as a scheme of so small a network.
    return Compare("digits: exhaustive", network, 1, std::move(schemes), 0, 97, 25.0);
  }

  absl::Status MeasureResNet() {
    MICO_ASSIGN_OR_RETURN(const auto evaluator, Evaluator(threads_, 0));
    MICO_ASSIGN_OR_RETURN(const BenchNetwork network, LoadResNet20(options_, 256, *evaluator));
    const SearchSpace space = SpaceOf(network, kImages);
    StrategyRounds rounds(*evaluator, network, space);
    const auto compare = [&](const char* name, const std::vector<BitScheme>& schemes, size_t stride,
                             std::optional<double> goal) {
      return Compare(fmt::format("ResNet-20: {}", name), network, threads_, schemes, kImages,
                     stride, goal);
    };
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> probes, rounds.Probes());
    MICO_RETURN_IF_ERROR(compare("sensitivity pass", probes, 4, 1.8));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> front, rounds.Front(kFrontMembers));
    MICO_RETURN_IF_ERROR(compare("a whole front", front, 4, 1.8));
    // A search refines a limit block by block: first what is cheap to vary, the layers behind the
    // first stage of the network; then, for comparison, all of them at once.
    const SearchHistory& history = rounds.history();
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> best, Neighbours(space, history, 1, {}));
    const std::vector<LayerBits>& layers = best.front().layers();
    const BitScheme fixed(std::vector<LayerBits>(layers.begin(), layers.begin() + kFirstStage));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> block,
                          Neighbours(space, history, kNeighbours, fixed));
    MICO_RETURN_IF_ERROR(compare("neighbours of one limit", block, 8, 3.5));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> all,
                          Neighbours(space, history, kNeighbours, {}));
    MICO_RETURN_IF_ERROR(compare("neighbours in every layer", all, 8, std::nullopt));
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    report_.Add({"ResNet-20: memory of all that",
                 static_cast<double>(usage.ru_maxrss) * 1024 / kGibibyte, 2.0, "GiB", "-",
                 Goal::kAtMost});
    return absl::OkStatus();
  }

  const NetworkBenchOptions& options_;
  const int threads_;
  BenchReport& report_;
};

int RunAsWorker(const NetworkBenchOptions& options, int64_t images) {
  const absl::Status status = WorkAsOne(options, images);
  if (!status.ok()) fmt::print(stderr, "sharing_bench: {}\n", status.ToString());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  CLI::App app{"What sharing saves when many schemes are evaluated"};
  mico::NetworkBenchOptions options;
  mico::AddOptions(app, "digits, resnet or workers", options);
  int64_t worker_images = 0;
  app.add_option("--worker-images", worker_images)->group("");  // one of two_workers.h
  CLI11_PARSE(app, argc, argv);
  if (worker_images > 0) return mico::RunAsWorker(options, worker_images);
  return mico::RunNetworkBench(
      "sharing_bench", "Evaluating many schemes", options,
      [&](mico::BenchReport& report) { return mico::Bench(options, report).Measure(); });
}
