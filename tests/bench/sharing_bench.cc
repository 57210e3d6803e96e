// What it saves to do every distinct computation of many schemes once: the same schemes, the same
// weight cache and loops, together and one by one.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>

#include "CLI/CLI.hpp"
#include "base/file.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "model/text_form.h"
#include "search/strategy.h"
#include "tests/bench/bench_report.h"
#include "tests/bench/train_digits.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "worker/torch/runtime.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

constexpr int64_t kImages = 2000;
constexpr size_t kFirstStage = 7;  // layers of ResNet-20 on 32x32
constexpr double kGibibyte = 1 << 30;
const std::vector<int> kWidths{8, 4, 2};

struct Options {
  std::filesystem::path data;
  std::string json, only;
  bool quick = false;
  int threads = 0;
  int64_t worker_images = 0;  // this process is one of those of "workers"
};

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A network, its data and what calibration says of them.
struct Subject {
  ModelPackage package;
  Dataset dataset;
  Calibration calibration;
};

absl::StatusOr<Subject> ResNet20(const Options& options, TorchEvaluator& evaluator) {
  Subject subject;
  MICO_ASSIGN_OR_RETURN(const std::string bytes,
                        ReadFile(options.data / "models/resnet20-cifar10/resnet20_cifar10.onnx"));
  MICO_ASSIGN_OR_RETURN(subject.package, OnnxImporter().Import(bytes));
  MICO_ASSIGN_OR_RETURN(subject.dataset, LoadCifar10(options.data));
  MICO_ASSIGN_OR_RETURN(
      CalibrationOutcome outcome,
      evaluator.Calibrate(subject.package, subject.dataset, 256, 1, Metric::kTop1, nullptr));
  subject.calibration = std::move(outcome.calibration);
  return subject;
}

// Rows of 64 values from 0 to 16 and a label: the first 897 are train, then 600 val, 300 test.
absl::StatusOr<Dataset> LoadDigits(const std::filesystem::path& data) {
  MICO_ASSIGN_OR_RETURN(const std::string text, ReadGzip(data / "digits/digits.csv.gz"));
  std::vector<int> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return absl::DataLossError("digits.csv.gz: not numbers");
    numbers.push_back(number);
    at = next + 1;
  }
  constexpr size_t kRow = 65;
  Dataset dataset;
  dataset.sample_shape = {1, 8, 8};
  dataset.is_uint8 = true;
  dataset.num_classes = 10;
  dataset.preparation.scale = 1.0 / 16.0;
  for (size_t row = 0; row < numbers.size() / kRow; ++row) {
    SplitData& split = row < 897 ? dataset.train : row < 1497 ? dataset.val : dataset.test;
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(row * kRow);
    split.bytes.insert(split.bytes.end(), begin, begin + kRow - 1);
    split.labels.push_back(begin[kRow - 1]);
    ++split.count;
  }
  dataset.digest = Digest::Of(text);
  return dataset;
}

absl::StatusOr<Subject> Digits(const Options& options, TorchEvaluator& evaluator) {
  Subject subject;
  MICO_ASSIGN_OR_RETURN(subject.dataset, LoadDigits(options.data));
  const SplitData& train = subject.dataset.train;
  std::vector<float> images;
  for (const uint8_t byte : train.bytes) images.push_back(static_cast<float>(byte) / 16.0f);
  std::vector<TrainedLayer> layers{{1, 16}, {16, 32}, {32, 64, 2}, {64, 64, 2}, {64, 10, 1, 1}};
  TrainDigits(images, {train.labels.begin(), train.labels.end()}, train.count, 8, 1, layers);
  MICO_ASSIGN_OR_RETURN(Graph graph, ParseGraph("input x 1x8x8\n"
                                                "a = Conv(x) k=3x3 p=1,1,1,1 out=16 relu\n"
                                                "b = Conv(a) k=3x3 p=1,1,1,1 out=32 relu\n"
                                                "c = Conv(b) k=3x3 s=2x2 p=1,1,1,1 out=64 relu\n"
                                                "d = Conv(c) k=3x3 s=2x2 p=1,1,1,1 out=64 relu\n"
                                                "mean = AveragePool(d) k=2x2\n"
                                                "e = Conv(mean) k=1x1 out=10\n"
                                                "output e\n"));
  Weights weights;
  for (TrainedLayer& layer : layers) {
    weights.layers.push_back({std::move(layer.weights), std::move(layer.bias)});
  }
  MICO_ASSIGN_OR_RETURN(subject.package, MakeModelPackage(std::move(graph), std::move(weights)));
  MICO_ASSIGN_OR_RETURN(
      CalibrationOutcome outcome,
      evaluator.Calibrate(subject.package, subject.dataset, 256, 1, Metric::kTop1, nullptr));
  subject.calibration = std::move(outcome.calibration);
  return subject;
}

