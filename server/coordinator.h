#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/random.h"
#include "data/dataset.h"
#include "data/dataset_report.h"
#include "db/blob_store.h"
#include "db/store.h"
#include "model/importer.h"
#include "proto/messages.h"
#include "server/job.h"
#include "server/work_queue.h"

namespace mico {

struct CoordinatorOptions {
  WorkQueueOptions queue;
  // An order carries so many evaluations on a part of val ...
  int probes_per_order = 16;
  // ... or on all of val, until it is known how long one takes; from then on as many as a worker
  // does in this time, because schemes of one order share work. Short against a lease, so that
  // progress is visible and little is lost with a worker.
  int trials_per_order = 4;
  std::chrono::milliseconds order_time{8000};
  int most_evaluations_per_order = 256;
  // So many images of every scheme are compared with the oracle.
  int64_t verify_images = 8;
  // Kernels that one profile task measures.
  int signatures_per_order = 64;
  // When an idle worker asks again, without jobs and while jobs wait for others' results.
  std::chrono::milliseconds idle_poll{1000};
  std::chrono::milliseconds busy_poll{50};
  // When a working worker reports: keeps the lease, and bounds how late it hears of a cancellation.
  std::chrono::milliseconds running_poll{2000};
  // So many failed trials in a row end a job.
  int most_failures_in_a_row = 500;
  // Ended jobs that stay in memory; older ones are read from the database when asked for.
  size_t ended_jobs_kept = 64;
};

// What a job would do.
struct LayerSummary {
  std::string name, type, input_shape, output_shape;
  int64_t macs = 0, parameters = 0;
  std::vector<int> weight_bits, input_bits;
};
struct Preview {
  Metric metric = Metric::kTop1;
  std::vector<LayerSummary> layers;
  double log10_space = 0.0;
  Cost uniform8, floor;
  bool latency_known = false;
  int64_t signatures_to_profile = 0;
  std::vector<std::string> warnings;
};

struct DatasetDescription {
  Dataset dataset;  // without its samples
  DatasetReport report;
  std::string name;
  int64_t bytes = 0;  // of the blob
};

// What became of a TorchScript file.
struct ConversionSnapshot {
  ConversionRecord record;
  bool running = false;
  std::string worker_name;  // while it runs
  std::string waits;        // why nobody takes it; empty: somebody could
};

struct Submission {
  JobSnapshot job;
  bool existed = false;
  std::optional<Preview> preview;  // with validate_only
};

struct WorkerSnapshot {
  WorkerRecord record;
  std::string running_task;
  bool alive = false;
  // What it found out about itself; ages are those of now.
  std::vector<Check> checks;
  std::vector<TargetHealth> target_health;
};
struct TargetSnapshot {
  Target target;
  int64_t profiled_signatures = 0;
  std::vector<std::string> workers;
};
struct ArtifactSnapshot {
  ArtifactRecord artifact;
  TrialRecord trial;
  Limits limits;
};

// A page of a listing and where the next one begins; empty: there is none.
template <typename Item>
struct Page {
  std::vector<Item> items;
  std::string next_token;
};

// Decides and remembers: the one owner of the state of jobs, tasks, trials and leases. All of it
// changes under one mutex; each call's changes are one transaction of the Store, queued in the
// order in which memory changed, and no call answers before its transaction is on disk. What takes
// time (reading blobs, importing, proposing) happens outside the mutex. Thread-safe.
//
// Everything needed to continue is in the database: an object that is created over the files of one
// that disappeared continues its jobs.
class Coordinator {
 public:
  // The references must outlive the object. `ids` makes lease ids.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Start(Store& store, const BlobStore& blobs,
                                                            const ModelImporter& importer,
                                                            const Clock& clock, Random ids,
                                                            const CoordinatorOptions& options = {});

  // The worker's verb: proto/worker.proto. InvalidArgument never comes from here; Unavailable or
  // ResourceExhausted when the database cannot be written now.
  absl::StatusOr<WorkerOrder> Synchronize(const WorkerReport& report);

