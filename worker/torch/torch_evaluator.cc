#include "worker/torch/torch_evaluator.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <deque>
#include <numeric>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/integers/plan_runner.h"
#include "worker/integers/read_integers.h"
#include "worker/integers/self_test.h"
#include "worker/torch/answer_key.h"
#include "worker/torch/evaluate_models.h"
#include "worker/torch/float_network.h"
#include "worker/torch/measure_statistics.h"
#include "worker/torch/parallel_batches.h"
#include "worker/torch/prepare_training.h"
#include "worker/torch/reconstruct.h"
#include "worker/torch/run_over.h"
#include "worker/torch/runtime.h"
#include "worker/torch/sample_reader.h"

namespace mico {
namespace {

// Decides which samples stand for a split; the same for every scheme, so that they compare.
constexpr uint64_t kEvaluationSeed = 1;
// Models that are evaluated together, sharing what they have in common, take no more than this.
constexpr int64_t kModelBytes = int64_t{128} << 20;
constexpr int64_t kMostTogether = 2048;
// Float logits of the last few (model, data, samples) are kept for the divergence of later calls,
// and the integers of the last few networks' weights.
constexpr size_t kMostCachedLogits = 4;
constexpr size_t kMostCachedWeights = 4;

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// What the server has checked already, in words for people; here so that nothing is read that is
// not there.
absl::Status CheckMetric(Metric metric, const Shape& output, const Dataset& dataset) {
  const int64_t targets =
      dataset.target_elements > 0 ? dataset.target_elements : dataset.sample_shape.elements();
  if (CountsAnswers(metric) && dataset.num_classes > output.elements()) {
    return absl::InvalidArgumentError(
        fmt::format("the data set has labels up to {}; the network has {} outputs",
                    dataset.num_classes - 1, output.elements()));
  }
  if (metric != Metric::kMse && dataset.target_elements > 0) {
    return absl::InvalidArgumentError(
        fmt::format("the data set has targets; metric {} needs labels", ToString(metric)));
  }
  if (!CountsAnswers(metric) && targets != output.elements()) {
    return absl::InvalidArgumentError(
        fmt::format("metric {}: targets of {}; the network has {} "
                    "outputs",
                    ToString(metric), targets, output.elements()));
  }
  return absl::OkStatus();
}

absl::Status CheckFit(const ModelPackage& package, const Dataset& dataset, Metric metric) {
  const Graph& graph = package.graph;
  MICO_RETURN_IF_ERROR(CheckReadableAs(dataset, graph.values[graph.input].shape));
  return CheckMetric(metric, graph.values[graph.scored_value()].shape, dataset);
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

// The first outputs of `network`, one for each of `shapes`, for chosen samples: each sample after
// sample, NHWC.
template <typename T, typename Network>
absl::StatusOr<std::vector<std::vector<T>>> CollectOutputs(const Crew& crew, const Network& network,
                                                           const SampleReader& reader,
                                                           const Shape& input,
                                                           const std::vector<Shape>& shapes,
                                                           std::span<const int64_t> indices,
                                                           const KeepGoing& keep_going) {
  std::vector<std::vector<T>> collected;
  collected.reserve(shapes.size());
  for (const Shape& shape : shapes) collected.emplace_back(indices.size() * shape.elements());
  const auto keep = [&](Batch batch, const std::vector<BatchTensor>& outputs) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      const std::span<const float> values = outputs[i].span();
      std::transform(values.begin(), values.end(),
                     collected[i].begin() + batch.first * shapes[i].elements(),
                     [](float value) { return static_cast<T>(value); });
    }
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(RunOver(crew, network, reader, input, indices, keep, keep_going));
  return collected;
}

std::vector<Shape> OutputShapes(const Graph& graph) {
  std::vector<Shape> shapes;
  for (const GraphOutput& output : graph.outputs) {
    shapes.push_back(graph.values[output.value].shape);
  }
  return shapes;
}

// Places of the schemes such that those which begin alike are neighbours.
std::vector<size_t> SortedByPrefix(std::span<const BitScheme> schemes) {
  std::vector<size_t> order(schemes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return schemes[a] < schemes[b]; });
  return order;
}

size_t SchemesTogether(const ModelPackage& package) {
  int64_t weights = 1;
  for (const LayerWeights& layer : package.weights.layers) {
    weights += static_cast<int64_t>(layer.weights.size());
  }
  return std::clamp<int64_t>(kModelBytes / weights, 1, kMostTogether);
}

// Logits of chosen samples and what they were computed from.
struct CachedLogits {
  std::string key;
  std::vector<float> logits;
};

// A network's weights at every width that was asked for.
struct CachedWeights {
  explicit CachedWeights(const ModelPackage& of) : package(of), cache(package) {}
  const ModelPackage package;
  WeightCache cache;
};

}  // namespace

