#include "worker/torch/prepare_training.h"

#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr double kSecondsPerMinute = 60.0;

absl::StatusOr<std::unique_ptr<const TrainingState>> Read(std::string_view what,
                                                          std::string_view bytes) {
  absl::StatusOr<TrainingState> state = ParseTrainingState(bytes);
  if (!state.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", what, std::string(state.status().message())));
  }
  return std::make_unique<const TrainingState>(*std::move(state));
}

AugmentationRange RangeOf(Augmentation augmentation, const Shape& input) {
  AugmentationRange range = ChooseAugmentation(input);
  switch (augmentation) {
    case Augmentation::kAuto:
      return range;
    case Augmentation::kNone:
      return {};
    case Augmentation::kShift:
      range.mirrors = false;
      return range;
    case Augmentation::kShiftAndFlip:
      range.mirrors = true;
      return range;
  }
  return range;
}

}  // namespace

TrainerOptions TrainerOptionsFor(Optimizer optimizer) {
  TrainerOptions options;
  options.sgd = optimizer == Optimizer::kSgd;
  if (options.sgd) {
    // Gradients are small where AdamW divides by them.
    options.weight_rate = 0.1;
    options.bias_rate = 0.01;
    options.weight_scale_rate = options.tensor_scale_rate = 0.003;
  }
  return options;
}

absl::StatusOr<PreparedTraining> PrepareTraining(const TrainingRequest& request,
                                                 const Shape& input) {
  PreparedTraining prepared;
  TrainingWish& wish = prepared.wish;
  wish.scheme = request.scheme;
  wish.reconstructions = request.reconstructions;
  wish.metric = request.metric;
  wish.seed = request.seed;
  const TrainingRecipe& recipe = request.recipe;
  if (recipe.epochs > 0.0) wish.epochs = recipe.epochs;
  if (recipe.minutes > 0.0) wish.seconds = kSecondsPerMinute * recipe.minutes;
  wish.augmentation = RangeOf(recipe.augmentation, input);
  wish.trainer = TrainerOptionsFor(recipe.optimizer);
  if (!request.warm_start.empty()) {
    MICO_ASSIGN_OR_RETURN(prepared.warm_start, Read("warm start", request.warm_start));
    wish.warm_start = &prepared.warm_start->trained;
  }
  if (!request.checkpoint.empty()) {
    MICO_ASSIGN_OR_RETURN(prepared.checkpoint, Read("checkpoint", request.checkpoint));
    if (!prepared.checkpoint->progress.has_value()) {
      return absl::InvalidArgumentError("checkpoint: a training state without progress");
    }
    wish.checkpoint = &*prepared.checkpoint->progress;
  }
  return prepared;
}

}  // namespace mico
