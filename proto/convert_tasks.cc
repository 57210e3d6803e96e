#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "proto/fields.h"

namespace mico {
namespace {

using namespace fields;

absl::StatusOr<std::vector<Digest>> ReadReconstructions(
    std::string_view field, const google::protobuf::RepeatedPtrField<std::string>& digests) {
  MICO_RETURN_IF_ERROR(CheckCount(field, digests.size(), kMostReconstructions));
  std::vector<Digest> reconstructions;
  for (const std::string& digest : digests) {
    MICO_ASSIGN_OR_RETURN(Digest read, ReadDigest(field, digest));
    reconstructions.push_back(std::move(read));
  }
  return reconstructions;
}

v1::CalibrateTask ToProto(const CalibrateTask& task) {
  v1::CalibrateTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_train_samples(task.train_samples);
  message.set_seed(task.seed);
  message.set_metric(MetricName(task.metric));
  return message;
}

absl::StatusOr<CalibrateTask> FromProto(const v1::CalibrateTask& message) {
  CalibrateTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("calibrate.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("calibrate.dataset_digest", message.dataset_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("calibrate.train_samples", message.train_samples()));
  task.train_samples = message.train_samples();
  task.seed = message.seed();
  MICO_ASSIGN_OR_RETURN(task.metric, ReadMetric("calibrate.metric", message.metric()));
  return task;
}

v1::ProfileTask ToProto(const ProfileTask& task) {
  v1::ProfileTask message;
  message.set_target_name(task.target_name);
  message.set_profile_key(task.profile_key);
  for (const std::string& signature : task.signatures) message.add_signatures(signature);
  return message;
}

absl::StatusOr<ProfileTask> FromProto(const v1::ProfileTask& message) {
  ProfileTask task;
  MICO_RETURN_IF_ERROR(CheckText("profile.target_name", message.target_name(), kMostName, false));
  MICO_RETURN_IF_ERROR(CheckText("profile.profile_key", message.profile_key(), kMostName));
  MICO_RETURN_IF_ERROR(
      CheckCount("profile.signatures", message.signatures_size(), kMostSignatures));
  task.target_name = message.target_name();
  task.profile_key = message.profile_key();
  for (const std::string& signature : message.signatures()) {
    MICO_RETURN_IF_ERROR(CheckText("profile.signatures", signature, kMostSignature, false));
    task.signatures.push_back(signature);
  }
  return task;
}

v1::ReconstructTask ToProto(const ReconstructTask& task) {
  v1::ReconstructTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_calibration_digest(task.calibration.hex());
  message.set_weight_bits(task.bits.weight_bits);
  message.set_input_bits(task.bits.input_bits);
  message.set_train_samples(task.train_samples);
  message.set_seed(task.seed);
  return message;
}

absl::StatusOr<ReconstructTask> FromProto(const v1::ReconstructTask& message) {
  ReconstructTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("reconstruct.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("reconstruct.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(task.calibration,
                        ReadDigest("reconstruct.calibration_digest", message.calibration_digest()));
  // Of a list, which gives values: of two temporaries it would be references.
  const auto [least, most] = std::minmax({message.weight_bits(), message.input_bits()});
  if (least < 1 || most > 8) {
    return Bad("reconstruct.bits",
               fmt::format("w{}a{}", message.weight_bits(), message.input_bits()), "widths of 1-8");
  }
  MICO_RETURN_IF_ERROR(CheckNotNegative("reconstruct.train_samples", message.train_samples()));
  task.bits = {message.weight_bits(), message.input_bits()};
  task.train_samples = message.train_samples();
  task.seed = message.seed();
  return task;
}

v1::TrainTask ToProto(const TrainTask& task) {
  v1::TrainTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_calibration_digest(task.calibration.hex());
  *message.mutable_scheme() = mico::ToProto(task.scheme);
  for (const Digest& digest : task.reconstructions) {
    message.add_reconstruction_digests(digest.hex());
  }
  message.set_warm_start_digest(task.warm_start.hex());
  message.set_checkpoint_digest(task.checkpoint.hex());
  v1::TrainingRecipe& recipe = *message.mutable_recipe();
  recipe.set_epochs(task.recipe.epochs);
  recipe.set_minutes(task.recipe.minutes);
  recipe.set_optimizer(std::string(ToString(task.recipe.optimizer)));
  recipe.set_augmentation(std::string(ToString(task.recipe.augmentation)));
  message.set_metric(MetricName(task.metric));
  message.set_seed(task.seed);
  return message;
}

absl::StatusOr<TrainingRecipe> FromProto(const v1::TrainingRecipe& message) {
  TrainingRecipe recipe;
  MICO_ASSIGN_OR_RETURN(recipe.epochs,
                        ReadBudget("train.recipe.epochs", message.epochs(), kMostEpochs));
  MICO_ASSIGN_OR_RETURN(recipe.minutes,
                        ReadBudget("train.recipe.minutes", message.minutes(), kMostMinutes));
  if (recipe.epochs == 0.0 && recipe.minutes == 0.0) {
    return Bad("train.recipe", "neither epochs nor minutes", "an end");
  }
  MICO_ASSIGN_OR_RETURN(recipe.optimizer,
                        ReadOptimizer("train.recipe.optimizer", message.optimizer()));
  MICO_ASSIGN_OR_RETURN(recipe.augmentation,
                        ReadAugmentation("train.recipe.augmentation", message.augmentation()));
  return recipe;
}

absl::StatusOr<TrainTask> FromProto(const v1::TrainTask& message) {
  TrainTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("train.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset, ReadDigest("train.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(task.calibration,
                        ReadDigest("train.calibration_digest", message.calibration_digest()));
  MICO_ASSIGN_OR_RETURN(task.scheme, mico::FromProto(message.scheme()));
  MICO_ASSIGN_OR_RETURN(
      task.reconstructions,
      ReadReconstructions("train.reconstruction_digests", message.reconstruction_digests()));
  MICO_ASSIGN_OR_RETURN(task.warm_start,
                        ReadOptionalDigest("train.warm_start_digest", message.warm_start_digest()));
  MICO_ASSIGN_OR_RETURN(task.checkpoint,
                        ReadOptionalDigest("train.checkpoint_digest", message.checkpoint_digest()));
  MICO_ASSIGN_OR_RETURN(task.recipe, FromProto(message.recipe()));
  MICO_ASSIGN_OR_RETURN(task.metric, ReadMetric("train.metric", message.metric()));
  task.seed = message.seed();
  return task;
}

v1::EvaluateTask ToProto(const EvaluateTask& task) {
  v1::EvaluateTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_calibration_digest(task.calibration.hex());
  message.set_split(mico::ToProto(task.split));
  message.set_samples(task.samples);
  for (const BitScheme& scheme : task.schemes) *message.add_schemes() = mico::ToProto(scheme);
  message.set_upload_models(task.upload_models);
  message.set_metric(MetricName(task.metric));
  message.set_verify_images(task.verify_images);
  if (task.floor.has_value()) message.set_floor(*task.floor);
  message.set_evaluation_version(task.evaluation_version);
  for (const Digest& digest : task.reconstructions) {
    message.add_reconstruction_digests(digest.hex());
  }
  return message;
}

absl::StatusOr<EvaluateTask> FromProto(const v1::EvaluateTask& message) {
  EvaluateTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("evaluate.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("evaluate.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(task.calibration,
                        ReadDigest("evaluate.calibration_digest", message.calibration_digest()));
  MICO_ASSIGN_OR_RETURN(task.split, mico::FromProto(message.split()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("evaluate.samples", message.samples()));
  MICO_RETURN_IF_ERROR(CheckCount("evaluate.schemes", message.schemes_size(), kMostSchemes));
  task.samples = message.samples();
  for (const v1::BitScheme& scheme : message.schemes()) {
    MICO_ASSIGN_OR_RETURN(BitScheme converted, mico::FromProto(scheme));
    task.schemes.push_back(std::move(converted));
  }
  task.upload_models = message.upload_models();
  MICO_ASSIGN_OR_RETURN(task.metric, ReadMetric("evaluate.metric", message.metric()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("evaluate.verify_images", message.verify_images()));
  task.verify_images = message.verify_images();
  if (message.has_floor()) {
    if (!(message.floor() >= 0.0 && message.floor() <= 1.0)) {
      return Bad("evaluate.floor", fmt::format("{}", message.floor()), "a number from 0 to 1");
    }
    task.floor = message.floor();
  }
  task.evaluation_version = message.evaluation_version();
  MICO_ASSIGN_OR_RETURN(
      task.reconstructions,
      ReadReconstructions("evaluate.reconstruction_digests", message.reconstruction_digests()));
  return task;
}

v1::ArtifactTask ToProto(const ArtifactTask& task) {
  v1::ArtifactTask message;
  message.set_quantized_digest(task.quantized.hex());
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_target_name(task.target_name);
  *message.mutable_scheme() = mico::ToProto(task.scheme);
  *message.mutable_val() = mico::ToProto(task.val);
  *message.mutable_test() = mico::ToProto(task.test);
  *message.mutable_predicted() = mico::ToProto(task.predicted);
  return message;
}

absl::StatusOr<ArtifactTask> FromProto(const v1::ArtifactTask& message) {
  ArtifactTask task;
  MICO_ASSIGN_OR_RETURN(task.quantized,
                        ReadDigest("artifact.quantized_digest", message.quantized_digest()));
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("artifact.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("artifact.dataset_digest", message.dataset_digest()));
  MICO_RETURN_IF_ERROR(CheckText("artifact.target_name", message.target_name(), kMostName, false));
  task.target_name = message.target_name();
  MICO_ASSIGN_OR_RETURN(task.scheme, mico::FromProto(message.scheme()));
  MICO_ASSIGN_OR_RETURN(task.val, mico::FromProto(message.val()));
  MICO_ASSIGN_OR_RETURN(task.test, mico::FromProto(message.test()));
  MICO_ASSIGN_OR_RETURN(task.predicted, mico::FromProto(message.predicted()));
  return task;
}

v1::ConvertTask ToProto(const ConvertTask& task) {
  v1::ConvertTask message;
  message.set_file_digest(task.file.hex());
  for (const int64_t extent : task.input_shape) message.add_input_shape(extent);
  return message;
}

absl::StatusOr<ConvertTask> FromProto(const v1::ConvertTask& message) {
  ConvertTask task;
  MICO_ASSIGN_OR_RETURN(task.file, ReadDigest("convert.file_digest", message.file_digest()));
  MICO_ASSIGN_OR_RETURN(task.input_shape,
                        ReadInputShape("convert.input_shape", message.input_shape()));
  return task;
}

void SetTask(const CalibrateTask& task, v1::TaskOrder& message) {
  *message.mutable_calibrate() = ToProto(task);
}
void SetTask(const ProfileTask& task, v1::TaskOrder& message) {
  *message.mutable_profile() = ToProto(task);
}
void SetTask(const EvaluateTask& task, v1::TaskOrder& message) {
  *message.mutable_evaluate() = ToProto(task);
}
void SetTask(const ArtifactTask& task, v1::TaskOrder& message) {
  *message.mutable_artifact() = ToProto(task);
}
void SetTask(const ConvertTask& task, v1::TaskOrder& message) {
  *message.mutable_convert() = ToProto(task);
}
void SetTask(const ReconstructTask& task, v1::TaskOrder& message) {
  *message.mutable_reconstruct() = ToProto(task);
}
void SetTask(const TrainTask& task, v1::TaskOrder& message) {
  *message.mutable_train() = ToProto(task);
}

}  // namespace

v1::TaskOrder ToProto(const TaskOrder& order) {
  v1::TaskOrder message;
  message.set_lease_id(order.lease_id);
  message.set_task_id(order.task_id);
  message.set_attempt(order.attempt);
  std::visit([&message](const auto& task) { SetTask(task, message); }, order.task);
  return message;
}

absl::StatusOr<TaskOrder> FromProto(const v1::TaskOrder& message) {
  TaskOrder order{message.lease_id(), message.task_id(), message.attempt(), {}};
  switch (message.task_case()) {
    case v1::TaskOrder::kCalibrate: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.calibrate()));
      return order;
    }
    case v1::TaskOrder::kProfile: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.profile()));
      return order;
    }
    case v1::TaskOrder::kEvaluate: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.evaluate()));
      return order;
    }
    case v1::TaskOrder::kArtifact: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.artifact()));
      return order;
    }
    case v1::TaskOrder::kConvert: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.convert()));
      return order;
    }
    case v1::TaskOrder::kReconstruct: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.reconstruct()));
      return order;
    }
    case v1::TaskOrder::kTrain: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.train()));
      return order;
    }
    case v1::TaskOrder::TASK_NOT_SET:
      break;
  }
  return Bad("order.task", "none that this version knows",
             "calibrate, profile, evaluate, artifact, convert, reconstruct or train");
}

}  // namespace mico