struct TorchEvaluator::State {
  TorchEvaluatorOptions options;
  Crew crew;
  std::deque<CachedLogits> cached_logits;
  std::deque<std::shared_ptr<CachedWeights>> cached_weights;

  absl::StatusOr<std::vector<float>> FloatLogits(const ModelPackage& package,
                                                 const Dataset& dataset, Split split,
                                                 std::span<const int64_t> indices,
                                                 const KeepGoing& keep_going) const;
  absl::StatusOr<const std::vector<float>*> CachedFloatLogits(const ModelPackage& package,
                                                              const Dataset& dataset, Split split,
                                                              std::span<const int64_t> indices,
                                                              const KeepGoing& keep_going);
  absl::StatusOr<Score> FloatScore(const ModelPackage& package, const Dataset& dataset, Split split,
                                   Metric metric, const KeepGoing& keep_going);
  std::shared_ptr<CachedWeights> WeightsOf(const ModelPackage& package);
  absl::Status QuantizeAll(WeightCache& weights, const Calibration& calibration,
                           const EvaluationRequest& request, std::span<const size_t> places,
                           std::span<SchemeOutcome> outcomes) const;
  // Schemes `places` of the request together.
  absl::Status EvaluateSome(WeightCache& weights, const Calibration& calibration,
                            const EvaluationSetting& setting, std::span<const size_t> places,
                            std::vector<SchemeOutcome>& all, const KeepGoing& keep_going) const;
};

