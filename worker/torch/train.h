#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "quant/reconstruction.h"
#include "quant/score.h"
#include "worker/evaluator.h"
#include "worker/torch/augment.h"
#include "worker/torch/training_state.h"

namespace mico {

struct TrainingWish {
  BitScheme scheme;
  // What training starts from: learned integers of layers at some widths, beside the floats.
  Reconstructions reconstructions;
  // A scheme nearby that is trained already: in place of the floats. May be null.
  const TrainedScheme* warm_start = nullptr;
  // Where an attempt before this one stopped. May be null.
  const TrainingProgress* checkpoint = nullptr;
  // At most so many passes over train and so much time; absent: no limit. Not both are absent.
  std::optional<double> epochs, seconds;
  Metric metric = Metric::kTop1;
  uint64_t seed = 0;
  int64_t batch = 128;
  AugmentationRange augmentation;
  TrainerOptions trainer;
};

// What training needs from outside.
struct TrainingTools {
  // The score on val of integers for the scheme.
  std::function<absl::StatusOr<Score>(const Reconstruction&)> validate;
  // Seconds since some moment.
  std::function<double()> now;
  // Given now and then a state to go on from. May be null.
  std::function<void(const TrainingState&)> save;
  double seconds_between_saves = 60.0;
  KeepGoing keep_going;
};

struct TrainingResult {
  Reconstruction reconstruction;
  TrainedScheme trained;
  double epochs = 0.0, seconds = 0.0;  // that were trained, all attempts together
  // On val: where training began, and the result, which may be the beginning.
  Score first, best;
};

// Fine-tunes the quantized network (worker/torch/network_trainer.h) on train, keeps the last
// integers that score better on val than the beginning and that no earlier ones exceed there by
// more than chance, and ends when the budget is used up or training gains nothing on val any
// more at low rates. The learning rate falls along a cosine. With a budget in epochs the same wish,
// threads and machine give the same result, interrupted or not.
//
// Cancelled if keep_going said so; InvalidArgument if something does not fit the network, and with
// the step if the loss is not a number any more, which another attempt would not change; Internal
// with what libtorch threw.
absl::StatusOr<TrainingResult> Train(const ModelPackage& package, const Calibration& calibration,
                                     const Dataset& dataset, const TrainingWish& wish,
                                     const TrainingTools& tools);

}  // namespace mico
