#include "worker/torch/torch_evaluator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <tuple>

#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/torch/float_network.h"
#include "worker/torch/integer_network.h"
#include "worker/torch/logits.h"
#include "worker/torch/parallel_batches.h"
#include "worker/torch/prefix_plan.h"
#include "worker/torch/runtime.h"
#include "worker/torch/sample_reader.h"
#include "worker/torch/self_test.h"
#include "worker/torch/statistics.h"

namespace mico {
namespace {

// Decides which samples stand for a split; the same for every scheme, so that they compare.
constexpr uint64_t kEvaluationSeed = 1;
// Schemes that go through a batch of samples one after another, sharing what they have in common.
constexpr size_t kSchemesTogether = 16;
// Float logits of the last few (model, data, samples) are kept for the divergence of later calls.
constexpr size_t kMostCachedLogits = 4;

absl::Status CheckFit(const Shape& input, const Shape& output, const Dataset& dataset) {
  if (input != dataset.sample_shape) {
    return absl::InvalidArgumentError(
        fmt::format("the data set's samples are {}; the network reads {}",
                    ToString(dataset.sample_shape), ToString(input)));
  }
  if (dataset.num_classes > output.elements()) {
    return absl::InvalidArgumentError(
        fmt::format("the data set has labels up to {}; the network has {} outputs",
                    dataset.num_classes - 1, output.elements()));
  }
  return absl::OkStatus();
}

absl::Status CheckFit(const ModelPackage& package, const Dataset& dataset) {
  const Graph& graph = package.graph;
  return CheckFit(graph.values[graph.input].shape, graph.values[graph.output].shape, dataset);
}

absl::Status CheckFit(const QuantizedModel& model, const Dataset& dataset) {
  const QuantizedGraph& graph = model.graph;
  return CheckFit(graph.tensors[graph.input].shape, graph.tensors[graph.output].shape, dataset);
}

absl::StatusOr<std::vector<int64_t>> RangeOf(const Dataset& dataset, Split split, int64_t first,
                                             int64_t count) {
  const int64_t total = dataset.split(split).count;
  if (first < 0 || count < 0 || first > total || count > total - first) {
    return absl::InvalidArgumentError(fmt::format("samples {} to {} of {}; there are {}", first,
                                                  first + count, ToString(split), total));
  }
  std::vector<int64_t> indices(count);
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

// The part of a longer piece of work that lies between two shares, as progress of the whole.
KeepGoing Part(const KeepGoing& keep_going, double from, double to) {
  if (!keep_going) return nullptr;
  return [&keep_going, from, to](double share) { return keep_going(from + (to - from) * share); };
}

// Logits of chosen samples and what they were computed from.
struct CachedLogits {
  std::string key;
  std::vector<float> logits;
};

// The values whose statistics decide scales.
std::vector<int> ProducersOf(const Graph& graph, bool input_non_negative) {
  std::vector<int> producers;
  for (const std::vector<int>& group : GroupValues(graph, input_non_negative).producers) {
    producers.insert(producers.end(), group.begin(), group.end());
  }
  return producers;
}

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

// One model and what is known of its outputs so far. Threads write to different samples.
struct Judgement {
  Judgement(SchemeOutcome& outcome_of, IntegerNetwork network_of, size_t samples)
      : outcome(outcome_of),
        network(std::move(network_of)),
        divergences(samples),
        is_correct(samples) {}

  void Judge(const Batch& batch, const BatchTensor& output, std::span<const int64_t> indices,
             const std::vector<int32_t>& labels, const std::vector<float>& reference) {
    const size_t width = output.shape.elements();
    for (int64_t i = 0; i < batch.count; ++i) {
      const int64_t sample = batch.first + i;
      const std::span<const float> logits = output.span().subspan(i * width, width);
      is_correct[sample] = ArgMax(logits) == labels[indices[sample]];
      divergences[sample] = KlDivergence(std::span(reference).subspan(sample * width, width),
                                         logits, outcome.model.output_scale());
    }
  }

  // Sums in the order of the samples, so that the result does not depend on the threads.
  void Finish(int threads) {
    const auto total = static_cast<int64_t>(is_correct.size());
    outcome.accuracy = {std::accumulate(is_correct.begin(), is_correct.end(), int64_t{0}), total};
    outcome.kl = std::accumulate(divergences.begin(), divergences.end(), 0.0) /
                 static_cast<double>(std::max<int64_t>(total, 1));
    outcome.duration += std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::nanoseconds(nanoseconds.load() / threads));
  }

  SchemeOutcome& outcome;
  IntegerNetwork network;
  std::vector<double> divergences;
  std::vector<char> is_correct;
  std::atomic<int64_t> nanoseconds{0};
};

}  // namespace

struct TorchEvaluator::State {
  int threads = 1;
  int64_t batch_size = 1;
  std::deque<CachedLogits> cached_logits;