absl::StatusOr<std::vector<float>> TorchEvaluator::State::FloatLogits(
    const ModelPackage& package, const Dataset& dataset, Split split,
    std::span<const int64_t> indices, const KeepGoing& keep_going) const {
  const Graph& graph = package.graph;
  const Shape& input = graph.values[graph.input].shape;
  // Only what is scored: a detector's other outputs would fill the memory.
  MICO_ASSIGN_OR_RETURN(
      auto outputs,
      CollectOutputs<float>(crew, FloatNetwork(package), SampleReader(dataset, split, input), input,
                            {graph.values[graph.scored_value()].shape}, indices, keep_going));
  return std::move(outputs.front());
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

absl::StatusOr<Score> TorchEvaluator::State::FloatScore(const ModelPackage& package,
                                                        const Dataset& dataset, Split split,
                                                        Metric metric,
                                                        const KeepGoing& keep_going) {
  const std::vector<int64_t> all = ChooseSamples(dataset.split(split).count, 0, kEvaluationSeed);
  MICO_ASSIGN_OR_RETURN(const std::vector<float>* logits,
                        CachedFloatLogits(package, dataset, split, all, keep_going));
  const Graph& graph = package.graph;
  const Shape& shape = graph.values[graph.scored_value()].shape;
  const size_t width = shape.elements();
  const AnswerKey key(metric, dataset, split, all);
  std::vector<double> contributions(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const auto sample = static_cast<int64_t>(i);
    contributions[i] = key.Judge(sample, std::span(*logits).subspan(i * width, width), shape, 1.0,
                                 key.Target(sample));
    if (std::isfinite(contributions[i])) continue;
    return absl::InvalidArgumentError(
        fmt::format("sample {} of {}: the float network's outputs are not finite, or so large that "
                    "their squared error is not",
                    i, ToString(split)));
  }
  return key.Total(contributions);
}

std::shared_ptr<CachedWeights> TorchEvaluator::State::WeightsOf(const ModelPackage& package) {
  for (const std::shared_ptr<CachedWeights>& cached : cached_weights) {
    if (!package.digest.empty() && cached->package.digest == package.digest) return cached;
  }
  if (cached_weights.size() == kMostCachedWeights) cached_weights.pop_front();
  return cached_weights.emplace_back(std::make_shared<CachedWeights>(package));
}

absl::Status TorchEvaluator::State::QuantizeAll(WeightCache& weights,
                                                const Calibration& calibration,
                                                const EvaluationRequest& request,
                                                std::span<const size_t> places,
                                                std::span<SchemeOutcome> outcomes) const {
  const auto quantize = [&](Batch batch) {
    SchemeOutcome& outcome = outcomes[batch.first];
    absl::StatusOr<QuantizedModel> model = Quantize(weights, calibration, request.reconstructions,
                                                    request.schemes[places[batch.first]]);
    outcome.status = model.status();
    if (!model.ok()) return absl::OkStatus();
    outcome.model = std::move(*model);
    outcome.model_digest = DigestOf(outcome.model);
    return absl::OkStatus();
  };
  return ForEachBatch({crew.threads, 1}, static_cast<int64_t>(places.size()), quantize, nullptr);
}

absl::Status TorchEvaluator::State::EvaluateSome(WeightCache& weights,
                                                 const Calibration& calibration,
                                                 const EvaluationSetting& setting,
                                                 std::span<const size_t> places,
                                                 std::vector<SchemeOutcome>& all,
                                                 const KeepGoing& keep_going) const {
  const auto start = std::chrono::steady_clock::now();
  std::vector<SchemeOutcome> outcomes(places.size());
  MICO_RETURN_IF_ERROR(QuantizeAll(weights, calibration, setting.request, places, outcomes));
  MICO_RETURN_IF_ERROR(EvaluateModels(setting, outcomes, keep_going));
  const auto spent = std::chrono::steady_clock::now() - start;
  for (size_t i = 0; i < places.size(); ++i) {
    // Who shares what cannot be told apart: each gets its part.
    outcomes[i].duration =
        std::chrono::duration_cast<std::chrono::milliseconds>(spent / places.size());
    if (!setting.request.keep_models) outcomes[i].model = {};
    all[places[i]] = std::move(outcomes[i]);
  }
  return absl::OkStatus();
}

TorchEvaluator::TorchEvaluator(std::unique_ptr<State> state) : state_(std::move(state)) {}
TorchEvaluator::~TorchEvaluator() = default;

absl::StatusOr<std::unique_ptr<TorchEvaluator>> TorchEvaluator::Create(
    const TorchEvaluatorOptions& options) {
  MICO_RETURN_IF_ERROR(CheckIntegersAreExact());
  auto state = std::make_unique<State>();
  state->options = options;
  state->crew.threads = options.threads > 0 ? options.threads : AvailableCores();
  state->crew.batch_size = std::max<int64_t>(options.batch_size, 1);
  return std::unique_ptr<TorchEvaluator>(new TorchEvaluator(std::move(state)));
}

absl::StatusOr<CalibrationOutcome> TorchEvaluator::Calibrate(const ModelPackage& package,
                                                             const Dataset& dataset,
                                                             int64_t train_samples, uint64_t seed,
                                                             Metric metric,
                                                             const KeepGoing& keep_going) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset, metric));
  const std::vector<int64_t> indices = ChooseSamples(dataset.train.count, train_samples, seed);
  const bool input_non_negative = dataset.PreparedNonNegative();
  MICO_ASSIGN_OR_RETURN(const std::vector<TensorStatistics> statistics,
                        MeasureStatistics(state_->crew, package, dataset, indices,
                                          input_non_negative, Part(keep_going, 0.0, 0.6)));
  CalibrationOutcome outcome;
  MICO_ASSIGN_OR_RETURN(outcome.calibration,
                        MakeCalibration(package.graph, input_non_negative, statistics));
  MICO_ASSIGN_OR_RETURN(outcome.float_val, state_->FloatScore(package, dataset, Split::kVal, metric,
                                                              Part(keep_going, 0.6, 0.8)));
  MICO_ASSIGN_OR_RETURN(outcome.float_test, state_->FloatScore(package, dataset, Split::kTest,
                                                               metric, Part(keep_going, 0.8, 1.0)));
  return outcome;
}

