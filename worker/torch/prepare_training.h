#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "model/graph.h"
#include "worker/evaluator.h"
#include "worker/torch/train.h"

namespace mico {

// A request with its blobs read and its recipe in numbers.
struct PreparedTraining {
  // What `wish` points to.
  std::unique_ptr<const TrainingState> warm_start, checkpoint;
  TrainingWish wish;
};

// `request` must outlive the result; `input` is what the network reads. InvalidArgument for a blob
// that is not what it should be.
absl::StatusOr<PreparedTraining> PrepareTraining(const TrainingRequest& request,
                                                 const Shape& input);

// The rates that an optimizer works well with.
TrainerOptions TrainerOptionsFor(Optimizer optimizer);

}  // namespace mico
