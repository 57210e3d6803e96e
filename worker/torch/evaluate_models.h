#pragma once

#include <span>
#include <vector>

#include "worker/evaluator.h"
#include "worker/torch/parallel_batches.h"

namespace mico {

// Runs the model of every outcome whose status is OK on samples `indices` and fills in score,
// divergence from `reference` (the float network's logits of the same samples) and time. All models
// go through a batch one after another, each behind the steps it has in common with the one before.
absl::Status EvaluateModels(const Crew& crew, const Dataset& dataset, Split split,
                            std::span<const int64_t> indices, Metric metric,
                            const std::vector<float>& reference, std::span<SchemeOutcome> outcomes,
                            const KeepGoing& keep_going);

}  // namespace mico