absl::StatusOr<Reconstruction> TorchEvaluator::Reconstruct(
    const ModelPackage& package, const Calibration& calibration, const Dataset& dataset,
    const LayerBits& bits, int64_t train_samples, uint64_t seed, const KeepGoing& keep_going) {
  const std::vector<int64_t> indices = ChooseSamples(dataset.train.count, train_samples, seed);
  ReconstructionWish wish;
  wish.bits = bits;
  wish.options.threads = state_->crew.threads;
  wish.options.seed = seed;
  MICO_ASSIGN_OR_RETURN(
      ReconstructionOutcome outcome,
      mico::Reconstruct(package, calibration, dataset, indices, wish, keep_going));
  return std::move(outcome.reconstruction);
}

absl::StatusOr<TrainingOutcome> TorchEvaluator::Train(
    const ModelPackage& package, const Calibration& calibration, const Dataset& dataset,
    const TrainingRequest& request, const SaveCheckpoint& save, const KeepGoing& keep_going) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset, request.metric));
  MICO_ASSIGN_OR_RETURN(PreparedTraining training,
                        PrepareTraining(request, package.graph.values[package.graph.input].shape));
  training.wish.trainer.threads = state_->crew.threads;
  TrainingTools tools;
  tools.keep_going = keep_going;
  tools.now = SecondsNow;
  tools.seconds_between_saves = state_->options.seconds_between_checkpoints;
  if (save) tools.save = [&](const TrainingState& state) { save(Serialize(state)); };
  tools.validate = [&](const Reconstruction& learned) -> absl::StatusOr<Score> {
    const std::vector<const Reconstruction*> reconstructions{&learned};
    EvaluationRequest on_val;
    on_val.schemes = std::span(&request.scheme, 1);
    on_val.metric = request.metric;
    on_val.reconstructions = reconstructions;
    MICO_ASSIGN_OR_RETURN(const std::vector<SchemeOutcome> outcomes,
                          Evaluate(package, calibration, dataset, on_val, nullptr));
    MICO_RETURN_IF_ERROR(outcomes.front().status);
    return outcomes.front().score;
  };
  MICO_ASSIGN_OR_RETURN(TrainingResult result,
                        mico::Train(package, calibration, dataset, training.wish, tools));
  return TrainingOutcome{std::move(result.reconstruction),
                         Serialize(TrainingState{std::move(result.trained), {}}), result.epochs,
                         std::chrono::milliseconds(std::llround(1000 * result.seconds))};
}

