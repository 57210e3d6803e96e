#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "proto/messages.h"
#include "quant/calibration.h"
#include "worker/blob_cache.h"
#include "worker/compiler.h"
#include "worker/equipment.h"
#include "worker/evaluator.h"
#include "worker/recently_used.h"
#include "worker/script_converter.h"

namespace mico {

// How a task that runs on one thread is watched and stopped from another.
struct TaskControl {
  std::atomic<bool> cancelled = false;
  std::atomic<double> progress = 0.0;  // [0, 1]

  // The form in which an evaluator asks.
  KeepGoing AsKeepGoing();

  // Where another attempt could go on: a blob that has been uploaded. Empty: nowhere yet.
  // Thread-safe; the server hears of the latest with the next report.
  void SetCheckpoint(Digest checkpoint);
  Digest checkpoint() const;

 private:
  mutable absl::Mutex mutex_;
  Digest checkpoint_ ABSL_GUARDED_BY(mutex_);
};

// Runs one task to its end.
class TaskExecutor {
 public:
  virtual ~TaskExecutor() = default;
  virtual TaskResult Run(const Task& task, TaskControl& control) = 0;
};

struct TaskRunnerOptions {
  // Named in artifacts.
  std::string version;
  // Objects of unchanged sources are kept here.
  std::filesystem::path object_cache;
  // Compilers that run at once; 0: one for each core.
  int parallel_compilers = 0;
  // Outlives the runner. Null: convert tasks are refused.
  const ScriptConverter* converter = nullptr;
};

// The worker's hands: knows which of its tools a task needs, fetches what the task names, uploads
// what comes out. Deterministic failures are in TaskResult::status. One task at a time.
class TaskRunner : public TaskExecutor {
 public:
  // `evaluator` may be null: calibrate and evaluate tasks are refused. All outlive the runner.
  TaskRunner(BlobCache& blobs, Evaluator* evaluator, Equipment& equipment,
             TaskRunnerOptions options);

  TaskResult Run(const Task& task, TaskControl& control) override;

 private:
  absl::StatusOr<CalibrateResult> Do(const CalibrateTask& task, TaskControl& control);
  absl::StatusOr<EvaluateResult> Do(const EvaluateTask& task, TaskControl& control);
  absl::StatusOr<ProfileResult> Do(const ProfileTask& task, TaskControl& control);
  absl::StatusOr<ArtifactResult> Do(const ArtifactTask& task, TaskControl& control);
  absl::StatusOr<ConvertResult> Do(const ConvertTask& task, TaskControl& control);
  absl::StatusOr<ReconstructResult> Do(const ReconstructTask& task, TaskControl& control);
  absl::StatusOr<TrainResult> Do(const TrainTask& task, TaskControl& control);

  absl::StatusOr<std::shared_ptr<const ModelPackage>> FetchModel(const Digest& digest,
                                                                 TaskControl& control);
  absl::StatusOr<std::shared_ptr<const Dataset>> FetchDataset(const Digest& digest,
                                                              TaskControl& control);
  absl::StatusOr<std::shared_ptr<const Calibration>> FetchCalibration(const Digest& digest,
                                                                      TaskControl& control);
  absl::StatusOr<std::shared_ptr<const Reconstruction>> FetchReconstruction(const Digest& digest,
                                                                            TaskControl& control);
  absl::StatusOr<std::vector<std::shared_ptr<const Reconstruction>>> FetchReconstructions(
      const std::vector<Digest>& digests, TaskControl& control);
  // The bytes of a training state; of no digest none.
  absl::StatusOr<std::string> FetchState(const Digest& digest, TaskControl& control);
  CompilerOptions CompilerOptionsFor(TaskControl& control) const;

  BlobCache& blobs_;
  Evaluator* const evaluator_;
  Equipment& equipment_;
  const TaskRunnerOptions options_;
  RecentlyUsed<ModelPackage> models_{4};
  RecentlyUsed<Dataset> datasets_{2};
  RecentlyUsed<Calibration> calibrations_{4};
  RecentlyUsed<Reconstruction> reconstructions_{64};
};

}  // namespace mico
