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
void SetResult(const TrainResult& result, v1::TaskResult& message) {
  v1::TrainResult& out = *message.mutable_train();
  out.set_reconstruction_digest(result.reconstruction.hex());
  out.set_state_digest(result.state.hex());
  out.set_epochs(result.epochs);
  out.set_duration_ms(result.duration.count());
}

absl::StatusOr<TrainResult> FromProto(const v1::TrainResult& message) {
  TrainResult result;
  MICO_ASSIGN_OR_RETURN(result.reconstruction,
                        ReadDigest("train.reconstruction_digest", message.reconstruction_digest()));
  MICO_ASSIGN_OR_RETURN(result.state, ReadDigest("train.state_digest", message.state_digest()));
  if (!std::isfinite(message.epochs()) || message.epochs() < 0.0) {
    return Bad("train.epochs", fmt::format("{}", message.epochs()), "a finite number, 0 or more");
  }
  result.epochs = message.epochs();
  MICO_RETURN_IF_ERROR(CheckNotNegative("train.duration_ms", message.duration_ms()));
  result.duration = std::chrono::milliseconds(message.duration_ms());
  return result;
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
  message.mutable_running()->set_checkpoint_digest(running.checkpoint.hex());
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
      MICO_ASSIGN_OR_RETURN(
          const Digest checkpoint,
          ReadOptionalDigest("running.checkpoint_digest", running.checkpoint_digest()));
      report.state = Running{running.lease_id(), running.progress(), checkpoint};
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
    case v1::TaskResult::kTrain: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.train()));
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
