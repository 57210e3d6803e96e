#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/evaluator.h"
#include "worker/torch/parallel_batches.h"

namespace mico {

// What models are run on, and how.
struct EvaluationSetting {
  int threads = 1;
  int64_t activation_memory_bytes = 0;  // for the tensors of all threads
  int64_t most_samples = 0;             // together on one thread; 0: as the cache likes
  const Dataset& dataset;
  const EvaluationRequest& request;
  std::span<const int64_t> indices;     // of the samples, ascending
  const std::vector<float>& reference;  // the float network's logits of the same samples
};

// Runs the model of every outcome whose status is OK and fills in what the request asks for.
// Computations that models have in common are done once for each batch of samples. Where memory
// does not suffice batches become smaller, then fewer models share; results stay the same.
absl::Status EvaluateModels(const EvaluationSetting& setting, std::span<SchemeOutcome> outcomes,
                            const KeepGoing& keep_going);

}  // namespace mico
