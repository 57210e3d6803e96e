#include "worker/task_runner.h"

#include <exception>
#include <new>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/equalize.h"
#include "quant/evaluation_version.h"
#include "spdlog/spdlog.h"
#include "worker/artifact_builder.h"
#include "worker/profiler.h"

namespace mico {
namespace {

template <typename Result>
TaskResult ToTaskResult(absl::StatusOr<Result> result) {
  TaskResult task_result;
  task_result.status = result.status();
  if (result.ok()) task_result.result = *std::move(result);
  return task_result;
}

EvaluationRequest RequestOf(const EvaluateTask& task,
                            const std::vector<const Reconstruction*>& reconstructions) {
  return {.schemes = task.schemes,
          .split = task.split,
          .samples = task.samples,
          .metric = task.metric,
          .reconstructions = reconstructions,
          .verify_images = task.verify_images,
          .floor = task.floor,
          .keep_models = task.upload_models};
}

std::vector<const Reconstruction*> PointersTo(
    const std::vector<std::shared_ptr<const Reconstruction>>& reconstructions) {
  std::vector<const Reconstruction*> pointers;
  pointers.reserve(reconstructions.size());
  for (const auto& reconstruction : reconstructions) pointers.push_back(reconstruction.get());
  return pointers;
}

// Which blob an error is about.
absl::Status About(std::string_view what, const Digest& digest, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{} {}: {}", what, digest.ShortHex(),
                                                 std::string(status.message())));
}

}  // namespace

KeepGoing TaskControl::AsKeepGoing() {
  return [this](double done) {
    progress = done;
    return !cancelled.load();
  };
}

void TaskControl::SetCheckpoint(Digest checkpoint) {
  const absl::MutexLock lock(&mutex_);
  checkpoint_ = std::move(checkpoint);
}

Digest TaskControl::checkpoint() const {
  const absl::MutexLock lock(&mutex_);
  return checkpoint_;
}

TaskRunner::TaskRunner(BlobCache& blobs, Evaluator* evaluator, Equipment& equipment,
                       TaskRunnerOptions options)
    : blobs_(blobs), evaluator_(evaluator), equipment_(equipment), options_(std::move(options)) {}

TaskResult TaskRunner::Run(const Task& task, TaskControl& control) {
  // Libraries throw; whatever they throw is this task's failure and not the worker's.
  try {
    return std::visit([this, &control](const auto& one) { return ToTaskResult(Do(one, control)); },
                      task);
  } catch (const std::bad_alloc&) {
    return {absl::ResourceExhaustedError("the worker's memory does not suffice for this task"), {}};
  } catch (const std::exception& error) {
    return {absl::InternalError(fmt::format("the worker failed: {}", error.what())), {}};
  }
}

absl::StatusOr<CalibrateResult> TaskRunner::Do(const CalibrateTask& task, TaskControl& control) {
  if (evaluator_ == nullptr) return absl::FailedPreconditionError("this worker does not evaluate");
  MICO_ASSIGN_OR_RETURN(const auto model, FetchModel(task.model, control));
  MICO_ASSIGN_OR_RETURN(const auto dataset, FetchDataset(task.dataset, control));
  MICO_ASSIGN_OR_RETURN(const CalibrationOutcome outcome,
                        evaluator_->Calibrate(*model, *dataset, task.train_samples, task.seed,
                                              task.metric, control.AsKeepGoing()));
  CalibrateResult result;
  MICO_ASSIGN_OR_RETURN(result.calibration,
                        blobs_.Put(Serialize(outcome.calibration), &control.cancelled));
  result.input_non_negative = outcome.calibration.input_non_negative;
  result.float_val = outcome.float_val;
  result.float_test = outcome.float_test;
  return result;
}

absl::StatusOr<EvaluateResult> TaskRunner::Do(const EvaluateTask& task, TaskControl& control) {
  if (evaluator_ == nullptr) return absl::FailedPreconditionError("this worker does not evaluate");
  if (task.evaluation_version != kEvaluationVersion) {
    return absl::FailedPreconditionError(
        fmt::format("evaluation version {}; this worker's is {}: server and workers must be of one "
                    "release",
                    task.evaluation_version, kEvaluationVersion));
  }
  MICO_ASSIGN_OR_RETURN(const auto model, FetchModel(task.model, control));
  MICO_ASSIGN_OR_RETURN(const auto dataset, FetchDataset(task.dataset, control));
  MICO_ASSIGN_OR_RETURN(const auto calibration, FetchCalibration(task.calibration, control));
  MICO_ASSIGN_OR_RETURN(const auto learned, FetchReconstructions(task.reconstructions, control));
  const std::vector<const Reconstruction*> reconstructions = PointersTo(learned);
  MICO_ASSIGN_OR_RETURN(
      const std::vector<SchemeOutcome> outcomes,
      evaluator_->Evaluate(*model, *calibration, *dataset, RequestOf(task, reconstructions),
                           control.AsKeepGoing()));
  EvaluateResult result;
  for (const SchemeOutcome& outcome : outcomes) {
    SchemeResult& scheme = result.schemes.emplace_back();
    if (!outcome.status.ok()) {
      scheme.error = std::string(outcome.status.message());
      continue;
    }
    scheme.score = outcome.score;
    scheme.divergence = outcome.divergence;
    scheme.quantized = outcome.model_digest;
    scheme.evaluation = outcome.duration;
    scheme.gave_up = outcome.gave_up;
    if (!task.upload_models) continue;
    MICO_ASSIGN_OR_RETURN(scheme.quantized,
                          blobs_.Put(Serialize(outcome.model), &control.cancelled));
  }
  return result;
}