  // Orders the network of a TorchScript file, unless that is done or under way; a conversion that
  // failed is tried again with `retry`. See exploration.proto.
  absl::StatusOr<ConversionSnapshot> ConvertModel(const ConvertTask& wanted,
                                                  const std::string& name, bool retry);
  absl::StatusOr<Submission> Submit(const std::string& request_id, const JobSpec& spec,
                                    bool validate_only);
  // `job` is an id or an unambiguous prefix of at least 4 digits, here and below.
  absl::StatusOr<JobSnapshot> GetJob(const std::string& job);
  // As GetJob, but waits up to `patience` for a version other than `seen`.
  absl::StatusOr<JobSnapshot> WaitForChange(const std::string& job, uint64_t seen,
                                            std::chrono::milliseconds patience);
  absl::StatusOr<JobSnapshot> Cancel(const std::string& job);
  // Absent `trial`: the best one.
  absl::StatusOr<ArtifactSnapshot> GetArtifact(const std::string& job,
                                               std::optional<int64_t> trial);

  // Page size 0 means the default; tokens are what the previous page said.
  absl::StatusOr<Page<JobSnapshot>> ListJobs(int page_size, const std::string& token);
  // With the limits of the job, for `within_limits`.
  absl::StatusOr<std::pair<Page<TrialRecord>, Limits>> ListTrials(const std::string& job,
                                                                  int page_size,
                                                                  const std::string& token);
  absl::StatusOr<Page<ModelRecord>> ListModels(int page_size, const std::string& token);
  absl::StatusOr<Page<DatasetRecord>> ListDatasets(int page_size, const std::string& token);
  // `digest` of a blob, or a prefix of that of a data set that a job has used; an empty `name` is
  // replaced by what a job called it.
  absl::StatusOr<DatasetDescription> DescribeDataset(const std::string& digest,
                                                     const std::string& name);
  absl::StatusOr<std::vector<TargetSnapshot>> ListTargets();
  absl::StatusOr<std::vector<WorkerSnapshot>> ListWorkers();
  // Is there somebody for everything that waits?
  std::vector<mico::Check> CheckWork();

 private:
  // What one call changes on disk, in order.
  class PendingChange {
   public:
    using Operation = std::function<void(StoreTransaction&)>;
    void Add(Operation operation) { operations_.push_back(std::move(operation)); }
    // A blob whose file goes once all of this is on disk, unless the database then knows it.
    void RemoveAfterwards(const Digest& blob) { superseded_.push_back(blob); }
    bool empty() const { return operations_.empty(); }
    std::vector<Operation> Take() { return std::move(operations_); }
    std::vector<Digest> TakeSuperseded() { return std::move(superseded_); }

   private:
    std::vector<Operation> operations_;
    std::vector<Digest> superseded_;
  };

  struct Worker {
    WorkerRecord record;
    std::vector<Target> targets;
    std::vector<mico::Check> checks;
    std::vector<TargetHealth> target_health;
    std::optional<TimePoint> persisted;  // when its row was last written, as far as is known
    std::string last_completed;          // lease
    bool left = false;                   // said goodbye: nobody waits for it
    bool converts = false;
  };

  // A report with everything that had to be read from blobs.
  struct Delivery {
    absl::Status status;
    std::optional<LatencyTable> table;
    std::vector<bool> model_stored;  // parallel to the schemes of an evaluation
    // Of the calibration, the reconstruction, the artifact or the network.
    int64_t blob_bytes = 0;
    int64_t state_bytes = 0;         // of a training
    bool checkpoint_stored = false;  // that a running one names
    ModelRecord model;               // of a conversion, without a name
  };

