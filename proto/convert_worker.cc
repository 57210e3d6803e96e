#include "proto/convert.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/fields.h"

namespace mico {
namespace {

using namespace fields;

// --- tasks

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
  MICO_RETURN_IF_ERROR(CheckCount("evaluate.reconstruction_digests",
                                  message.reconstruction_digests_size(), kMostReconstructions));
  for (const std::string& digest : message.reconstruction_digests()) {
    MICO_ASSIGN_OR_RETURN(Digest read, ReadDigest("evaluate.reconstruction_digests", digest));
    task.reconstructions.push_back(std::move(read));
  }
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

// --- results

void SetResult(std::monostate, v1::TaskResult&) {}

void SetResult(const CalibrateResult& result, v1::TaskResult& message) {
  v1::CalibrateResult& out = *message.mutable_calibrate();
  out.set_calibration_digest(result.calibration.hex());
  out.set_input_non_negative(result.input_non_negative);
  *out.mutable_float_val() = mico::ToProto(result.float_val);
  *out.mutable_float_test() = mico::ToProto(result.float_test);
}

void SetResult(const ProfileResult& result, v1::TaskResult& message) {
  message.mutable_profile()->set_latency_table_digest(result.latency_table.hex());
}

void SetResult(const EvaluateResult& result, v1::TaskResult& message) {
  v1::EvaluateResult& out = *message.mutable_evaluate();
  for (const SchemeResult& scheme : result.schemes) {
    v1::SchemeResult& added = *out.add_schemes();
    added.set_error(Said(scheme.error, kMostError));
    *added.mutable_accuracy() = mico::ToProto(scheme.score);
    added.set_kl(scheme.divergence);
    added.set_quantized_digest(scheme.quantized.hex());
    added.set_evaluation_ms(scheme.evaluation.count());
    added.set_gave_up(scheme.gave_up);
  }
}

void SetResult(const ArtifactResult& result, v1::TaskResult& message) {
  v1::ArtifactResult& out = *message.mutable_artifact();
  out.set_artifact_digest(result.artifact.hex());
  out.set_self_test_host(result.self_test_host);
  out.set_self_test_board(result.self_test_board);
  out.set_measured_count(result.measured_count);
  out.set_measured_flash_bytes(result.measured_flash_bytes);
  out.set_measured_ram_bytes(result.measured_ram_bytes);
}

void SetResult(const ConvertResult& result, v1::TaskResult& message) {
  message.mutable_convert()->set_package_digest(result.package.hex());
}
void SetResult(const ReconstructResult& result, v1::TaskResult& message) {
  message.mutable_reconstruct()->set_reconstruction_digest(result.reconstruction.hex());
}

absl::StatusOr<CalibrateResult> FromProto(const v1::CalibrateResult& message) {
  CalibrateResult result;
  MICO_ASSIGN_OR_RETURN(result.calibration,
                        ReadDigest("calibrate.calibration_digest", message.calibration_digest()));
  result.input_non_negative = message.input_non_negative();
  MICO_ASSIGN_OR_RETURN(result.float_val, mico::FromProto(message.float_val()));
  MICO_ASSIGN_OR_RETURN(result.float_test, mico::FromProto(message.float_test()));
  return result;
}

absl::StatusOr<SchemeResult> FromProto(const v1::SchemeResult& message) {
  SchemeResult result;
  MICO_RETURN_IF_ERROR(CheckText("schemes.error", message.error(), kMostError));
  result.error = message.error();
  MICO_ASSIGN_OR_RETURN(result.score, mico::FromProto(message.accuracy()));
  if (!std::isfinite(message.kl()) || message.kl() < -1e-6) {
    return Bad("schemes.kl", fmt::format("{}", message.kl()), "a finite number, 0 or more");
  }
  result.divergence = std::max(message.kl(), 0.0);
  MICO_ASSIGN_OR_RETURN(result.quantized,
                        ReadOptionalDigest("schemes.quantized_digest", message.quantized_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("schemes.evaluation_ms", message.evaluation_ms()));
  result.evaluation = std::chrono::milliseconds(message.evaluation_ms());
  result.gave_up = message.gave_up();
  return result;
}

absl::StatusOr<EvaluateResult> FromProto(const v1::EvaluateResult& message) {
  MICO_RETURN_IF_ERROR(CheckCount("evaluate.schemes", message.schemes_size(), kMostSchemes));
  EvaluateResult result;
  for (const v1::SchemeResult& scheme : message.schemes()) {
    MICO_ASSIGN_OR_RETURN(SchemeResult converted, FromProto(scheme));
    result.schemes.push_back(std::move(converted));
  }
  return result;
}

absl::StatusOr<ArtifactResult> FromProto(const v1::ArtifactResult& message) {
  ArtifactResult result;
  MICO_ASSIGN_OR_RETURN(result.artifact,
                        ReadDigest("artifact.artifact_digest", message.artifact_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("artifact.measured_count", message.measured_count()));
  MICO_RETURN_IF_ERROR(
      CheckNotNegative("artifact.measured_flash_bytes", message.measured_flash_bytes()));
  MICO_RETURN_IF_ERROR(
      CheckNotNegative("artifact.measured_ram_bytes", message.measured_ram_bytes()));
  result.self_test_host = message.self_test_host();
  result.self_test_board = message.self_test_board();
  result.measured_count = message.measured_count();
  result.measured_flash_bytes = message.measured_flash_bytes();
  result.measured_ram_bytes = message.measured_ram_bytes();
  return result;
}

// --- worker reports

void SetState(const Idle&, v1::SynchronizeRequest& message) { message.mutable_idle(); }
void SetState(const Running& running, v1::SynchronizeRequest& message) {
  message.mutable_running()->set_lease_id(running.lease_id);
  message.mutable_running()->set_progress(running.progress);
}
void SetState(const Finished& finished, v1::SynchronizeRequest& message) {
  message.mutable_finished()->set_lease_id(finished.lease_id);
  *message.mutable_finished()->mutable_result() = mico::ToProto(finished.result);
}

absl::Status ReadState(const v1::SynchronizeRequest& message, WorkerReport& report) {
  switch (message.state_case()) {
    case v1::SynchronizeRequest::kIdle:
      report.state = Idle{};
      return absl::OkStatus();
    case v1::SynchronizeRequest::kRunning: {
      const v1::Running& running = message.running();
      MICO_RETURN_IF_ERROR(CheckText("running.lease_id", running.lease_id(), kMostName, false));
      if (!(running.progress() >= 0.0 && running.progress() <= 1.0)) {
        return Bad("running.progress", fmt::format("{}", running.progress()), "0 to 1");
      }
      report.state = Running{running.lease_id(), running.progress()};
      return absl::OkStatus();
    }
    case v1::SynchronizeRequest::kFinished: {
      const v1::Finished& finished = message.finished();
      MICO_RETURN_IF_ERROR(CheckText("finished.lease_id", finished.lease_id(), kMostName, false));
      MICO_ASSIGN_OR_RETURN(TaskResult result, mico::FromProto(finished.result()));
      report.state = Finished{finished.lease_id(), std::move(result)};
      return absl::OkStatus();
    }
    case v1::SynchronizeRequest::STATE_NOT_SET:
      break;
  }
  return Bad("state", "none", "one of idle, running, finished");
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
    case v1::TaskOrder::TASK_NOT_SET:
      break;
  }
  return Bad("order.task", "none that this version knows",
             "calibrate, profile, evaluate, artifact, convert or reconstruct");
}

v1::TaskResult ToProto(const TaskResult& result) {
  v1::TaskResult message;
  message.set_error_code(static_cast<int32_t>(result.status.code()));
  const absl::string_view error = result.status.message();
  message.set_error(Said({error.data(), error.size()}, kMostError));
  if (result.status.ok()) {
    std::visit([&message](const auto& kind) { SetResult(kind, message); }, result.result);
  }
  return message;
}

absl::StatusOr<TaskResult> FromProto(const v1::TaskResult& message) {
  TaskResult result;
  if (message.error_code() != 0) {
    if (message.error_code() < 0 || message.error_code() > 16) {
      return Bad("result.error_code", fmt::format("{}", message.error_code()), "0-16");
    }
    MICO_RETURN_IF_ERROR(CheckText("result.error", message.error(), kMostError));
    result.status =
        absl::Status(static_cast<absl::StatusCode>(message.error_code()), message.error());
    return result;
  }
  switch (message.result_case()) {
    case v1::TaskResult::kCalibrate: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.calibrate()));
      return result;
    }
    case v1::TaskResult::kProfile: {
      MICO_ASSIGN_OR_RETURN(
          const Digest table,
          ReadDigest("profile.latency_table_digest", message.profile().latency_table_digest()));
      result.result = ProfileResult{table};
      return result;
    }
    case v1::TaskResult::kEvaluate: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.evaluate()));
      return result;
    }
    case v1::TaskResult::kArtifact: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.artifact()));
      return result;
    }
    case v1::TaskResult::kConvert: {
      MICO_ASSIGN_OR_RETURN(const Digest package, ReadDigest("convert.package_digest",
                                                             message.convert().package_digest()));
      result.result = ConvertResult{package};
      return result;
    }
    case v1::TaskResult::kReconstruct: {
      MICO_ASSIGN_OR_RETURN(const Digest reconstruction,
                            ReadDigest("reconstruct.reconstruction_digest",
                                       message.reconstruct().reconstruction_digest()));
      result.result = ReconstructResult{reconstruction};
      return result;
    }
    case v1::TaskResult::RESULT_NOT_SET:
      break;
  }
  return Bad("finished.result", "none", "an error or a result");
}