absl::StatusOr<std::vector<SchemeOutcome>> TorchEvaluator::Evaluate(
    const ModelPackage& package, const Calibration& calibration, const Dataset& dataset,
    const EvaluationRequest& request, const KeepGoing& keep_going) {
  MICO_RETURN_IF_ERROR(CheckFit(package, dataset, request.metric));
  if (request.floor.has_value() && !CountsAnswers(request.metric)) {
    return absl::InvalidArgumentError(
        fmt::format("a floor of {} with metric {}; needed one that counts answers, top1 or top5",
                    *request.floor, ToString(request.metric)));
  }
  const std::vector<int64_t> indices =
      ChooseSamples(dataset.split(request.split).count, request.samples, kEvaluationSeed);
  // The float network's pass counts as one scheme more.
  const double parts = static_cast<double>(request.schemes.size()) + 1.0;
  MICO_ASSIGN_OR_RETURN(const std::vector<float>* reference,
                        state_->CachedFloatLogits(package, dataset, request.split, indices,
                                                  Part(keep_going, 0.0, 1.0 / parts)));
  const EvaluationSetting setting{state_->crew.threads,
                                  state_->options.activation_memory_bytes,
                                  state_->options.integer_batch_size,
                                  dataset,
                                  request,
                                  indices,
                                  *reference};
  const std::shared_ptr<CachedWeights> weights = state_->WeightsOf(package);
  const std::vector<size_t> order = SortedByPrefix(request.schemes);
  const size_t together = state_->options.schemes_together > 0
                              ? static_cast<size_t>(state_->options.schemes_together)
                              : SchemesTogether(package);
  std::vector<SchemeOutcome> outcomes(request.schemes.size());
  for (size_t first = 0; first < order.size(); first += together) {
    const auto places = std::span(order).subspan(first, std::min(together, order.size() - first));
    const double done = static_cast<double>(first) + 1.0;
    MICO_RETURN_IF_ERROR(state_->EvaluateSome(
        weights->cache, calibration, setting, places, outcomes,
        Part(keep_going, done / parts, (done + static_cast<double>(places.size())) / parts)));
  }
  return outcomes;
}

absl::StatusOr<std::vector<std::vector<float>>> TorchEvaluator::FloatForward(
    const ModelPackage& package, const Dataset& dataset, Split split, int64_t first,
    int64_t count) {
  MICO_RETURN_IF_ERROR(CheckReadableAs(dataset, package.graph.values[package.graph.input].shape));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, RangeOf(dataset, split, first, count));
  const Shape& input = package.graph.values[package.graph.input].shape;
  return CollectOutputs<float>(state_->crew, FloatNetwork(package),
                               SampleReader(dataset, split, input), input,
                               OutputShapes(package.graph), indices, nullptr);
}

absl::StatusOr<std::vector<std::vector<float>>> TorchEvaluator::FloatForward(
    const ModelPackage& package, std::span<const float> prepared) {
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

absl::StatusOr<std::vector<std::vector<int32_t>>> TorchEvaluator::IntegerForward(
    const QuantizedModel& model, const Dataset& dataset, Split split, int64_t first,
    int64_t count) {
  const QuantizedGraph& graph = model.graph;
  MICO_RETURN_IF_ERROR(CheckReadableAs(dataset, graph.tensors[graph.input].shape));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, RangeOf(dataset, split, first, count));
  const std::array<const QuantizedModel*, 1> models{&model};
  const EvaluationPlan plan = PlanEvaluation(models, WantedTensors::kOutputs);
  MICO_ASSIGN_OR_RETURN(const PlanRunner runner, PlanRunner::Prepare(models, plan));
  std::vector<std::vector<int32_t>> collected;
  for (const QuantizedOutput& output : graph.outputs) {
    collected.emplace_back(count * graph.tensors[output.tensor].shape.elements());
  }
  const auto work = [&](Batch batch) {
    const auto read = [&](const QuantizedModel& of) {
      return ReadIntegers(dataset, split, std::span(indices).subspan(batch.first, batch.count), of);
    };
    const auto use = [&](Operation::Result result, const IntegerBatch& output) {
      const int64_t elements = output.shape.elements();
      for (size_t i = 0; i < graph.outputs.size(); ++i) {
        if (graph.outputs[i].tensor != result.tensor) continue;
        std::copy_n(output.As<int16_t>(), batch.count * elements,
                    collected[i].begin() + batch.first * elements);
      }
    };
    runner.Run(read, use);
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(ForEachBatch(state_->crew, count, work, nullptr));
  return collected;
}

}  // namespace mico