  using BatchResult = std::function<absl::Status(Batch batch, const BatchTensor& output)>;

  // Runs `network` over the samples in batches.
  template <typename Network>
  absl::Status RunOver(const Network& network, const SampleReader& reader, const Shape& shape,
                       std::span<const int64_t> indices, const BatchResult& use,
                       const KeepGoing& keep_going) const {
    const auto work = [&](Batch batch) {
      const BatchTensor input = BatchTensor::Empty(batch.count, shape);
      reader.Read(indices.subspan(batch.first, batch.count), input.data());
      return use(batch, network.Run(input));
    };
    return ForEachBatch(threads, static_cast<int64_t>(indices.size()), batch_size, work,
                        keep_going);
  }

  absl::StatusOr<std::vector<float>> FloatLogits(const ModelPackage& package,
                                                 const Dataset& dataset, Split split,
                                                 std::span<const int64_t> indices,
                                                 const KeepGoing& keep_going) const;
  absl::StatusOr<const std::vector<float>*> CachedFloatLogits(const ModelPackage& package,
                                                              const Dataset& dataset, Split split,
                                                              std::span<const int64_t> indices,
                                                              const KeepGoing& keep_going);
  absl::StatusOr<Accuracy> FloatAccuracy(const ModelPackage& package, const Dataset& dataset,
                                         Split split, const KeepGoing& keep_going);
  absl::StatusOr<std::vector<TensorStatistics>> Ranges(const ModelPackage& package,
                                                       const Dataset& dataset,
                                                       std::span<const int64_t> indices,
                                                       const std::vector<int>& producers,
                                                       const KeepGoing& keep_going) const;
  absl::Status Count(const ModelPackage& package, const Dataset& dataset,
                     std::span<const int64_t> indices, const std::vector<int>& producers,
                     std::vector<TensorStatistics>& statistics, const KeepGoing& keep_going) const;
  absl::Status QuantizeAll(const ModelPackage& package, const Calibration& calibration,
                           std::span<const BitScheme> schemes,
                           std::span<SchemeOutcome> outcomes) const;
  absl::Status EvaluateModels(const Dataset& dataset, Split split, std::span<const int64_t> indices,
                              const std::vector<float>& reference,
                              std::span<SchemeOutcome> outcomes, const KeepGoing& keep_going) const;
};

absl::StatusOr<std::vector<float>> TorchEvaluator::State::FloatLogits(
    const ModelPackage& package, const Dataset& dataset, Split split,
    std::span<const int64_t> indices, const KeepGoing& keep_going) const {
  const Graph& graph = package.graph;
  const int64_t width = graph.values[graph.output].shape.elements();
  std::vector<float> logits(indices.size() * width);
  const auto keep = [&](Batch batch, const BatchTensor& output) {
    const std::span<const float> values = output.span();
    std::copy(values.begin(), values.end(), logits.begin() + batch.first * width);
    return absl::OkStatus();
  };
  const FloatNetwork network(package);
  MICO_RETURN_IF_ERROR(RunOver(network, SampleReader(dataset, split),
                               graph.values[graph.input].shape, indices, keep, keep_going));
  return logits;
}

absl::StatusOr<const std::vector<float>*> TorchEvaluator::State::CachedFloatLogits(
    const ModelPackage& package, const Dataset& dataset, Split split,
    std::span<const int64_t> indices, const KeepGoing& keep_going) {
  const std::string key = fmt::format("{}/{}/{}/{}", package.digest.hex(), dataset.digest.hex(),
                                      ToString(split), indices.size());
  const auto is_wanted = [&](const CachedLogits& cached) {
    return !dataset.digest.empty() && cached.key == key;
  };
  const auto found = std::find_if(cached_logits.begin(), cached_logits.end(), is_wanted);
  if (found != cached_logits.end()) return &found->logits;
  MICO_ASSIGN_OR_RETURN(std::vector<float> logits,
                        FloatLogits(package, dataset, split, indices, keep_going));
  if (cached_logits.size() == kMostCachedLogits) cached_logits.pop_front();
  cached_logits.push_back({key, std::move(logits)});
  return &cached_logits.back().logits;
}

absl::StatusOr<Accuracy> TorchEvaluator::State::FloatAccuracy(const ModelPackage& package,
                                                              const Dataset& dataset, Split split,
                                                              const KeepGoing& keep_going) {
  const std::vector<int32_t>& labels = dataset.split(split).labels;
  const std::vector<int64_t> all = ChooseSamples(dataset.split(split).count, 0, kEvaluationSeed);
  MICO_ASSIGN_OR_RETURN(const std::vector<float>* logits,
                        CachedFloatLogits(package, dataset, split, all, keep_going));
  const size_t width = logits->size() / labels.size();
  Accuracy accuracy{.total = static_cast<int64_t>(labels.size())};
  for (size_t i = 0; i < labels.size(); ++i) {
    accuracy.correct += ArgMax(std::span(*logits).subspan(i * width, width)) == labels[i];
  }
  return accuracy;
}

absl::StatusOr<std::vector<TensorStatistics>> TorchEvaluator::State::Ranges(
    const ModelPackage& package, const Dataset& dataset, std::span<const int64_t> indices,
    const std::vector<int>& producers, const KeepGoing& keep_going) const {
  const Graph& graph = package.graph;
  std::vector<TensorStatistics> statistics(graph.values.size());
  for (TensorStatistics& values : statistics) {
    values.least = std::numeric_limits<double>::infinity();
    values.most = -values.least;
  }
  std::vector<bool> is_producer(graph.values.size(), false);
  for (const int value : producers) is_producer[value] = true;
  absl::Mutex mutex;
  const FloatNetwork network(package);
  const SampleReader reader(dataset, Split::kTrain);
  const auto widen = [&](int value, const BatchTensor& tensor) {
    if (!is_producer[value]) return;
    const ValueRange seen = RangeOfValues(tensor.span());
    absl::MutexLock lock(&mutex);
    statistics[value].least = std::min<double>(statistics[value].least, seen.least);
    statistics[value].most = std::max<double>(statistics[value].most, seen.most);
  };
  const auto work = [&](Batch batch) {
    const BatchTensor input = BatchTensor::Empty(batch.count, dataset.sample_shape);
    reader.Read(indices.subspan(batch.first, batch.count), input.data());
    network.Run(input, widen);
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(
      ForEachBatch(threads, static_cast<int64_t>(indices.size()), batch_size, work, keep_going));
  for (const int value : producers) {
    if (std::isfinite(statistics[value].least) && std::isfinite(statistics[value].most)) continue;
    return absl::InvalidArgumentError(
        fmt::format("value '{}' is not finite for some sample of train; needed finite activations",
                    graph.values[value].name));
  }
  return statistics;
}

absl::Status TorchEvaluator::State::Count(const ModelPackage& package, const Dataset& dataset,
                                          std::span<const int64_t> indices,
                                          const std::vector<int>& producers,
                                          std::vector<TensorStatistics>& statistics,
                                          const KeepGoing& keep_going) const {
  // A lock per value: threads are rarely at the same one.
  std::vector<absl::Mutex> mutexes(statistics.size());
  std::vector<bool> is_producer(statistics.size(), false);
  for (const int value : producers) is_producer[value] = true;
  const FloatNetwork network(package);
  const SampleReader reader(dataset, Split::kTrain);
  const auto count = [&](int value, const BatchTensor& tensor) {
    if (!is_producer[value]) return;
    TensorStatistics mine;
    mine.least = statistics[value].least;
    mine.most = statistics[value].most;
    CountInto(mine, tensor.span());
    absl::MutexLock lock(&mutexes[value]);
    MergeCounts(statistics[value], mine);
  };
  const auto work = [&](Batch batch) {
    const BatchTensor input = BatchTensor::Empty(batch.count, dataset.sample_shape);
    reader.Read(indices.subspan(batch.first, batch.count), input.data());
    network.Run(input, count);
    return absl::OkStatus();
  };
  return ForEachBatch(threads, static_cast<int64_t>(indices.size()), batch_size, work, keep_going);
}

absl::Status TorchEvaluator::State::QuantizeAll(const ModelPackage& package,
                                                const Calibration& calibration,
                                                std::span<const BitScheme> schemes,
                                                std::span<SchemeOutcome> outcomes) const {
  const auto quantize = [&](Batch batch) {
    SchemeOutcome& outcome = outcomes[batch.first];
    const Clock::time_point start = Clock::now();
    absl::StatusOr<QuantizedModel> model = Quantize(package, calibration, schemes[batch.first]);
    outcome.status = model.status();
    if (model.ok()) {
      outcome.model = std::move(*model);
      outcome.model_digest = DigestOf(outcome.model);
    }
    outcome.duration = MillisecondsSince(start);
    return absl::OkStatus();
  };
  return ForEachBatch(threads, static_cast<int64_t>(schemes.size()), 1, quantize, nullptr);
}

absl::Status TorchEvaluator::State::EvaluateModels(const Dataset& dataset, Split split,
                                                   std::span<const int64_t> indices,
                                                   const std::vector<float>& reference,
                                                   std::span<SchemeOutcome> outcomes,
                                                   const KeepGoing& keep_going) const {
  std::deque<Judgement> judgements;
  std::vector<const QuantizedModel*> models;
  for (SchemeOutcome& outcome : outcomes) {
    if (!outcome.status.ok()) continue;
    absl::StatusOr<IntegerNetwork> network = IntegerNetwork::Prepare(outcome.model);
    outcome.status = network.status();
    if (!network.ok()) continue;
    models.push_back(&outcome.model);
    judgements.emplace_back(outcome, std::move(*network), indices.size());
  }
  if (models.empty()) return absl::OkStatus();
  const PrefixPlan plan = PlanPrefixes(models);
  const std::vector<int32_t>& labels = dataset.split(split).labels;
  const auto work = [&](Batch batch) {
    std::vector<BatchTensor> tensors;
    for (size_t i = 0; i < models.size(); ++i) {
      const Clock::time_point start = Clock::now();
      const QuantizedGraph& graph = models[i]->graph;
      tensors.resize(graph.tensors.size());
      if (plan.first_step[i] == 0) {
        const QuantizedTensor& input = graph.tensors[graph.input];
        tensors.assign(graph.tensors.size(), {});
        tensors[graph.input] = BatchTensor::Empty(batch.count, input.shape);
        SampleReader(dataset, split, models[i]->input_scale(), input.type)
            .Read(indices.subspan(batch.first, batch.count), tensors[graph.input].data());
      }
      const BatchTensor output =
          judgements[i].network.RunFrom(plan.first_step[i], tensors, plan.keep[i]);
      judgements[i].Judge(batch, output, indices, labels, reference);
      judgements[i].nanoseconds += (Clock::now() - start).count();
    }
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(
      ForEachBatch(threads, static_cast<int64_t>(indices.size()), batch_size, work, keep_going));
  for (Judgement& judgement : judgements) judgement.Finish(threads);
  return absl::OkStatus();
}

TorchEvaluator::TorchEvaluator(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchEvaluator::~TorchEvaluator() = default;

absl::StatusOr<std::unique_ptr<TorchEvaluator>> TorchEvaluator::Create(
    const TorchEvaluatorOptions& options) {
  MICO_RETURN_IF_ERROR(CheckConvolutionsAreExact());
  auto state = std::make_unique<State>();
  state->threads = options.threads > 0 ? options.threads : AvailableCores();
  state->batch_size = std::max<int64_t>(options.batch_size, 1);
  return std::unique_ptr<TorchEvaluator>(new TorchEvaluator(std::move(state)));
}

absl::StatusOr<CalibrationOutcome> TorchEvaluator::Calibrate(const ModelPackage& package,
                                                             const Dataset& dataset,
                                                             int64_t train_samples, uint64_t seed,
                                                             const KeepGoing& keep_going) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset));
  const std::vector<int64_t> indices = ChooseSamples(dataset.train.count, train_samples, seed);
  const bool input_non_negative = dataset.PreparedNonNegative();
  const std::vector<int> producers = ProducersOf(package.graph, input_non_negative);
  MICO_ASSIGN_OR_RETURN(
      std::vector<TensorStatistics> statistics,
      state_->Ranges(package, dataset, indices, producers, Part(keep_going, 0.0, 0.25)));
  MICO_RETURN_IF_ERROR(
      state_->Count(package, dataset, indices, producers, statistics, Part(keep_going, 0.25, 0.6)));
  CalibrationOutcome outcome;
  MICO_ASSIGN_OR_RETURN(outcome.calibration,
                        MakeCalibration(package.graph, input_non_negative, statistics));
  MICO_ASSIGN_OR_RETURN(outcome.float_val, state_->FloatAccuracy(package, dataset, Split::kVal,
                                                                 Part(keep_going, 0.6, 0.8)));
  MICO_ASSIGN_OR_RETURN(outcome.float_test, state_->FloatAccuracy(package, dataset, Split::kTest,
                                                                  Part(keep_going, 0.8, 1.0)));
  return outcome;
}

absl::StatusOr<std::vector<SchemeOutcome>> TorchEvaluator::Evaluate(
    const ModelPackage& package, const Calibration& calibration, const Dataset& dataset,
    Split split, int64_t samples, std::span<const BitScheme> schemes, const KeepGoing& keep_going) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset));
  const std::vector<int64_t> indices =
      ChooseSamples(dataset.split(split).count, samples, kEvaluationSeed);
  // The float network's pass counts as one scheme more.
  const double parts = static_cast<double>(schemes.size()) + 1.0;
  MICO_ASSIGN_OR_RETURN(const std::vector<float>* reference,
                        state_->CachedFloatLogits(package, dataset, split, indices,
                                                  Part(keep_going, 0.0, 1.0 / parts)));
  std::vector<SchemeOutcome> outcomes(schemes.size());
  for (size_t first = 0; first < schemes.size(); first += kSchemesTogether) {
    const size_t count = std::min(kSchemesTogether, schemes.size() - first);
    const std::span<SchemeOutcome> group = std::span(outcomes).subspan(first, count);
    MICO_RETURN_IF_ERROR(
        state_->QuantizeAll(package, calibration, schemes.subspan(first, count), group));
    const double done = static_cast<double>(first) + 1.0;
    MICO_RETURN_IF_ERROR(state_->EvaluateModels(
        dataset, split, indices, *reference, group,
        Part(keep_going, done / parts, (done + static_cast<double>(count)) / parts)));
  }
  return outcomes;
}