// Every layer at every pair of widths, the last layer changing fastest.
std::vector<BitScheme> AllSchemes(size_t layers) {
  std::vector<BitScheme> schemes{BitScheme()};
  for (size_t layer = 0; layer < layers; ++layer) {
    std::vector<BitScheme> longer;
    for (const BitScheme& scheme : schemes) {
      for (const int w : kWidths) {
        for (const int a : kWidths) {
          longer.push_back(scheme);
          longer.back().mutable_layers().push_back({w, a});
        }
      }
    }
    schemes = std::move(longer);
  }
  return schemes;
}

SearchSpace SpaceOf(const Subject& subject, int64_t val_samples) {
  SearchSpace space;
  space.input_layers = InputLayers(subject.package.graph);
  for (const bool reads_input : space.input_layers) {
    space.weight_bits.push_back(kWidths);
    space.input_bits.push_back(reads_input ? std::vector<int>{8} : kWidths);
  }
  space.val_samples = val_samples;
  const Graph& graph = subject.package.graph;
  std::vector<int64_t> macs;
  for (const int node : graph.QuantizedLayers())
    macs.push_back(CountMacs(graph, graph.nodes[node]));
  // Products of bits: a device without kernels of its own, for the shape of a front alone.
  space.cost = [macs](const BitScheme& scheme) -> absl::StatusOr<Cost> {
    Cost cost;
    for (size_t i = 0; i < macs.size(); ++i) {
      cost.latency_cycles += macs[i] * (scheme[i].weight_bits + scheme[i].input_bits);
    }
    return cost;
  };
  return space;
}

std::vector<BitScheme> SchemesOf(const Proposal& proposal) {
  std::vector<BitScheme> schemes;
  for (const Candidate& candidate : proposal.candidates) schemes.push_back(candidate.scheme);
  return schemes;
}

class Bench {
 public:
  Bench(Options options, BenchReport& report) : options_(std::move(options)), report_(report) {}

  absl::Status Measure() {
    if (IsWanted("digits")) MICO_RETURN_IF_ERROR(MeasureDigits());
    if (IsWanted("resnet")) MICO_RETURN_IF_ERROR(MeasureResNet());
    if (IsWanted("workers")) MICO_RETURN_IF_ERROR(MeasureWorkers());
    if (!report_.figures().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("no figure is called '{}': digits, resnet, workers", options_.only));
  }

  // One of the processes of MeasureWorkers: evaluates and says how long it took.
  absl::Status WorkAsOne() {
    MICO_ASSIGN_OR_RETURN(const auto evaluator, Evaluator(1, 0));
    MICO_ASSIGN_OR_RETURN(const Subject subject, ResNet20(options_, *evaluator));
    const std::vector<BitScheme> schemes{
        BitScheme::Uniform(8, 8, InputLayers(subject.package.graph))};
    MICO_RETURN_IF_ERROR(Time(*evaluator, subject, schemes, 200).status());
    fmt::print("ready\n");
    std::fflush(stdout);
    if (std::getchar() == EOF) return absl::CancelledError("nobody said go");
    MICO_ASSIGN_OR_RETURN(const double seconds,
                          Time(*evaluator, subject, schemes, options_.worker_images));
    fmt::print("{}\n", seconds);
    return absl::OkStatus();
  }

 private:
  bool IsWanted(std::string_view name) const {
    return options_.only.empty() || options_.only == name;
  }

  static absl::StatusOr<std::unique_ptr<TorchEvaluator>> Evaluator(int threads, int64_t together) {
    return TorchEvaluator::Create({.threads = threads, .schemes_together = together});
  }

  absl::StatusOr<double> Time(TorchEvaluator& evaluator, const Subject& subject,
                              const std::vector<BitScheme>& schemes, int64_t samples,
                              int64_t verify = 0) {
    const Clock::time_point start = Clock::now();
    MICO_ASSIGN_OR_RETURN(
        const auto outcomes,
        evaluator.Evaluate(subject.package, subject.calibration, subject.dataset,
                           {.schemes = schemes, .samples = samples, .verify_images = verify},
                           nullptr));
    for (const SchemeOutcome& outcome : outcomes) MICO_RETURN_IF_ERROR(outcome.status);
    return SecondsSince(start);
  }

