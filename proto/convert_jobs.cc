#include "proto/convert.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/fields.h"

namespace mico {
namespace {

using namespace fields;

// Of a training that nobody has set a limit.
constexpr double kUsualEpochs = 20.0;

v1::Limit ToProto(const RequestedLimit& limit) {
  v1::Limit message;
  switch (limit.kind) {
    case RequestedLimit::Kind::kAbsolute:
      message.set_absolute(limit.value);
      break;
    case RequestedLimit::Kind::kRelative:
      message.set_relative(limit.value);
      break;
    case RequestedLimit::Kind::kSeconds:
      message.set_absolute_seconds(limit.value);
      break;
  }
  return message;
}

absl::StatusOr<RequestedLimit> ReadLimit(std::string_view field, const v1::Limit& message) {
  RequestedLimit limit;
  switch (message.bound_case()) {
    case v1::Limit::kAbsolute:
      limit = {RequestedLimit::Kind::kAbsolute, message.absolute()};
      break;
    case v1::Limit::kRelative:
      limit = {RequestedLimit::Kind::kRelative, message.relative()};
      break;
    case v1::Limit::kAbsoluteSeconds:
      limit = {RequestedLimit::Kind::kSeconds, message.absolute_seconds()};
      break;
    case v1::Limit::BOUND_NOT_SET:
      return Bad(field, "no bound", "absolute, relative or absolute_seconds");
  }
  if (!std::isfinite(limit.value) || limit.value <= 0.0 || limit.value > 1e15) {
    return Bad(field, fmt::format("{}", limit.value), "a number above 0 and up to 1e15");
  }
  if (limit.kind == RequestedLimit::Kind::kSeconds && field != "limits.max_latency") {
    return Bad(field, "a time", "absolute or relative");
  }
  if (field == "limits.min_accuracy" && limit.kind == RequestedLimit::Kind::kAbsolute &&
      limit.value > 1.0) {
    return Bad(field, fmt::format("{}", limit.value), "at most 1");
  }
  return limit;
}

absl::StatusOr<RequestedLimits> ReadLimits(const v1::Limits& message) {
  RequestedLimits limits;
  if (message.has_max_latency()) {
    MICO_ASSIGN_OR_RETURN(limits.max_latency,
                          ReadLimit("limits.max_latency", message.max_latency()));
  }
  if (message.has_max_ram()) {
    MICO_ASSIGN_OR_RETURN(limits.max_ram, ReadLimit("limits.max_ram", message.max_ram()));
  }
  if (message.has_max_flash()) {
    MICO_ASSIGN_OR_RETURN(limits.max_flash, ReadLimit("limits.max_flash", message.max_flash()));
  }
  if (message.has_min_accuracy()) {
    MICO_ASSIGN_OR_RETURN(limits.min_accuracy,
                          ReadLimit("limits.min_accuracy", message.min_accuracy()));
  }
  if (message.has_max_error()) {
    MICO_ASSIGN_OR_RETURN(limits.max_error, ReadLimit("limits.max_error", message.max_error()));
  }
  return limits;
}

// A limit on the value is for metrics where more is better, or for one where less is.
absl::Status CheckLimitsSuit(const RequestedLimits& limits, Metric metric) {
  if (limits.min_accuracy && LowerIsBetter(metric)) {
    return Bad("limits.min_accuracy", fmt::format("with metric {}", ToString(metric)),
               "max_error, or a metric where more is better: top1, top5, auc");
  }
  if (limits.max_error && !LowerIsBetter(metric)) {
    return Bad("limits.max_error", fmt::format("with metric {}", ToString(metric)),
               "min_accuracy, or metric mse");
  }
  return absl::OkStatus();
}

// "top:8", of which the prefix is taken off.
absl::StatusOr<int64_t> ReadTop(std::string_view count, const std::string& whole) {
  int64_t top = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), top);
  const bool is_number = error == std::errc() && end == count.data() + count.size();
  if (is_number && top >= 1 && top <= kMostPromoted) return top;
  return Bad("spec.qat", fmt::format("'{}'", whole.substr(0, 80)),
             fmt::format("top:K with K from 1 to {}", kMostPromoted));
}

