#include "worker/torch/oracle_check.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/evaluator.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/integers/plan_runner.h"
#include "worker/integers/read_integers.h"

namespace mico {
namespace {

// The first step whose output differs from `oracle` (every tensor) when the model is evaluated
// alone; empty if none does.
absl::StatusOr<std::string> FirstDifference(const QuantizedModel& model, const Dataset& dataset,
                                            Split split, int64_t sample,
                                            const std::vector<IntegerTensor>& oracle) {
  const std::array<const QuantizedModel*, 1> models{&model};
  const EvaluationPlan plan = PlanEvaluation(models, WantedTensors::kAll);
  MICO_ASSIGN_OR_RETURN(const PlanRunner runner, PlanRunner::Prepare(models, plan));
  std::vector<bool> differs(model.graph.tensors.size(), false);
  const auto read = [&](const QuantizedModel& of) {
    const std::array<int64_t, 1> indices{sample};
    return ReadIntegers(dataset, split, indices, of);
  };
  const auto use = [&](Operation::Result result, const IntegerBatch& batch) {
    differs[result.tensor] = ToIntegers(batch, 0) != oracle[result.tensor];
  };
  runner.Run(read, use);
  for (const Step& step : model.graph.steps) {
    if (differs[step.output]) return step.name;
  }
  return std::string();
}

}  // namespace

absl::Status CompareWithOracle(const QuantizedModel& model, const Dataset& dataset, Split split,
                               int64_t sample, std::span<const int32_t> logits) {
  const std::vector<float> prepared = dataset.Prepared(split, sample);
  MICO_ASSIGN_OR_RETURN(const std::vector<IntegerTensor> oracle,
                        RunIntegerKeepingAll(model, QuantizeInput(model, prepared)));
  const IntegerTensor& needed = oracle[model.graph.scored_tensor()];
  if (std::equal(logits.begin(), logits.end(), needed.begin(), needed.end())) {
    return absl::OkStatus();
  }
  const auto [found, expected] =
      std::mismatch(logits.begin(), logits.end(), needed.begin(), needed.end());
  const auto element = found - logits.begin();
  MICO_ASSIGN_OR_RETURN(const std::string layer,
                        FirstDifference(model, dataset, split, sample, oracle));
  return absl::InternalError(fmt::format(
      "sample {} of {}: output {} is {}; the oracle gives {}; {}", sample, ToString(split), element,
      found == logits.end() ? "missing" : std::to_string(*found),
      expected == needed.end() ? "no such element" : std::to_string(*expected),
      layer.empty() ? "evaluated alone the model does not differ"
                    : fmt::format("the first layer that differs is '{}'", layer)));
}

std::vector<int64_t> SamplesToVerify(const Digest& model, int64_t samples, int64_t count) {
  if (count <= 0) return {};
  // ChooseSamples takes 0 for all.
  return ChooseSamples(samples, std::min(count, samples), std::hash<std::string>{}(model.hex()));
}

}  // namespace mico
