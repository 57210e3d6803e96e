#include "worker/torch/train.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/torch/describe_network.h"
#include "worker/torch/sample_reader.h"

namespace mico {
namespace {

constexpr uint64_t kEpochStride = 0x9E3779B97F4A7C15;
// Rates rise from nothing over this share of the budget, while an optimizer still gets to know its
// gradients, and fall for the rest of it.
constexpr double kWarmUp = 0.02;
// Val is looked at after every epoch, but not more often than the budget has so many parts.
constexpr double kMostValidations = 40;
// Training ends before its budget does when val has not got better for this share of it, rates
// being low: while they are high they unsettle a good beginning, and val says nothing of the end.
constexpr double kPatience = 0.2, kLowRatesFrom = 0.6;

// `layers` in place of the package's.
ModelPackage WithFloats(const ModelPackage& package, const std::vector<LayerFloats>& layers) {
  ModelPackage changed = package;
  for (size_t i = 0; i < layers.size(); ++i) {
    changed.weights.layers[i].weights = layers[i].weights;
    changed.weights.layers[i].bias.assign(layers[i].bias.begin(), layers[i].bias.end());
  }
  return changed;
}

absl::Status CheckFits(const TrainedScheme& trained, const ModelPackage& package) {
  const std::vector<LayerWeights>& layers = package.weights.layers;
  bool fits = trained.layers.size() == layers.size() && trained.scheme.size() == layers.size();
  for (size_t i = 0; fits && i < layers.size(); ++i) {
    const LayerFloats& layer = trained.layers[i];
    fits = layer.weights.size() == layers[i].weights.size() &&
           layer.scales.size() == layers[i].bias.size() &&
           layer.bias.size() == layers[i].bias.size();
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the trained scheme is of another network than '{}'", package.graph.name));
}

// What a layer's integers stand for. Weights start in the middle of what rounds to them, as far as
// can be from rounding elsewhere: many were learned not to round to the nearest, and would fall
// back at once if they started beside their floats.
LayerFloats RealNumbers(const Step& step, const QuantizedModel& model, const StepNumbers& numbers,
                        const std::vector<float>& bias) {
  const auto channels = static_cast<int64_t>(numbers.bias.size());
  const auto size = static_cast<int64_t>(numbers.weights.size()) / channels;
  const int64_t taps = step.conv().kernel_height * step.conv().kernel_width;
  const double ratio = model.scales[step.output] / model.scales[step.inputs[0]];
  LayerFloats real{std::vector<float>(numbers.weights.size()), {}, {bias.begin(), bias.end()}};
  for (int64_t out = 0; out < channels; ++out) {
    const FixedPointScale& factor = numbers.scales[out];
    const double scale = std::ldexp(factor.multiplier, -(32 + factor.shift)) * ratio;
    real.scales.push_back(scale);
    for (int64_t i = 0; i < size; ++i) {
      const int64_t in = i / taps, tap = i % taps;
      const int8_t integer = numbers.weights[out * size + tap * (size / taps) + in];
      real.weights[out * size + i] = static_cast<float>(integer * scale);
    }
  }
  return real;
}

NetworkFloats RealNumbers(const QuantizedModel& model, const NetworkDescription& description) {
  NetworkFloats floats;
  floats.layers.resize(description.layers.size());
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    const Step& step = model.graph.steps[i];
    if (step.kind != StepKind::kConv) continue;
    floats.layers[step.layer] =
        RealNumbers(step, model, model.numbers[i], description.layers[step.layer].rounded_bias);
  }
  for (const TrainableScale& scale : description.scales) floats.scales.push_back(scale.value);
  return floats;
}

// The tensors of the network's outputs, each once, the scored one first.
std::vector<int> OutputsOf(const QuantizedGraph& graph) {
  std::vector<int> outputs;
  for (const QuantizedOutput& output : graph.outputs) {
    if (std::find(outputs.begin(), outputs.end(), output.tensor) != outputs.end()) continue;
    outputs.push_back(output.tensor);
  }
  return outputs;
}

// What is trained, and from where.
struct Beginning {
  DescribedNetwork network;
  std::vector<int> outputs;
  NetworkFloats floats;
};

absl::StatusOr<Beginning> Begin(const ModelPackage& package, const Calibration& calibration,
                                const TrainingWish& wish) {
  ModelPackage floats = package;
  Reconstruction warm;
  std::vector<const Reconstruction*> reconstructions(wish.reconstructions.begin(),
                                                     wish.reconstructions.end());
  if (wish.warm_start != nullptr) {
    MICO_RETURN_IF_ERROR(CheckFits(*wish.warm_start, package));
    floats = WithFloats(package, wish.warm_start->layers);
    warm = IntegersOf(*wish.warm_start);
    // What was learned for the untrained floats is of no use beside those.
    reconstructions = {&warm};
  }
  MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                        Quantize(floats, calibration, reconstructions, wish.scheme));
  Beginning beginning;
  beginning.network = DescribeNetwork(package, model, calibration.input_non_negative);
  beginning.outputs = OutputsOf(model.graph);
  beginning.floats = RealNumbers(model, beginning.network.description);
  return beginning;
}

class Training {
 public:
  Training(const ModelPackage& package, const Dataset& dataset, const TrainingWish& wish,
           const TrainingTools& tools, const Beginning& beginning)
      : shape_(package.graph.values[package.graph.input].shape),
        wish_(wish),
        tools_(tools),
        network_(beginning.network),
        reader_(dataset, Split::kTrain, shape_),
        trainer_(beginning.network.description, beginning.outputs, beginning.floats,
                 TrainerOptionsFor(wish)),
        batch_(std::min(wish.batch, dataset.train.count)),
        samples_(batch_ * shape_.elements()) {
    const int64_t steps = dataset.train.count / batch_;
    steps_per_epoch_ = std::max<int64_t>(steps, 1);
    if (wish.epochs.has_value()) {
      most_steps_ = std::max<int64_t>(
          1, static_cast<int64_t>(std::ceil(*wish.epochs * static_cast<double>(steps_per_epoch_))));
    }
    order_.resize(dataset.train.count);
  }

