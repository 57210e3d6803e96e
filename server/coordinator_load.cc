#include <algorithm>
#include <map>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/model_package.h"
#include "proto/convert.h"
#include "server/coordinator.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

template <typename Message>
absl::StatusOr<Message> ParseStored(const std::string& bytes, std::string_view what) {
  Message message;
  if (!message.ParseFromString(bytes)) {
    return absl::DataLossError(fmt::format("database: {} cannot be read", what));
  }
  return message;
}

}  // namespace

Coordinator::Coordinator(Store& store, const BlobStore& blobs, const ModelImporter& importer,
                         const Clock& clock, Random ids, const CoordinatorOptions& options)
    : store_(store),
      blobs_(blobs),
      importer_(importer),
      clock_(clock),
      options_(options),
      ids_(ids),
      queue_(clock, options.queue) {}

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(Store& store,
                                                                const BlobStore& blobs,
                                                                const ModelImporter& importer,
                                                                const Clock& clock, Random ids,
                                                                const CoordinatorOptions& options) {
  std::unique_ptr<Coordinator> coordinator(
      new Coordinator(store, blobs, importer, clock, ids, options));
  absl::MutexLock lock(&coordinator->mutex_);
  coordinator->failures_seen_ = store.failures();
  MICO_RETURN_IF_ERROR(coordinator->Load());
  return coordinator;
}

std::future<absl::Status> Coordinator::Commit(PendingChange& change) {
  changed_.SignalAll();
  std::future<absl::Status> committed =
      store_.Enqueue([operations = change.Take()](StoreTransaction& transaction) {
        for (const PendingChange::Operation& operation : operations) operation(transaction);
        return absl::OkStatus();
      });
  std::vector<Digest> superseded = change.TakeSuperseded();
  if (superseded.empty()) return committed;
  return std::async(std::launch::deferred, [this, committed = std::move(committed),
                                            superseded = std::move(superseded)]() mutable {
    absl::Status status = committed.get();
    if (status.ok()) RemoveSuperseded(superseded);
    return status;
  });
}

// A file that cannot be removed, or not before this process dies, takes its room and no more.
void Coordinator::RemoveSuperseded(const std::vector<Digest>& blobs) const {
  for (const Digest& blob : blobs) {
    const absl::StatusOr<bool> known =
        store_.Read([&](StoreView& view) { return view.HasBlob(blob); });
    if (!known.ok() || *known) continue;
    const absl::Status removed = blobs_.Remove(blob);
    if (!removed.ok()) spdlog::warn("{}", std::string(removed.message()));
  }
}

// A change that could not be written leaves memory ahead of the disk. What is on disk counts.
absl::Status Coordinator::ReloadAfterFailure() {
  const uint64_t failures = store_.failures();
  if (failures == failures_seen_) return absl::OkStatus();
  spdlog::error("a change could not be written; reading the state anew");
  // Whatever is still queued is refused or done before this returns.
  MICO_RETURN_IF_ERROR(store_.Write([](StoreTransaction&) { return absl::OkStatus(); }));
  MICO_RETURN_IF_ERROR(Load());
  failures_seen_ = failures;
  return absl::OkStatus();
}