  // A slow step of one job: copies made under the mutex, worked on outside of it.
  struct Plan {
    std::string job;
    bool prepare = false;  // make the search space; otherwise: propose
    std::shared_ptr<const Problem> problem;
    std::shared_ptr<const LatencyTable> table;
    std::shared_ptr<const SearchSpace> space;
    JobSpec spec;
    double error_unit = 1.0;
    Target target;
    SearchHistory history;
    size_t trials = 0;         // of the job, those included that the strategy does not see
    int64_t results = 0;       // that the history knows
    int count = 0;             // candidates to ask for, probes included
    int most_full_trials = 0;  // of those that are free choices on all of val
  };
  struct PlanResult {
    absl::Status status;
    std::shared_ptr<const SearchSpace> space;
    Cost widest_cost;
    std::vector<TrialRecord> trials;  // without numbers
    std::string finished_because;
  };

  // A spec checked, with all that it names loaded.
  struct CheckedSpec {
    Target target;
    ModelRecord model;
    DatasetRecord dataset;
    int64_t package_bytes = 0;
    std::vector<int64_t> layer_parameters;
    std::shared_ptr<const Problem> problem;
    LatencyTable table;
    std::string calibration_key;
    std::optional<CalibrationRecord> calibration;
    std::map<std::string, Digest> reconstructions;  // that are there already, by key
  };

  Coordinator(Store& store, const BlobStore& blobs, const ModelImporter& importer,
              const Clock& clock, Random ids, const CoordinatorOptions& options);