// How schemes are trained says nothing where none is.
absl::Status CheckNoRecipe(const v1::JobSpec& message) {
  const auto alone = [](std::string_view field, std::string_view found) {
    return Bad(field, fmt::format("{} without training", found), "spec.qat, all or top:K");
  };
  if (message.qat_epochs() != 0.0) {
    return alone("spec.qat_epochs", fmt::format("{}", message.qat_epochs()));
  }
  if (message.qat_minutes() != 0.0) {
    return alone("spec.qat_minutes", fmt::format("{}", message.qat_minutes()));
  }
  if (!message.qat_optimizer().empty()) {
    return alone("spec.qat_optimizer", fmt::format("'{}'", message.qat_optimizer().substr(0, 80)));
  }
  if (!message.qat_augmentation().empty()) {
    return alone("spec.qat_augmentation",
                 fmt::format("'{}'", message.qat_augmentation().substr(0, 80)));
  }
  return absl::OkStatus();
}

absl::StatusOr<QatSpec> ReadQat(const v1::JobSpec& message) {
  constexpr std::string_view kTopPrefix = "top:";
  QatSpec qat;
  const std::string& mode = message.qat();
  if (mode == "all") {
    qat.mode = QatMode::kAll;
  } else if (mode.starts_with(kTopPrefix)) {
    qat.mode = QatMode::kTop;
    MICO_ASSIGN_OR_RETURN(qat.top, ReadTop(std::string_view(mode).substr(kTopPrefix.size()), mode));
  } else if (mode.empty() || mode == "none") {
    MICO_RETURN_IF_ERROR(CheckNoRecipe(message));
    return qat;
  } else {
    return Bad("spec.qat", fmt::format("'{}'", mode.substr(0, 80)), "none, all or top:K");
  }
  TrainingRecipe& recipe = qat.recipe;
  MICO_ASSIGN_OR_RETURN(recipe.epochs,
                        ReadBudget("spec.qat_epochs", message.qat_epochs(), kMostEpochs));
  MICO_ASSIGN_OR_RETURN(recipe.minutes,
                        ReadBudget("spec.qat_minutes", message.qat_minutes(), kMostMinutes));
  if (recipe.epochs == 0.0 && recipe.minutes == 0.0) recipe.epochs = kUsualEpochs;
  MICO_ASSIGN_OR_RETURN(recipe.optimizer,
                        ReadOptimizer("spec.qat_optimizer", message.qat_optimizer()));
  MICO_ASSIGN_OR_RETURN(recipe.augmentation,
                        ReadAugmentation("spec.qat_augmentation", message.qat_augmentation()));
  return qat;
}

// Nothing where nothing is trained: as it was before there was a choice.
void WriteQat(const QatSpec& qat, v1::JobSpec& message) {
  if (qat.mode == QatMode::kNone) return;
  message.set_qat(ToString(qat));
  message.set_qat_epochs(qat.recipe.epochs);
  message.set_qat_minutes(qat.recipe.minutes);
  message.set_qat_optimizer(std::string(ToString(qat.recipe.optimizer)));
  message.set_qat_augmentation(std::string(ToString(qat.recipe.augmentation)));
}

void WriteLimits(const RequestedLimits& limits, v1::Limits& message) {
  if (limits.max_latency) *message.mutable_max_latency() = ToProto(*limits.max_latency);
  if (limits.max_ram) *message.mutable_max_ram() = ToProto(*limits.max_ram);
  if (limits.max_flash) *message.mutable_max_flash() = ToProto(*limits.max_flash);
  if (limits.min_accuracy) *message.mutable_min_accuracy() = ToProto(*limits.min_accuracy);
  if (limits.max_error) *message.mutable_max_error() = ToProto(*limits.max_error);
}

}  // namespace