  // The ratio of both ways, taken alternately. One by one only every `stride`-th scheme is run.
  absl::Status Compare(const std::string& name, const Subject& subject, int threads,
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
    MICO_RETURN_IF_ERROR(Time(*alone, subject, first, samples, 2).status());
    MICO_RETURN_IF_ERROR(Time(*shared, subject, first, samples, 2).status());
    double together = HUGE_VAL, one_by_one = HUGE_VAL;
    for (int round = 0; round < (options_.quick ? 1 : 2); ++round) {
      MICO_ASSIGN_OR_RETURN(const double a, Time(*alone, subject, some, samples));
      MICO_ASSIGN_OR_RETURN(const double b, Time(*shared, subject, schemes, samples));
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
    MICO_ASSIGN_OR_RETURN(const Subject subject, Digits(options_, *evaluator));
    std::vector<BitScheme> schemes = AllSchemes(5);
    if (options_.quick) schemes.resize(6561);
    // One thread: starting another costs as much as a scheme of so small a network.
    return Compare("digits: exhaustive", subject, 1, std::move(schemes), 0, 97, 25.0);
  }

  absl::Status MeasureResNet() {
    MICO_ASSIGN_OR_RETURN(const auto evaluator, Evaluator(options_.threads, 0));
    MICO_ASSIGN_OR_RETURN(const Subject subject, ResNet20(options_, *evaluator));
    const SearchSpace space = SpaceOf(subject, kImages);
    MICO_ASSIGN_OR_RETURN(const auto strategy, MakeStrategy("sensitivity"));
    SearchHistory history;
    history.budget = 1e6;
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> probes,
                          Ask(*evaluator, subject, *strategy, space, history));
    MICO_RETURN_IF_ERROR(
        Compare("ResNet-20: sensitivity pass", subject, options_.threads, probes, kImages, 4, 1.8));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> front,
                          WholeFront(*evaluator, subject, *strategy, space, history));
    MICO_RETURN_IF_ERROR(
        Compare("ResNet-20: a whole front", subject, options_.threads, front, kImages, 4, 1.8));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> best, Neighbours(space, history, 1, {}));
    // A search refines a limit block by block: first what is cheap to vary, the layers behind the
    // first stage of the network; then, for comparison, all of them at once.
    const BitScheme fixed(
        std::vector<LayerBits>(best[0].layers().begin(), best[0].layers().begin() + kFirstStage));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> block,
                          Neighbours(space, history, 256, fixed));
    MICO_RETURN_IF_ERROR(Compare("ResNet-20: neighbours of one limit", subject, options_.threads,
                                 block, kImages, 8, 3.5));
    MICO_ASSIGN_OR_RETURN(const std::vector<BitScheme> all, Neighbours(space, history, 256, {}));
    MICO_RETURN_IF_ERROR(Compare("ResNet-20: neighbours in every layer", subject, options_.threads,
                                 all, kImages, 8, std::nullopt));
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    report_.Add({"ResNet-20: memory of all that",
                 static_cast<double>(usage.ru_maxrss) * 1024 / kGibibyte, 2.0, "GiB", "-",
                 Goal::kAtMost});
    return absl::OkStatus();
  }

  // Rounds of proposals, evaluated and recorded, until the strategy has proposed its probes; those.
  absl::StatusOr<std::vector<BitScheme>> Ask(TorchEvaluator& evaluator, const Subject& subject,
                                             const SearchStrategy& strategy,
                                             const SearchSpace& space, SearchHistory& history) {
    std::vector<BitScheme> probes;
    while (true) {
      Random random(history.trials.size());
      const Proposal proposal = strategy.Propose(space, history, 1000, random);
      const bool probing = std::any_of(proposal.candidates.begin(), proposal.candidates.end(),
                                       [](const Candidate& c) { return c.samples != 0; });
      if (!probing && !probes.empty()) return probes;
      for (const Candidate& candidate : proposal.candidates) {
        if (candidate.samples != 0) probes.push_back(candidate.scheme);
      }
      MICO_RETURN_IF_ERROR(Record(evaluator, subject, proposal, history));
    }
  }

  absl::Status Record(TorchEvaluator& evaluator, const Subject& subject, const Proposal& proposal,
                      SearchHistory& history) {
    const std::vector<BitScheme> schemes = SchemesOf(proposal);
    if (schemes.empty()) return absl::InternalError("the strategy proposed nothing");
    MICO_ASSIGN_OR_RETURN(const auto outcomes,
                          evaluator.Evaluate(subject.package, subject.calibration, subject.dataset,
                                             {.schemes = schemes, .samples = 500}, nullptr));
    for (size_t i = 0; i < schemes.size(); ++i) {
      MICO_RETURN_IF_ERROR(outcomes[i].status);
      Trial& trial = history.trials.emplace_back();
      trial.number = static_cast<int64_t>(history.trials.size());
      trial.scheme = schemes[i];
      trial.samples = proposal.candidates[i].samples;
      trial.label = proposal.candidates[i].label;
      trial.state = TrialState::kFinished;
      trial.val = outcomes[i].score;
      trial.divergence = outcomes[i].divergence;
    }
    return absl::OkStatus();
  }

  // The members of the front that a search evaluates after its probes, 96 of them.
  absl::StatusOr<std::vector<BitScheme>> WholeFront(TorchEvaluator& evaluator,
                                                    const Subject& subject,
                                                    const SearchStrategy& strategy,
                                                    const SearchSpace& space,
                                                    SearchHistory& history) {
    std::vector<BitScheme> front;
    while (front.size() < 96) {
      Random random(history.trials.size());
      const Proposal proposal = strategy.Propose(space, history, 1000, random);
      if (proposal.candidates.empty()) break;
      for (const BitScheme& scheme : SchemesOf(proposal)) front.push_back(scheme);
      MICO_RETURN_IF_ERROR(Record(evaluator, subject, proposal, history));
    }
    return front;
  }

  // Of all schemes that begin with `fixed` and whose cost is within 2 % below 0.7 of the largest,
  // those with the least sum of single-layer losses: what a search that refines one limit looks at.
  // Sums are kept by cost in steps of a thousandth of the limit, `count` of each.
  absl::StatusOr<std::vector<BitScheme>> Neighbours(const SearchSpace& space,
                                                    const SearchHistory& history, size_t count,
                                                    const BitScheme& fixed) {
    const BitScheme widest = WidestOf(space);
    MICO_ASSIGN_OR_RETURN(const Cost most, space.cost(widest));
    const double limit = 0.7 * static_cast<double>(most.latency_cycles);
    std::map<BitScheme, double> losses;
    for (const Trial& trial : history.trials) {
      if (trial.is_probe()) losses[trial.scheme] = trial.divergence;
    }
    std::map<int64_t, std::vector<Partial>> sums;
    sums[0] = {{0.0, widest}};
    for (size_t layer = 0; layer < widest.size(); ++layer) {
      std::map<int64_t, std::vector<Partial>> longer;
      for (const auto& [steps, partials] : sums) {
        for (const LayerBits bits : OptionsOf(space, layer, fixed)) {
          const BitScheme changed = With(widest, layer, bits);
          MICO_ASSIGN_OR_RETURN(const Cost cost, space.cost(changed));
          const double saved = static_cast<double>(most.latency_cycles - cost.latency_cycles);
          const double loss = losses[With(widest, layer, {bits.weight_bits, 8})] +
                              losses[With(widest, layer, {8, bits.input_bits})];
          auto& place = longer[steps + std::llround(1000 * saved / limit)];
          for (const Partial& partial : partials) {
            place.push_back({partial.loss + loss, With(partial.scheme, layer, bits)});
          }
        }
      }
      for (auto& [steps, partials] : longer) KeepBest(partials, count);
      sums = std::move(longer);
    }
    std::vector<Partial> near;
    for (const auto& [steps, partials] : sums) {
      for (const Partial& partial : partials) {
        MICO_ASSIGN_OR_RETURN(const Cost cost, space.cost(partial.scheme));
        const double share = static_cast<double>(cost.latency_cycles) / limit;
        if (share > 0.98 && share <= 1.0) near.push_back(partial);
      }
    }
    KeepBest(near, count);
    if (near.size() < count) return absl::InternalError("too few neighbours");
    std::vector<BitScheme> schemes;
    schemes.reserve(near.size());
    for (const Partial& partial : near) schemes.push_back(partial.scheme);
    return schemes;
  }

  struct Partial {
    double loss = 0.0;
    BitScheme scheme;
  };
  static void KeepBest(std::vector<Partial>& partials, size_t count) {
    std::stable_sort(partials.begin(), partials.end(),
                     [](const Partial& a, const Partial& b) { return a.loss < b.loss; });
    if (partials.size() > count) partials.resize(count);
  }
  static BitScheme WidestOf(const SearchSpace& space) {
    return BitScheme(std::vector<LayerBits>(space.weight_bits.size(), LayerBits{8, 8}));
  }
  static BitScheme With(BitScheme scheme, size_t layer, LayerBits bits) {
    scheme.mutable_layers()[layer] = bits;
    return scheme;
  }
  static std::vector<LayerBits> OptionsOf(const SearchSpace& space, size_t layer,
                                          const BitScheme& fixed) {
    if (layer < fixed.size()) return {fixed[layer]};
    std::vector<LayerBits> options;
    for (const int w : space.weight_bits[layer]) {
      for (const int a : space.input_bits[layer]) options.push_back({w, a});
    }
    return options;
  }

  // Processes of one thread each, that start at the same time.
  absl::Status MeasureWorkers() {
    double one = HUGE_VAL, two = HUGE_VAL;
    for (int round = 0; round < (options_.quick ? 1 : 3); ++round) {
      MICO_ASSIGN_OR_RETURN(const double alone, SlowestOf(1));
      MICO_ASSIGN_OR_RETURN(const double both, SlowestOf(2));
      one = std::min(one, alone);
      two = std::min(two, both);
    }
    report_.Add({"workers: two against one", 2 * one / two, 1.7, "ratio", "-"});
    return absl::OkStatus();
  }

  absl::StatusOr<double> SlowestOf(int count) {
    std::vector<FILE*> replies, orders;
    for (int i = 0; i < count; ++i) MICO_RETURN_IF_ERROR(StartWorker(replies, orders));
    std::array<char, 128> line{};
    const auto next = [&](FILE* from) -> absl::StatusOr<std::string> {
      if (std::fgets(line.data(), line.size(), from) == nullptr) {
        return absl::InternalError("a worker process ended");
      }
      return std::string(line.data());
    };
    for (FILE* reply : replies) MICO_RETURN_IF_ERROR(next(reply).status());
    for (FILE* order : orders) {
      std::fputs("go\n", order);
      std::fflush(order);
    }
    double slowest = 0.0;
    for (FILE* reply : replies) {
      MICO_ASSIGN_OR_RETURN(const std::string text, next(reply));
      slowest = std::max(slowest, std::strtod(text.c_str(), nullptr));
    }
    for (FILE* file : replies) std::fclose(file);
    for (FILE* file : orders) std::fclose(file);
    while (wait(nullptr) > 0) continue;
    return slowest;
  }

  absl::Status StartWorker(std::vector<FILE*>& replies, std::vector<FILE*>& orders) const {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) {
      return absl::InternalError("no pipe");
    }
    const std::string data = options_.data.string();
    const std::string images = std::to_string(options_.quick ? 1000 : 5000);
    const pid_t child = fork();
    if (child == 0) {
      dup2(to_child[0], STDIN_FILENO);
      dup2(from_child[1], STDOUT_FILENO);
      execl("/proc/self/exe", "sharing_bench", "--data", data.c_str(), "--worker-images",
            images.c_str(), nullptr);
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    orders.push_back(fdopen(to_child[1], "w"));
    replies.push_back(fdopen(from_child[0], "r"));
    return child > 0 ? absl::OkStatus() : absl::InternalError("no process");
  }

  const Options options_;
  BenchReport& report_;
};