absl::Status Coordinator::Load() {
  targets_.clear();
  jobs_.clear();
  tasks_.clear();
  tables_.clear();
  calibrations_.clear();
  conversions_.clear();
  reconstructions_.clear();
  trainings_.clear();
  queue_.Clear();
  struct Stored {
    std::vector<TargetRecord> targets;
    std::vector<JobRecord> jobs;
    std::vector<TaskRecord> tasks;
    std::vector<LeaseRecord> leases, completed;
  };
  MICO_ASSIGN_OR_RETURN(const Stored stored, store_.Read([&](StoreView& view) {
    return Stored{view.ListTargets(), view.ListOpenJobs(), view.ListOpenTasks(),
                  view.ListActiveLeases(),
                  view.ListLastCompletedLeases(clock_.Now() - std::chrono::hours(1))};
  }));
  MICO_ASSIGN_OR_RETURN(last_task_id_,
                        store_.Read([](StoreView& view) { return view.LargestTaskId(); }));
  for (const TargetRecord& record : stored.targets) {
    MICO_ASSIGN_OR_RETURN(const v1::Target message,
                          ParseStored<v1::Target>(record.announcement, "a target"));
    MICO_ASSIGN_OR_RETURN(targets_[record.name], FromProto(message));
  }
  // What memory believed of them may not have reached the disk.
  for (auto& [id, worker] : workers_) {
    worker.last_completed.clear();
    worker.persisted.reset();
  }
  for (const LeaseRecord& lease : stored.completed) {
    Worker& worker = workers_[lease.worker];
    worker.last_completed = lease.id;
    // A silent one is forgotten, and with it that its result, which it may repeat, is known.
    worker.record.last_seen = std::max(worker.record.last_seen, clock_.Now());
  }
  PendingChange change;
  for (const JobRecord& record : stored.jobs) {
    absl::Status loaded = LoadJob(record);
    if (absl::IsFailedPrecondition(loaded)) {
      SetAside(record, loaded, change);
    } else if (!loaded.ok()) {
      return loaded;
    }
  }
  MICO_RETURN_IF_ERROR(LoadTasks(stored.tasks, stored.leases, change));
  AdvanceAll(change);
  // Waited for: who asks next may be answered from the disk.
  return change.empty() ? absl::OkStatus() : Commit(change).get();
}

// One job that cannot go on must not keep the others waiting.
void Coordinator::SetAside(JobRecord record, const absl::Status& reason, PendingChange& change) {
  spdlog::error("job {}: set aside: {}", record.id, std::string(reason.message()));
  record.state = JobState::kFailed;
  record.error = std::string(reason.message());
  record.ended = clock_.Now();
  change.Add([record](StoreTransaction& transaction) { transaction.UpdateJob(record); });
}

absl::StatusOr<std::shared_ptr<const Problem>> Coordinator::LoadProblem(
    const Digest& package, const DatasetRecord& dataset, const Target& target) const {
  MICO_ASSIGN_OR_RETURN(const std::string bytes, blobs_.Read(package));
  MICO_ASSIGN_OR_RETURN(ModelPackage model, ParseModelPackage(bytes));
  return MakeProblem(std::move(model.graph), dataset.input_non_negative, dataset.val_samples,
                     target);
}

absl::Status Coordinator::RememberTable(const std::string& profile_key) {
  if (tables_.contains(profile_key)) return absl::OkStatus();
  MICO_ASSIGN_OR_RETURN(const std::optional<std::string> text, store_.Read([&](StoreView& view) {
    return view.FindLatencyTable(profile_key);
  }));
  auto table = std::make_shared<LatencyTable>();
  table->profile_key = profile_key;
  if (text) {
    MICO_ASSIGN_OR_RETURN(*table, ParseLatencyTable(*text));
  }
  tables_[profile_key] = std::move(table);
  return absl::OkStatus();
}