absl::StatusOr<std::vector<float>> TorchEvaluator::FloatForward(const ModelPackage& package,
                                                                const Dataset& dataset, Split split,
                                                                int64_t first, int64_t count) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, RangeOf(dataset, split, first, count));
  return state_->FloatLogits(package, dataset, split, indices, nullptr);
}

absl::StatusOr<std::vector<float>> TorchEvaluator::FloatForward(const ModelPackage& package,
                                                                std::span<const float> prepared) {
  Dataset single;
  single.sample_shape = package.graph.values[package.graph.input].shape;
  if (static_cast<int64_t>(prepared.size()) != single.sample_shape.elements()) {
    return absl::InvalidArgumentError(fmt::format("{} input values; the network reads {}",
                                                  prepared.size(), ToString(single.sample_shape)));
  }
  single.test.count = 1;
  single.test.floats.assign(prepared.begin(), prepared.end());
  return FloatForward(package, single, Split::kTest, 0, 1);
}

absl::StatusOr<std::vector<int32_t>> TorchEvaluator::IntegerLogits(const QuantizedModel& model,
                                                                   const Dataset& dataset,
                                                                   Split split, int64_t first,
                                                                   int64_t count) {
  MICO_RETURN_IF_ERROR(CheckFit(model, dataset));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, RangeOf(dataset, split, first, count));
  MICO_ASSIGN_OR_RETURN(const IntegerNetwork network, IntegerNetwork::Prepare(model));
  const QuantizedGraph& graph = model.graph;
  const int64_t width = graph.tensors[graph.output].shape.elements();
  std::vector<int32_t> logits(count * width);
  const auto keep = [&](Batch batch, const BatchTensor& output) {
    const std::span<const float> values = output.span();
    std::transform(values.begin(), values.end(), logits.begin() + batch.first * width,
                   [](float value) { return static_cast<int32_t>(value); });
    return absl::OkStatus();
  };
  const QuantizedTensor& input = graph.tensors[graph.input];
  const SampleReader reader(dataset, split, model.input_scale(), input.type);
  MICO_RETURN_IF_ERROR(state_->RunOver(network, reader, input.shape, indices, keep, nullptr));
  return logits;
}

}  // namespace mico
