#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/bit_scheme.h"
#include "quant/reconstruction.h"
#include "quant/score.h"
#include "worker/torch/network_trainer.h"

namespace mico {

// A network that has been trained for one scheme, in the real numbers that its integers are rounded
// from: what the training of a scheme nearby can start with.
struct TrainedScheme {
  BitScheme scheme;
  std::vector<LayerFloats> layers;         // of every quantized layer
  std::vector<ReconstructedScale> scales;  // groups ascending, then bits
};

// The integers that it stands for.
Reconstruction IntegersOf(const TrainedScheme& trained);

// Where a training is that has not ended: all that it needs to go on as if nothing had happened.
struct TrainingProgress {
  TrainerMemory memory;
  double seconds = 0.0;  // that were spent
  // What would be the result now, and what was there before anything was trained: on val.
  TrainedScheme best;
  Score best_score, first_score;
  // Of what training has made of it: the best so far, whether it is better than the beginning or
  // not yet. Not measured: none so far.
  Score trained_score;
  // Of the budget, when that was found and when val was last looked at.
  double gained_share = 0.0, validated_share = 0.0;
};

// A blob: a trained scheme, or a checkpoint of one in training.
struct TrainingState {
  TrainedScheme trained;
  std::optional<TrainingProgress> progress;
};

// docs/formats/training-state.md.
std::string Serialize(const TrainingState& state);
absl::StatusOr<TrainingState> ParseTrainingState(std::string_view bytes);

}  // namespace mico