  absl::StatusOr<TrainingResult> Run() {
    MICO_RETURN_IF_ERROR(Start());
    while (Share() < 1.0 && validated_share_ - std::max(gained_share_, kLowRatesFrom) < kPatience) {
      MICO_RETURN_IF_ERROR(Step());
      MICO_RETURN_IF_ERROR(ValidateIfDue());
      SaveIfDue();
      if (tools_.keep_going && !tools_.keep_going(std::min(1.0, Share()))) {
        return absl::CancelledError("the result is no longer wanted");
      }
    }
    const double epochs = static_cast<double>(step_) / static_cast<double>(steps_per_epoch_);
    return TrainingResult{IntegersOf(best_), best_, epochs, Seconds(), first_score_, best_score_};
  }

 private:
  static TrainerOptions TrainerOptionsFor(const TrainingWish& wish) {
    TrainerOptions options = wish.trainer;
    options.first_output_is_classes = CountsAnswers(wish.metric);
    return options;
  }

  double Seconds() const { return seconds_before_ + tools_.now() - started_; }

  // Of the budget that is used up.
  double Share() const {
    double share = 0.0;
    if (most_steps_ > 0) share = static_cast<double>(step_) / static_cast<double>(most_steps_);
    if (wish_.seconds.has_value()) share = std::max(share, Seconds() / *wish_.seconds);
    return share;
  }

  double Pace() const {
    const double share = std::min(1.0, Share());
    if (share < kWarmUp) return (share + kWarmUp / 10) / kWarmUp;
    return 0.5 * (1.0 + std::cos(M_PI * (share - kWarmUp) / (1.0 - kWarmUp)));
  }

  // Takes up a checkpoint, or looks at what there is before anything is trained.
  absl::Status Start() {
    started_ = last_save_ = tools_.now();
    if (wish_.checkpoint == nullptr) return Validate();
    const TrainingProgress& progress = *wish_.checkpoint;
    if (!trainer_.Restore(progress.memory) || progress.best.scheme != wish_.scheme) {
      return absl::InvalidArgumentError("the checkpoint is of another network or scheme");
    }
    step_ = progress.memory.steps;
    seconds_before_ = progress.seconds;
    best_ = progress.best;
    best_score_ = progress.best_score;
    first_score_ = progress.first_score;
    trained_score_ = progress.trained_score;
    gained_share_ = progress.gained_share;
    validated_share_ = progress.validated_share;
    return absl::OkStatus();
  }