absl::StatusOr<ReconstructResult> TaskRunner::Do(const ReconstructTask& task,
                                                 TaskControl& control) {
  if (evaluator_ == nullptr) return absl::FailedPreconditionError("this worker does not evaluate");
  MICO_ASSIGN_OR_RETURN(const auto model, FetchModel(task.model, control));
  MICO_ASSIGN_OR_RETURN(const auto dataset, FetchDataset(task.dataset, control));
  MICO_ASSIGN_OR_RETURN(const auto calibration, FetchCalibration(task.calibration, control));
  MICO_ASSIGN_OR_RETURN(
      const Reconstruction reconstruction,
      evaluator_->Reconstruct(*model, *calibration, *dataset, task.bits, task.train_samples,
                              task.seed, control.AsKeepGoing()));
  ReconstructResult result;
  MICO_ASSIGN_OR_RETURN(result.reconstruction,
                        blobs_.Put(Serialize(reconstruction), &control.cancelled));
  return result;
}

absl::StatusOr<TrainResult> TaskRunner::Do(const TrainTask& task, TaskControl& control) {
  if (evaluator_ == nullptr) return absl::FailedPreconditionError("this worker does not evaluate");
  MICO_ASSIGN_OR_RETURN(const auto model, FetchModel(task.model, control));
  MICO_ASSIGN_OR_RETURN(const auto dataset, FetchDataset(task.dataset, control));
  MICO_ASSIGN_OR_RETURN(const auto calibration, FetchCalibration(task.calibration, control));
  MICO_ASSIGN_OR_RETURN(const auto learned, FetchReconstructions(task.reconstructions, control));
  MICO_ASSIGN_OR_RETURN(const std::string warm_start, FetchState(task.warm_start, control));
  MICO_ASSIGN_OR_RETURN(const std::string checkpoint, FetchState(task.checkpoint, control));
  const std::vector<const Reconstruction*> reconstructions = PointersTo(learned);
  const TrainingRequest request{task.scheme, reconstructions, warm_start, checkpoint,
                                task.recipe, task.metric,     task.seed};
  const auto save = [&](std::string_view state) {
    const absl::StatusOr<Digest> digest = blobs_.Put(state, &control.cancelled);
    // Training goes on; whoever takes over starts from the checkpoint before.
    if (!digest.ok()) {
      spdlog::warn("a checkpoint could not be stored: {}", digest.status().ToString());
      return;
    }
    control.SetCheckpoint(*digest);
  };
  MICO_ASSIGN_OR_RETURN(
      const TrainingOutcome outcome,
      evaluator_->Train(*model, *calibration, *dataset, request, save, control.AsKeepGoing()));
  TrainResult result;
  MICO_ASSIGN_OR_RETURN(result.reconstruction,
                        blobs_.Put(Serialize(outcome.reconstruction), &control.cancelled));
  MICO_ASSIGN_OR_RETURN(result.state, blobs_.Put(outcome.state, &control.cancelled));
  result.epochs = outcome.epochs;
  result.duration = outcome.duration;
  return result;
}

absl::StatusOr<ProfileResult> TaskRunner::Do(const ProfileTask& task, TaskControl& control) {
  const Equipment::Reservation reservation(equipment_);
  MICO_ASSIGN_OR_RETURN(const std::shared_ptr<const Workbench> workbench,
                        equipment_.Find(task.target_name));
  if (workbench->target().profile_key != task.profile_key) {
    return absl::FailedPreconditionError(
        fmt::format("target '{}': profile key {}, this worker has {}; its compiler, flags or board "
                    "differ",
                    task.target_name, task.profile_key, workbench->target().profile_key));
  }
  MICO_ASSIGN_OR_RETURN(
      const LatencyTable table,
      Profile(*workbench, task.signatures, CompilerOptionsFor(control), control.AsKeepGoing()));
  ProfileResult result;
  MICO_ASSIGN_OR_RETURN(result.latency_table, blobs_.Put(Serialize(table), &control.cancelled));
  return result;
}