int Run(const Options& options) {
  BenchReport report("Evaluating many schemes");
  Bench bench(options, report);
  const bool is_worker = options.worker_images > 0;
  if (!is_worker) report.Start();
  const absl::Status status = is_worker ? bench.WorkAsOne() : bench.Measure();
  if (!status.ok()) {
    fmt::print(stderr, "sharing_bench: {}\n", status.ToString());
    return 1;
  }
  return is_worker ? 0 : report.Finish("sharing_bench", options.json);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  mico::PrepareProcess(argc, argv);
  mico::Options options;
  options.data = mico::DataFolder(mico::kSourceFolder).value_or("../shared/data");
  options.threads = mico::AvailableCores();
  CLI::App app{"What sharing saves when many schemes are evaluated"};
  app.add_option("--data", options.data, "The folder of development data");
  app.add_option("--json", options.json, "Write the figures to this file");
  app.add_option("--only", options.only, "digits, resnet or workers");
  app.add_flag("--quick", options.quick, "Fewer rounds and schemes");
  app.add_option("--threads", options.threads, "Threads for ResNet-20");
  app.add_option("--worker-images", options.worker_images)->group("");
  app.set_version_flag("--version", MICO_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    return mico::Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "sharing_bench: {}\n", error.what());
    return 1;
  }
}