absl::Status Coordinator::LoadJob(const JobRecord& record) {
  Job job;
  job.record = record;
  MICO_ASSIGN_OR_RETURN(const v1::JobSpec spec, ParseStored<v1::JobSpec>(record.spec, "a job"));
  MICO_ASSIGN_OR_RETURN(job.spec, FromProto(spec));
  MICO_ASSIGN_OR_RETURN(const v1::Target target,
                        ParseStored<v1::Target>(record.target, "a job's target"));
  MICO_ASSIGN_OR_RETURN(job.target, FromProto(target));
  MICO_ASSIGN_OR_RETURN(
      const std::optional<DatasetRecord> dataset,
      store_.Read([&](StoreView& view) { return view.FindDataset(record.dataset); }));
  if (!dataset) return absl::DataLossError(fmt::format("job {}: no data set", record.id));
  job.dataset = *dataset;
  absl::StatusOr<std::shared_ptr<const Problem>> problem =
      LoadProblem(record.package, job.dataset, job.target);
  if (!problem.ok()) {
    return absl::FailedPreconditionError(fmt::format(
        "its network cannot be read: {}; submit the same job again to go on where it stopped",
        std::string(problem.status().message())));
  }
  job.problem = *std::move(problem);
  MICO_RETURN_IF_ERROR(RememberTable(job.target.profile_key));
  MICO_ASSIGN_OR_RETURN(job.trials, store_.Read([&](StoreView& view) {
    return view.ListTrials(record.id, 0, INT64_MAX);
  }));
  const std::string key = CalibrationKey(record.package, job.spec);
  MICO_ASSIGN_OR_RETURN(const std::optional<CalibrationRecord> calibration,
                        store_.Read([&](StoreView& view) { return view.FindCalibration(key); }));
  if (calibration) calibrations_[key] = *calibration;
  MICO_RETURN_IF_ERROR(RememberReconstructions(job));
  for (const TrialRecord& trial : job.trials) {
    // Those that a task trains leave with it.
    if (NeedsTraining(trial.trial)) job.waits_for_training.insert(trial.trial.number);
  }
  if (record.state != JobState::kPreparing) {
    auto space = std::make_shared<SearchSpace>(
        MakeSpace(*job.problem, ProfiledCost(job.problem, *tables_.at(job.target.profile_key))));
    space->seed = job.spec.seed;
    space->error_unit = ErrorScaleOf(job.spec.metric, job.dataset).unit;
    space->limits = record.limits;
    MICO_ASSIGN_OR_RETURN(job.widest_cost, space->cost(WidestScheme(*space)));
    job.space = std::move(space);
  }
  jobs_[record.id] = std::move(job);
  return absl::OkStatus();
}

absl::Status Coordinator::RememberReconstructions(const Job& job) {
  for (const ReconstructTask& task : ReconstructionsFor(job.record, job.spec, *job.problem)) {
    const std::string key = ReconstructionKey(task);
    MICO_ASSIGN_OR_RETURN(const std::optional<Digest> known, store_.Read([&](StoreView& view) {
      return view.FindReconstruction(key);
    }));
    if (known) reconstructions_[key] = *known;
  }
  return absl::OkStatus();
}

absl::Status Coordinator::LoadTasks(const std::vector<TaskRecord>& tasks,
                                    const std::vector<LeaseRecord>& leases, PendingChange& change) {
  std::map<int64_t, const LeaseRecord*> lease_of_task;
  for (const LeaseRecord& lease : leases) lease_of_task[lease.task] = &lease;
  for (const TaskRecord& record : tasks) {
    MICO_ASSIGN_OR_RETURN(const v1::TaskOrder message,
                          ParseStored<v1::TaskOrder>(record.payload, "a task"));
    MICO_ASSIGN_OR_RETURN(TaskOrder order, FromProto(message));
    MICO_ASSIGN_OR_RETURN(const Purpose purpose, ParsePurpose(record.purpose));
    const bool urgent = IsUrgent(purpose);
    const WorkItem item{record.id, record.job, record.attempts, urgent};
    const auto lease = lease_of_task.find(record.id);
    const bool leased = record.state == TaskState::kLeased && lease != lease_of_task.end();
    OpenTask task{record.id,     record.job,     purpose, std::move(order.task),
                  record.trials, record.attempts};
    const auto job = jobs_.find(record.job);
    if (job == jobs_.end() && !urgent) {  // its job has been set aside
      if (leased) EndLease(lease->second->id, LeaseState::kLost, change);
      SetTaskState(task, TaskState::kCancelled, "", change);
      continue;
    }
    if (leased) {
      queue_.Restore(item, lease->second->id, lease->second->worker);
    } else {
      queue_.Add(item);
    }
    tasks_[record.id] = std::move(task);
    if (job == jobs_.end() || !IsOwn(purpose)) continue;
    job->second.own_tasks.insert(record.id);
    if (purpose != Purpose::kTrain) continue;
    for (const int64_t number : record.trials) job->second.waits_for_training.erase(number);
  }
  return absl::OkStatus();
}

}  // namespace mico