absl::StatusOr<ArtifactResult> TaskRunner::Do(const ArtifactTask& task, TaskControl& control) {
  const Equipment::Reservation reservation(equipment_);
  MICO_ASSIGN_OR_RETURN(const std::shared_ptr<const Workbench> workbench,
                        equipment_.Find(task.target_name));
  MICO_ASSIGN_OR_RETURN(const auto package, FetchModel(task.model, control));
  MICO_ASSIGN_OR_RETURN(const auto dataset, FetchDataset(task.dataset, control));
  MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(task.quantized, &control.cancelled));
  const absl::StatusOr<QuantizedModel> model = ParseQuantizedModel(bytes);
  if (!model.ok()) return About("quantized model", task.quantized, model.status());

  const ArtifactRequest request{task, *package, *model, *dataset, options_.version};
  MICO_ASSIGN_OR_RETURN(const BuiltArtifact built,
                        BuildArtifact(request, *workbench, CompilerOptionsFor(control)));
  ArtifactResult result = built.result;
  MICO_ASSIGN_OR_RETURN(result.artifact, blobs_.Put(built.tar, &control.cancelled));
  return result;
}

absl::StatusOr<ConvertResult> TaskRunner::Do(const ConvertTask& task, TaskControl& control) {
  if (options_.converter == nullptr) {
    return absl::FailedPreconditionError("this worker does not read TorchScript");
  }
  MICO_ASSIGN_OR_RETURN(const std::string file, blobs_.Get(task.file, &control.cancelled));
  MICO_ASSIGN_OR_RETURN(const std::string package,
                        options_.converter->Convert(file, task.input_shape, &control.cancelled));
  // In the normal form of every import (server/coordinator_submit.cc).
  MICO_ASSIGN_OR_RETURN(ModelPackage parsed, ParseModelPackage(package));
  MICO_ASSIGN_OR_RETURN(parsed, EqualizeChannels(std::move(parsed)));
  ConvertResult result;
  MICO_ASSIGN_OR_RETURN(result.package, blobs_.Put(Serialize(parsed), &control.cancelled));
  return result;
}

absl::StatusOr<std::shared_ptr<const ModelPackage>> TaskRunner::FetchModel(const Digest& digest,
                                                                           TaskControl& control) {
  return models_.Get(digest, [&]() -> absl::StatusOr<ModelPackage> {
    MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(digest, &control.cancelled));
    absl::StatusOr<ModelPackage> package = ParseModelPackage(bytes);
    return package.ok() ? std::move(package) : About("model", digest, package.status());
  });
}

absl::StatusOr<std::shared_ptr<const Dataset>> TaskRunner::FetchDataset(const Digest& digest,
                                                                        TaskControl& control) {
  return datasets_.Get(digest, [&]() -> absl::StatusOr<Dataset> {
    MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(digest, &control.cancelled));
    absl::StatusOr<Dataset> dataset = ParseDataset(bytes);
    return dataset.ok() ? std::move(dataset) : About("data set", digest, dataset.status());
  });
}

absl::StatusOr<std::shared_ptr<const Calibration>> TaskRunner::FetchCalibration(
    const Digest& digest, TaskControl& control) {
  return calibrations_.Get(digest, [&]() -> absl::StatusOr<Calibration> {
    MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(digest, &control.cancelled));
    absl::StatusOr<Calibration> calibration = ParseCalibration(bytes);
    return calibration.ok() ? std::move(calibration)
                            : About("calibration", digest, calibration.status());
  });
}

absl::StatusOr<std::shared_ptr<const Reconstruction>> TaskRunner::FetchReconstruction(
    const Digest& digest, TaskControl& control) {
  return reconstructions_.Get(digest, [&]() -> absl::StatusOr<Reconstruction> {
    MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Get(digest, &control.cancelled));
    absl::StatusOr<Reconstruction> reconstruction = ParseReconstruction(bytes);
    return reconstruction.ok() ? std::move(reconstruction)
                               : About("reconstruction", digest, reconstruction.status());
  });
}

absl::StatusOr<std::vector<std::shared_ptr<const Reconstruction>>> TaskRunner::FetchReconstructions(
    const std::vector<Digest>& digests, TaskControl& control) {
  std::vector<std::shared_ptr<const Reconstruction>> reconstructions;
  reconstructions.reserve(digests.size());
  for (const Digest& digest : digests) {
    MICO_ASSIGN_OR_RETURN(reconstructions.emplace_back(), FetchReconstruction(digest, control));
  }
  return reconstructions;
}

absl::StatusOr<std::string> TaskRunner::FetchState(const Digest& digest, TaskControl& control) {
  if (digest.empty()) return std::string();
  return blobs_.Get(digest, &control.cancelled);
}

CompilerOptions TaskRunner::CompilerOptionsFor(TaskControl& control) const {
  CompilerOptions options;
  options.parallel = options_.parallel_compilers;
  options.object_cache = options_.object_cache;
  options.cancelled = &control.cancelled;
  return options;
}

}  // namespace mico