v1::SynchronizeRequest ToProto(const WorkerReport& report) {
  v1::SynchronizeRequest message;
  message.set_worker_id(report.worker_id);
  message.set_worker_name(report.worker_name);
  message.set_version(report.version);
  for (const Target& target : report.targets) *message.add_targets() = ToProto(target);
  message.set_evaluates(report.evaluates);
  message.set_converts(report.converts);
  for (const Check& check : report.checks) *message.add_checks() = ToProto(check);
  for (const TargetHealth& health : report.target_health) {
    *message.add_target_health() = ToProto(health);
  }
  std::visit([&message](const auto& state) { SetState(state, message); }, report.state);
  message.set_leaving(report.leaving);
  return message;
}

absl::StatusOr<WorkerReport> FromProto(const v1::SynchronizeRequest& message) {
  MICO_RETURN_IF_ERROR(CheckName("worker_id", message.worker_id(), false));
  MICO_RETURN_IF_ERROR(CheckName("worker_name", message.worker_name()));
  MICO_RETURN_IF_ERROR(CheckName("version", message.version()));
  MICO_RETURN_IF_ERROR(CheckCount("targets", message.targets_size(), kMostTargets));
  WorkerReport report;
  report.worker_id = message.worker_id();
  report.worker_name = message.worker_name();
  report.version = message.version();
  for (const v1::Target& target : message.targets()) {
    MICO_ASSIGN_OR_RETURN(Target converted, FromProto(target));
    report.targets.push_back(std::move(converted));
  }
  MICO_ASSIGN_OR_RETURN(report.checks, ReadChecks("checks", message.checks()));
  MICO_RETURN_IF_ERROR(CheckCount("target_health", message.target_health_size(), kMostTargets));
  for (const v1::TargetHealth& health : message.target_health()) {
    MICO_ASSIGN_OR_RETURN(TargetHealth converted, FromProto(health));
    report.target_health.push_back(std::move(converted));
  }
  report.evaluates = message.evaluates();
  report.converts = message.converts();
  report.leaving = message.leaving();
  MICO_RETURN_IF_ERROR(ReadState(message, report));
  return report;
}

v1::SynchronizeResponse ToProto(const WorkerOrder& order) {
  v1::SynchronizeResponse message;
  message.set_lease_lost(order.lease_lost);
  if (order.order) *message.mutable_order() = ToProto(*order.order);
  message.set_next_call_ms(order.next_call.count());
  return message;
}

absl::StatusOr<WorkerOrder> FromProto(const v1::SynchronizeResponse& message) {
  WorkerOrder order;
  order.lease_lost = message.lease_lost();
  if (message.has_order()) {
    MICO_ASSIGN_OR_RETURN(order.order, FromProto(message.order()));
  }
  MICO_RETURN_IF_ERROR(CheckNotNegative("next_call_ms", message.next_call_ms()));
  order.next_call = std::chrono::milliseconds(message.next_call_ms());
  return order;
}

}  // namespace mico