  absl::Status Step() {
    const int64_t epoch = step_ / steps_per_epoch_, place = step_ % steps_per_epoch_;
    if (epoch != shuffled_epoch_) Shuffle(epoch);
    const auto indices = std::span(order_).subspan(place * batch_, batch_);
    reader_.Read(indices, samples_.data());
    Random random(wish_.seed + kEpochStride * static_cast<uint64_t>(step_ + 1));
    Augment(shape_, wish_.augmentation, random, samples_);
    const double loss = trainer_.Step(samples_.data(), batch_, Pace());
    ++step_;
    if (std::isfinite(loss)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("training diverged: the loss is not a number at step {}", step_));
  }

  void Shuffle(int64_t epoch) {
    std::iota(order_.begin(), order_.end(), 0);
    Random random(wish_.seed ^ (kEpochStride * static_cast<uint64_t>(epoch + 1)));
    for (size_t left = order_.size(); left > 1; --left) {
      std::swap(order_[left - 1], order_[random.Below(left)]);
    }
    shuffled_epoch_ = epoch;
  }

  absl::Status ValidateIfDue() {
    const bool is_last = Share() >= 1.0;
    const bool ends_epoch = step_ % steps_per_epoch_ == 0;
    if (!is_last && !(ends_epoch && Share() - validated_share_ >= 1.0 / kMostValidations)) {
      return absl::OkStatus();
    }
    return Validate();
  }

  absl::Status Validate() {
    TrainedScheme now = Now();
    MICO_ASSIGN_OR_RETURN(const Score score, tools_.validate(IntegersOf(now)));
    validated_share_ = Share();
    if (step_ == 0) {
      first_score_ = score;
    } else if (!trained_score_.measured() || score.IsBetterThan(trained_score_)) {
      trained_score_ = score;
      gained_share_ = validated_share_;
    }
    if (step_ > 0 && !IsKept(score)) return absl::OkStatus();
    best_ = std::move(now);
    best_score_ = score;
    return absl::OkStatus();
  }

  // The best of many looks at val is the luckiest of them, and what has been trained for longer is
  // better in truth: the last counts that no earlier one exceeds by more than chance.
  bool IsKept(const Score& score) const {
    return score.IsBetterThan(first_score_) && !ExceedsByMoreThanChance(trained_score_, score);
  }

  TrainedScheme Now() const {
    NetworkFloats floats = trainer_.Floats();
    TrainedScheme trained{wish_.scheme, std::move(floats.layers), {}};
    for (size_t i = 0; i < floats.scales.size(); ++i) {
      const auto& [group, bits] = network_.origins[i];
      trained.scales.push_back({group, bits, floats.scales[i]});
    }
    std::sort(trained.scales.begin(), trained.scales.end(), [](const auto& a, const auto& b) {
      return std::pair(a.group, a.bits) < std::pair(b.group, b.bits);
    });
    return trained;
  }

  void SaveIfDue() {
    if (!tools_.save || tools_.now() - last_save_ < tools_.seconds_between_saves) return;
    tools_.save(
        {Now(), TrainingProgress{trainer_.Save(), Seconds(), best_, best_score_, first_score_,
                                 trained_score_, gained_share_, validated_share_}});
    last_save_ = tools_.now();
  }

  const Shape shape_;
  const TrainingWish& wish_;
  const TrainingTools& tools_;
  const DescribedNetwork& network_;
  const SampleReader reader_;
  NetworkTrainer trainer_;
  const int64_t batch_;
  std::vector<float> samples_;
  int64_t steps_per_epoch_ = 1, most_steps_ = 0;  // 0: time alone ends it
  std::vector<int64_t> order_;                    // of the samples, in the present epoch
  int64_t shuffled_epoch_ = -1;
  int64_t step_ = 0;
  double started_ = 0.0, seconds_before_ = 0.0, last_save_ = 0.0;
  TrainedScheme best_;
  Score best_score_, first_score_, trained_score_;
  double gained_share_ = 0.0, validated_share_ = 0.0;
};

}  // namespace

absl::StatusOr<TrainingResult> Train(const ModelPackage& package, const Calibration& calibration,
                                     const Dataset& dataset, const TrainingWish& wish,
                                     const TrainingTools& tools) {
  MICO_RETURN_IF_ERROR(CheckReadableAs(dataset, package.graph.values[package.graph.input].shape));
  if (dataset.train.count == 0) return absl::InvalidArgumentError("no sample to train with");
  MICO_ASSIGN_OR_RETURN(const Beginning beginning, Begin(package, calibration, wish));
  try {
    return Training(package, dataset, wish, tools, beginning).Run();
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("libtorch: {}", error.what()));
  }
}

}  // namespace mico
