#include "worker/torch/evaluate_models.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <numeric>

#include "base/status_macros.h"
#include "worker/torch/answer_key.h"
#include "worker/torch/integer_network.h"
#include "worker/torch/prefix_plan.h"
#include "worker/torch/sample_reader.h"

namespace mico {
namespace {

using Clock = std::chrono::steady_clock;

// One model and what is known of its outputs so far. Threads write to different samples.
struct Judgement {
  Judgement(SchemeOutcome& outcome_of, IntegerNetwork network_of, size_t samples)
      : outcome(outcome_of),
        network(std::move(network_of)),
        divergences(samples),
        contributions(samples) {}

  // `targets` are those of the batch's samples.
  void Judge(const Batch& batch, const BatchTensor& output, const AnswerKey& key,
             const std::vector<std::vector<float>>& targets, const std::vector<float>& reference) {
    const size_t width = output.shape.elements();
    const double scale = outcome.model.output_scale();
    for (int64_t i = 0; i < batch.count; ++i) {
      const int64_t sample = batch.first + i;
      const std::span<const float> outputs = output.span().subspan(i * width, width);
      contributions[sample] = key.Judge(sample, outputs, output.shape, scale, targets[i]);
      divergences[sample] = Divergence(
          key.metric(), std::span(reference).subspan(sample * width, width), outputs, scale);
    }
  }

  // Sums in the order of the samples, so that the result does not depend on the threads.
  void Finish(int threads, const AnswerKey& key) {
    outcome.score = key.Total(contributions);
    outcome.divergence = std::accumulate(divergences.begin(), divergences.end(), 0.0) /
                         static_cast<double>(std::max<size_t>(divergences.size(), 1));
    outcome.duration += std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::nanoseconds(nanoseconds.load() / threads));
  }

  SchemeOutcome& outcome;
  IntegerNetwork network;
  std::vector<double> divergences, contributions;
  std::atomic<int64_t> nanoseconds{0};
};

}  // namespace

absl::Status EvaluateModels(const Crew& crew, const Dataset& dataset, Split split,
                            std::span<const int64_t> indices, Metric metric,
                            const std::vector<float>& reference, std::span<SchemeOutcome> outcomes,
                            const KeepGoing& keep_going) {
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
  const AnswerKey key(metric, dataset, split, indices);
  const auto work = [&](Batch batch) {
    std::vector<BatchTensor> tensors;
    std::vector<std::vector<float>> targets;
    for (int64_t i = 0; i < batch.count; ++i) targets.push_back(key.Target(batch.first + i));
    for (size_t i = 0; i < models.size(); ++i) {
      const Clock::time_point start = Clock::now();
      const QuantizedGraph& graph = models[i]->graph;
      tensors.resize(graph.tensors.size());
      if (plan.first_step[i] == 0) {
        const QuantizedTensor& input = graph.tensors[graph.input];
        tensors.assign(graph.tensors.size(), {});
        tensors[graph.input] = BatchTensor::Empty(batch.count, input.shape);
        SampleReader(dataset, split, input.shape, models[i]->input_scale(), input.type)
            .Read(indices.subspan(batch.first, batch.count), tensors[graph.input].data());
      }
      const std::vector<BatchTensor> outputs =
          judgements[i].network.RunFrom(plan.first_step[i], tensors, plan.keep[i]);
      judgements[i].Judge(batch, outputs.front(), key, targets, reference);
      judgements[i].nanoseconds += (Clock::now() - start).count();
    }
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(ForEachBatch(crew, static_cast<int64_t>(indices.size()), work, keep_going));
  for (Judgement& judgement : judgements) judgement.Finish(crew.threads, key);
  return absl::OkStatus();
}

}  // namespace mico