  // coordinator_load.cc
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // FailedPrecondition: what this job needs cannot be read; any other error is the database's.
  absl::Status LoadJob(const JobRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those of a calibrated job that are there.
  absl::Status RememberReconstructions(const Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAside(JobRecord record, const absl::Status& reason, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status LoadTasks(const std::vector<TaskRecord>& tasks,
                         const std::vector<LeaseRecord>& leases, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReloadAfterFailure() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RememberTable(const std::string& profile_key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<const Problem>> LoadProblem(const Digest& package,
                                                             const DatasetRecord& dataset,
                                                             const Target& target) const;
  // Whoever takes the answer, without the mutex, also removes what the change has superseded.
  std::future<absl::Status> Commit(PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveSuperseded(const std::vector<Digest>& blobs) const;

  // coordinator.cc: the conversation with workers
  Delivery ReadDelivery(const WorkerReport& report) const;
  absl::StatusOr<WorkerOrder> Converse(const WorkerReport& report, const Delivery& delivery,
                                       std::vector<std::future<absl::Status>>& commits,
                                       std::optional<Plan>& plan);
  absl::Status ContinuePlanning(const WorkerReport& report, Plan plan, WorkerOrder& order,
                                std::vector<std::future<absl::Status>>& commits);
  Worker& Register(const WorkerReport& report, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RegisterTargets(const WorkerReport& report, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetSilentWorkers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ExpireLeases(PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndLease(const std::string& lease, LeaseState state, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HearRunning(const WorkerReport& report, const Running& running, const Delivery& delivery,
                   WorkerOrder& order, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HearFinished(const WorkerReport& report, const Finished& finished, const Delivery& delivery,
                    WorkerOrder& order, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<TaskOrder> GiveTask(const WorkerReport& report, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool CanDo(const Worker& worker, const Task& task);
  std::chrono::milliseconds NextCall(const WorkerOrder& order) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int LiveEvaluators() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsAlive(const Worker& worker) const;

  // coordinator_trainings.cc
  static TrainTask TrainingOf(const Job& job, const Trial& trial);
  // Orders what trials wait for, unless it is ordered already; trials whose training is known are
  // evaluated next.
  void OrderTrainings(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<TrainingRecord> FindTraining(const std::string& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyTraining(const OpenTask& task, const TrainResult& result, const Delivery& delivery,
                     PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What an attempt that begins now starts from.
  void ChooseStart(OpenTask& task, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Digest NearestState(const Job& job, const BitScheme& scheme)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeCheckpoint(const Lease& lease, const Digest& checkpoint, const Delivery& delivery,
                      PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody will go on from what the task had.
  void DropCheckpoint(int64_t task, const Digest& checkpoint, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Adds the trials of a top:K job that are worth training. False: there are none, or they are
  // there already.
  bool Promote(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // coordinator_conversions.cc
  void ReadConverted(const ConvertResult& result, Delivery& delivery) const;
  void ApplyConversion(const OpenTask& task, const Delivery& delivery, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<ConversionRecord*> FindConversion(const ConvertTask& wanted)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<ConversionRecord> OrderConversion(const ConvertTask& wanted,
                                                   const std::string& name, int64_t file_bytes,
                                                   bool retry, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndConversion(const OpenTask& task, ConversionState state, const std::string& error,
                     const Digest& package, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const OpenTask* FindConversionTask(const ConvertTask& wanted) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static ModelRecord DescribeModel(const ModelPackage& package);

  // coordinator_results.cc: what becomes of tasks
  absl::Status CheckResult(const OpenTask& task, const TaskResult& result,
                           const Delivery& delivery) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckEvaluation(const OpenTask& task, const EvaluateResult& result,
                               const Delivery& delivery) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyResult(const OpenTask& task, const TaskResult& result, const Delivery& delivery,
                   PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyCalibration(const OpenTask& task, const CalibrateResult& result,
                        const Delivery& delivery, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyReconstruction(const OpenTask& task, const ReconstructResult& result,
                           const Delivery& delivery, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyProfile(const LatencyTable& measured, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplySearch(const OpenTask& task, const EvaluateResult& result, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What a worker's result answers, and the same answer from wherever.
  EvaluationRecord EvaluationOf(const Job& job, int64_t number, Split split,
                                const SchemeResult& result) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeKnown(Job& job, int64_t number, Purpose purpose, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(const EvaluationRecord& evaluation, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordTrial(Job& job, int64_t number, const EvaluationRecord& evaluation, bool gave_up,
                   PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool RecordTest(Job& job, int64_t number, const EvaluationRecord& evaluation,
                  PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyTest(const OpenTask& task, const EvaluateResult& result, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyModels(const OpenTask& task, const EvaluateResult& result, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyArtifact(const OpenTask& task, const ArtifactResult& result, const Delivery& delivery,
                     PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddArtifactTask(const JobRecord& record, const TrialRecord& trial, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveUp(const OpenTask& task, const std::string& error, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailTrial(Job& job, int64_t number, const std::string& error, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FailArtifact(const std::string& job, int64_t trial, const std::string& error,
                    PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetCalibration(Job& job, const CalibrationRecord& calibration, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ResolveValueLimit(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // coordinator_orders.cc: the tasks that a job needs next
  void OrderCalibration(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OrderReconstructions(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool LacksReconstructions(const Job& job);
  void OrderProfile(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many evaluations on `samples` images (0: all of val) one order carries at most.
  size_t EvaluationsPerOrder(const Job& job, int64_t samples) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OrderEvaluations(Job& job, std::vector<int64_t> numbers, Purpose purpose,
                        PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // coordinator_planning.cc: what a job does next
  void Advance(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AdvanceAll(PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StartFinishing(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndJob(Job& job, JobState state, const std::string& error, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Save(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddTask(OpenTask task, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After what a worker is to do in it has changed.
  static void SavePayload(const OpenTask& task, PendingChange& change);
  // Tasks that are neither waiting nor leased afterwards are forgotten.
  void SetTaskState(const OpenTask& task, TaskState state, const std::string& error,
                    PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropEndedJobs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Plan> NextPlan(bool ahead) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NeedsPlan(const Job& job, bool ahead) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Plan CopyForPlan(Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static PlanResult RunPlan(const Plan& plan);
  static PlanResult Prepare(const Plan& plan);
  static PlanResult Propose(const Plan& plan);
  // True if the plan moved the job on.
  bool ApplyPlan(const Plan& plan, PlanResult result, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AddTrials(Job& job, std::vector<TrialRecord> trials, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Trains or evaluates them, whatever comes first; trainings are ordered with the next Advance.
  void OrderTrials(Job& job, const std::vector<int64_t>& numbers, PendingChange& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // coordinator_submit.cc
  absl::StatusOr<CheckedSpec> Check(const JobSpec& spec);
  absl::StatusOr<Target> FindTarget(const std::string& name);
  // FailedPrecondition: those who hold the target now cannot build for it, or, with `to_measure`,
  // cannot measure on it, for reasons that they have found. Nobody holding it is no error: the job
  // waits for a worker.
  absl::Status CheckHolders(const Target& target, bool to_measure);
  absl::Status LoadModel(const JobSpec& spec, CheckedSpec& checked, Graph& graph);
  absl::Status CheckLimits(const JobSpec& spec, const CheckedSpec& checked, Preview& preview);
  absl::StatusOr<Submission> StoreJob(const std::string& request_id, const JobSpec& spec,
                                      CheckedSpec checked, std::vector<std::string> warnings);
  void Resume(Job& job, PendingChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // coordinator_datasets.cc
  absl::Status LoadDataset(const JobSpec& spec, CheckedSpec& checked);
  absl::StatusOr<Digest> ResolveDataset(const std::string& digest);
  // The parsed blob and its size. One at a time: a set takes up to some GiB while it is checked.
  absl::StatusOr<std::pair<Dataset, int64_t>> ParseDatasetBlob(const Digest& digest,
                                                               const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(parsing_);

  // coordinator_queries.cc
  absl::StatusOr<std::string> ResolveJobId(const std::string& job);
  JobSnapshot Snapshot(const Job& job) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<JobSnapshot> SnapshotOf(const std::string& id);
  absl::StatusOr<JobSnapshot> SnapshotFromStore(const JobRecord& record);
  absl::StatusOr<std::pair<JobRecord, TrialRecord>> FindFinishedTrial(const std::string& job,
                                                                      std::optional<int64_t> trial);
  std::string WhyArtifactWaits(const JobRecord& record);
  std::string WhyNobodyDoes(const Task& task) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OrderArtifact(const JobRecord& record, const TrialRecord& trial);

  Store& store_;
  const BlobStore& blobs_;
  const ModelImporter& importer_;
  const Clock& clock_;
  const CoordinatorOptions options_;

  absl::Mutex parsing_;  // never taken while mutex_ is held
  absl::Mutex mutex_;
  absl::CondVar changed_;
  Random ids_ ABSL_GUARDED_BY(mutex_);
  uint64_t failures_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t last_task_id_ ABSL_GUARDED_BY(mutex_) = 0;
  WorkQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, OpenTask> tasks_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Worker> workers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Target> targets_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<const LatencyTable>> tables_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, CalibrationRecord> calibrations_ ABSL_GUARDED_BY(mutex_);
  // Those that this process has heard of, by file and shape.
  std::map<std::string, ConversionRecord> conversions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Digest> reconstructions_ ABSL_GUARDED_BY(mutex_);
  // Those that this process has heard of, by key.
  std::map<std::string, TrainingRecord> trainings_ ABSL_GUARDED_BY(mutex_);
};

// Why a worker cannot build for one of its targets, or cannot run programs on it; empty: it can, or
// has said nothing.
std::string WhyNotCompiled(const std::vector<TargetHealth>& health, const std::string& target);
std::string WhyNotRun(const std::vector<TargetHealth>& health, const std::string& target);

// Whether a file begins as TorchScript does, which is a zip archive. No ONNX file does.
bool IsTorchScript(std::string_view file);
// What a reconstruction depends on.
std::string ReconstructionKey(const ReconstructTask& task);
// Those that a job's evaluations need, in the order in which they count; none for fast PTQ.
std::vector<ReconstructTask> ReconstructionsFor(const JobRecord& record, const JobSpec& spec,
                                                const Problem& problem);

// What a training depends on: not where it started (warm start, checkpoint), which is an accident
// of history.
std::string TrainingKey(const TrainTask& task);

// What a calibration depends on.
std::string CalibrationKey(const Digest& package, const JobSpec& spec);

}  // namespace mico