v1::JobSpec ToProto(const JobSpec& spec) {
  v1::JobSpec message;
  message.set_model_name(spec.model_name);
  message.set_model_digest(spec.model.hex());
  message.set_dataset_name(spec.dataset_name);
  message.set_dataset_digest(spec.dataset.hex());
  message.set_target(spec.target);
  WriteLimits(spec.limits, *message.mutable_limits());
  message.set_strategy(spec.strategy);
  message.set_trials(spec.trials);
  message.set_seed(spec.seed);
  message.set_calibration_samples(spec.calibration_samples);
  message.set_metric(MetricName(spec.metric));
  // As it was before there was a choice.
  if (spec.ptq != PtqMode::kFast) message.set_ptq(std::string(ToString(spec.ptq)));
  WriteQat(spec.qat, message);
  return message;
}

absl::StatusOr<JobSpec> FromProto(const v1::JobSpec& message) {
  JobSpec spec;
  MICO_RETURN_IF_ERROR(CheckName("spec.model_name", message.model_name()));
  MICO_RETURN_IF_ERROR(CheckName("spec.dataset_name", message.dataset_name()));
  MICO_RETURN_IF_ERROR(CheckName("spec.target", message.target(), false));
  MICO_RETURN_IF_ERROR(CheckName("spec.strategy", message.strategy()));
  spec.model_name = message.model_name();
  spec.dataset_name = message.dataset_name();
  spec.target = message.target();
  MICO_ASSIGN_OR_RETURN(spec.model, ReadDigest("spec.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(spec.dataset, ReadDigest("spec.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(spec.limits, ReadLimits(message.limits()));
  if (!message.strategy().empty()) spec.strategy = message.strategy();
  if (message.trials() != 0) spec.trials = message.trials();
  if (spec.trials < 1 || spec.trials > 1'000'000) {
    return Bad("spec.trials", fmt::format("{}", spec.trials), "1 to 1000000");
  }
  if (message.calibration_samples() != 0) spec.calibration_samples = message.calibration_samples();
  if (spec.calibration_samples < 1 || spec.calibration_samples > 1'000'000) {
    return Bad("spec.calibration_samples", fmt::format("{}", spec.calibration_samples),
               "1 to 1000000");
  }
  spec.seed = message.seed();
  if (message.ptq() == ToString(PtqMode::kReconstruct)) {
    spec.ptq = PtqMode::kReconstruct;
  } else if (!message.ptq().empty() && message.ptq() != ToString(PtqMode::kFast)) {
    return Bad("spec.ptq", fmt::format("'{}'", message.ptq()), "fast or reconstruct");
  }
  MICO_ASSIGN_OR_RETURN(spec.qat, ReadQat(message));
  MICO_ASSIGN_OR_RETURN(spec.metric, ReadMetric("spec.metric", message.metric()));
  MICO_RETURN_IF_ERROR(CheckLimitsSuit(spec.limits, spec.metric));
  return spec;
}

v1::Trial ToProto(const Trial& trial) {
  v1::Trial message;
  message.set_number(trial.number);
  *message.mutable_scheme() = ToProto(trial.scheme);
  message.set_scheme_text(trial.scheme.ToString());
  switch (trial.state) {
    case TrialState::kWaiting:
      message.set_state(v1::TRIAL_STATE_WAITING);
      break;
    case TrialState::kRunning:
      message.set_state(v1::TRIAL_STATE_RUNNING);
      break;
    case TrialState::kFinished:
      message.set_state(v1::TRIAL_STATE_FINISHED);
      break;
    case TrialState::kFailed:
      message.set_state(v1::TRIAL_STATE_FAILED);
      break;
  }
  if (trial.val.measured()) *message.mutable_val() = ToProto(trial.val);
  message.set_kl(trial.divergence);
  *message.mutable_cost() = ToProto(trial.cost);
  message.set_quantized_digest(trial.quantized_digest);
  message.set_error(trial.error);
  message.set_label(trial.label);
  message.set_probe(trial.is_probe());
  message.set_gave_up(trial.gave_up);
  message.set_trained(trial.trained);
  message.set_trained_from(trial.trained_from);
  return message;
}

}  // namespace mico
