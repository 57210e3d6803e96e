#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "quant/evaluation_version.h"
#include "server/coordinator.h"

namespace mico {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kLargestPage = 1000;
constexpr size_t kShortestPrefix = 4;

absl::StatusOr<int> PageSize(int asked) {
  if (asked < 0) {
    return absl::InvalidArgumentError(fmt::format("page_size: {}; needed: 0 or more", asked));
  }
  return asked == 0 ? kDefaultPage : std::min(asked, kLargestPage);
}

absl::StatusOr<int64_t> ParseNumber(std::string_view text, std::string_view token) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    return absl::InvalidArgumentError(
        fmt::format("page_token: '{}'; needed: what the previous page said", token.substr(0, 80)));
  }
  return number;
}

// Tokens that are one number: where to go on.
absl::StatusOr<int64_t> ParseOffset(const std::string& token) {
  return token.empty() ? absl::StatusOr<int64_t>(0) : ParseNumber(token, token);
}

// One more than a page was asked for; its presence says that there is a next page.
template <typename Item>
bool CutToPage(std::vector<Item>& items, int size) {
  if (items.size() <= static_cast<size_t>(size)) return false;
  items.resize(static_cast<size_t>(size));
  return true;
}

// Lists that change only by additions at the front are paged by offset.
template <typename Item, typename List>
absl::StatusOr<Page<Item>> PageByOffset(Store& store, int page_size, const std::string& token,
                                        List list) {
  MICO_ASSIGN_OR_RETURN(const int size, PageSize(page_size));
  MICO_ASSIGN_OR_RETURN(const int64_t offset, ParseOffset(token));
  Page<Item> page;
  MICO_ASSIGN_OR_RETURN(page.items,
                        store.Read([&](StoreView& view) { return list(view, offset, size + 1); }));
  if (CutToPage(page.items, size)) page.next_token = fmt::format("{}", offset + size);
  return page;
}

}  // namespace

absl::StatusOr<std::string> Coordinator::ResolveJobId(const std::string& job) {
  if (job.size() < kShortestPrefix) {
    return absl::InvalidArgumentError(fmt::format(
        "job '{}': needed: an id, or at least its first {} digits", job, kShortestPrefix));
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                        store_.Read([&](StoreView& view) { return view.FindJobIds(job, 3); }));
  if (ids.empty()) return absl::NotFoundError(fmt::format("job '{}': there is none", job));
  if (ids.size() > 1 && ids[0] != job) {
    return absl::InvalidArgumentError(
        fmt::format("job '{}': more than one: {}", job, absl::StrJoin(ids, ", ")));
  }
  return ids[0];
}

JobSnapshot Coordinator::Snapshot(const Job& job) const {
  JobSnapshot snapshot =
      Summarize(job.record, job.spec, job.target, job.trials, job.dataset.val_samples);
  snapshot.version = job.version;
  for (const auto& [id, task] : tasks_) {
    if (task.job != job.record.id) continue;
    const Lease* lease = queue_.LeaseOfTask(id);
    if (lease == nullptr) {
      ++snapshot.tasks_waiting;
      continue;
    }
    const auto worker = workers_.find(lease->worker);
    snapshot.running.push_back(
        {id, std::string(KindOf(task.task)),
         worker == workers_.end() ? lease->worker : worker->second.record.name, lease->progress,
         lease->attempt});
  }
  if (snapshot.running.empty() && snapshot.tasks_waiting > 0) {
    snapshot.phase += " (waiting for a worker)";
  }
  if (job.recent.size() >= 2) {
    double units = 0.0;
    for (size_t i = 1; i < job.recent.size(); ++i) units += job.recent[i].second;
    const double seconds =
        static_cast<double>((job.recent.back().first - job.recent.front().first).count()) / 1000.0;
    if (seconds > 0.0 && units > 0.0) {
      snapshot.trials_per_second = units / seconds;
      snapshot.seconds_left =
          std::max(0.0, static_cast<double>(job.spec.trials) - snapshot.trials_spent) /
          snapshot.trials_per_second;
    }
  }
  // What is left is then no part of the budget.
  if (!job.record.stop_reason.empty() || HasEnded(job.record.state)) {
    snapshot.seconds_left = 0.0;
  }
  return snapshot;
}

absl::StatusOr<JobSnapshot> Coordinator::SnapshotFromStore(const JobRecord& record) {
  v1::JobSpec spec_message;
  v1::Target target_message;
  if (!spec_message.ParseFromString(record.spec) ||
      !target_message.ParseFromString(record.target)) {
    return absl::DataLossError(fmt::format("database: job {} cannot be read", record.id));
  }
  MICO_ASSIGN_OR_RETURN(const JobSpec spec, FromProto(spec_message));
  MICO_ASSIGN_OR_RETURN(const Target target, FromProto(target_message));
  struct Stored {
    std::vector<TrialRecord> trials;
    std::optional<DatasetRecord> dataset;
  };
  MICO_ASSIGN_OR_RETURN(const Stored stored, store_.Read([&](StoreView& view) {
    return Stored{view.ListTrials(record.id, 0, INT64_MAX), view.FindDataset(record.dataset)};
  }));
  return Summarize(record, spec, target, stored.trials,
                   stored.dataset ? stored.dataset->val_samples : 0);
}

absl::StatusOr<JobSnapshot> Coordinator::SnapshotOf(const std::string& id) {
  {
    absl::MutexLock lock(&mutex_);
    // Nobody shall see results that could not be written. Where not even reading works now, the
    // next who changes something says so.
    ReloadAfterFailure().IgnoreError();
    const auto job = jobs_.find(id);
    if (job != jobs_.end()) return Snapshot(job->second);
  }
  MICO_ASSIGN_OR_RETURN(const std::optional<JobRecord> record,
                        store_.Read([&](StoreView& view) { return view.FindJob(id); }));
  if (!record) return absl::NotFoundError(fmt::format("job '{}': there is none", id));
  return SnapshotFromStore(*record);
}

absl::StatusOr<JobSnapshot> Coordinator::GetJob(const std::string& job) {
  MICO_ASSIGN_OR_RETURN(const std::string id, ResolveJobId(job));
  return SnapshotOf(id);
}

absl::StatusOr<JobSnapshot> Coordinator::WaitForChange(const std::string& job, uint64_t seen,
                                                       std::chrono::milliseconds patience) {
  MICO_ASSIGN_OR_RETURN(const std::string id, ResolveJobId(job));
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time deadline = absl::Now() + absl::FromChrono(patience);
    while (true) {
      const auto found = jobs_.find(id);
      if (found == jobs_.end() || found->second.version != seen) break;
      if (changed_.WaitWithDeadline(&mutex_, deadline)) break;
    }
  }
  return SnapshotOf(id);
}

absl::StatusOr<JobSnapshot> Coordinator::Cancel(const std::string& job) {
  MICO_ASSIGN_OR_RETURN(const std::string id, ResolveJobId(job));
  std::future<absl::Status> committed;
  {
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(ReloadAfterFailure());
    PendingChange change;
    const auto found = jobs_.find(id);
    if (found != jobs_.end() && !HasEnded(found->second.record.state)) {
      EndJob(found->second, JobState::kCancelled, "", change);
      AdvanceAll(change);
    }
    committed = Commit(change);
  }
  MICO_RETURN_IF_ERROR(committed.get());
  return SnapshotOf(id);
}

absl::StatusOr<Page<JobSnapshot>> Coordinator::ListJobs(int page_size, const std::string& token) {
  MICO_ASSIGN_OR_RETURN(const int size, PageSize(page_size));
  TimePoint before{std::chrono::milliseconds(INT64_MAX)};
  std::string before_id;
  if (!token.empty()) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(token, absl::MaxSplits('-', 1));
    MICO_ASSIGN_OR_RETURN(const int64_t created, ParseNumber(parts.first, token));
    before = TimePoint(std::chrono::milliseconds(created));
    before_id = parts.second;
  }
  MICO_ASSIGN_OR_RETURN(std::vector<JobRecord> records, store_.Read([&](StoreView& view) {
    return view.ListJobs(before, before_id, size + 1);
  }));
  Page<JobSnapshot> page;
  if (CutToPage(records, size)) {
    page.next_token =
        fmt::format("{}-{}", records.back().created.time_since_epoch().count(), records.back().id);
  }
  for (const JobRecord& record : records) {
    MICO_ASSIGN_OR_RETURN(JobSnapshot snapshot, SnapshotOf(record.id));
    page.items.push_back(std::move(snapshot));
  }
  return page;
}

absl::StatusOr<std::pair<Page<TrialRecord>, Limits>> Coordinator::ListTrials(
    const std::string& job, int page_size, const std::string& token) {
  MICO_ASSIGN_OR_RETURN(const std::string id, ResolveJobId(job));
  MICO_ASSIGN_OR_RETURN(const int size, PageSize(page_size));
  MICO_ASSIGN_OR_RETURN(const int64_t after, ParseOffset(token));
  MICO_ASSIGN_OR_RETURN(const std::optional<JobRecord> record,
                        store_.Read([&](StoreView& view) { return view.FindJob(id); }));
  if (!record) return absl::NotFoundError(fmt::format("job '{}': there is none", id));
  Page<TrialRecord> page;
  MICO_ASSIGN_OR_RETURN(page.items, store_.Read([&](StoreView& view) {
    return view.ListTrials(id, after, size + 1);
  }));
  if (CutToPage(page.items, size)) {
    page.next_token = fmt::format("{}", page.items.back().trial.number);
  }
  return std::pair(std::move(page), record->limits);
}

absl::StatusOr<Page<ModelRecord>> Coordinator::ListModels(int page_size, const std::string& token) {
  return PageByOffset<ModelRecord>(
      store_, page_size, token,
      [](StoreView& view, int64_t offset, int most) { return view.ListModels(offset, most); });
}

absl::StatusOr<Page<DatasetRecord>> Coordinator::ListDatasets(int page_size,
                                                              const std::string& token) {
  return PageByOffset<DatasetRecord>(
      store_, page_size, token,
      [](StoreView& view, int64_t offset, int most) { return view.ListDatasets(offset, most); });
}

absl::StatusOr<std::vector<TargetSnapshot>> Coordinator::ListTargets() {
  std::vector<TargetSnapshot> targets;
  absl::MutexLock lock(&mutex_);
  for (const auto& [name, target] : targets_) {
    MICO_RETURN_IF_ERROR(RememberTable(target.profile_key));
    TargetSnapshot snapshot{
        target, static_cast<int64_t>(tables_.at(target.profile_key)->steps.size()), {}};
    for (const auto& [id, worker] : workers_) {
      const bool holds =
          std::any_of(worker.targets.begin(), worker.targets.end(),
                      [&wanted = name](const Target& held) { return held.name == wanted; });
      if (holds && IsAlive(worker)) snapshot.workers.push_back(worker.record.name);
    }
    targets.push_back(std::move(snapshot));
  }
  return targets;
}

absl::StatusOr<std::vector<WorkerSnapshot>> Coordinator::ListWorkers() {
  std::vector<WorkerSnapshot> workers;
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, worker] : workers_) {
    if (worker.record.id.empty()) continue;  // known only by a lease of an earlier run
    const Lease* lease = queue_.LeaseOfWorker(id);
    std::string running;
    if (lease != nullptr) {
      running = fmt::format("{} {}", KindOf(tasks_.at(lease->task).task), lease->task);
    }
    workers.push_back(
        {worker.record, std::move(running), IsAlive(worker), worker.checks, worker.target_health});
    const std::chrono::milliseconds silent = clock_.Now() - worker.record.last_seen;
    WorkerSnapshot& snapshot = workers.back();
    for (mico::Check& check : snapshot.checks) check.age += silent;
    for (TargetHealth& health : snapshot.target_health) {
      for (mico::Check& check : health.checks) check.age += silent;
    }
  }
  return workers;
}

absl::StatusOr<std::pair<JobRecord, TrialRecord>> Coordinator::FindFinishedTrial(
    const std::string& job, std::optional<int64_t> trial) {
  MICO_ASSIGN_OR_RETURN(const std::string id, ResolveJobId(job));
  MICO_ASSIGN_OR_RETURN(const std::optional<JobRecord> record,
                        store_.Read([&](StoreView& view) { return view.FindJob(id); }));
  if (!record) return absl::NotFoundError(fmt::format("job '{}': there is none", id));
  if (trial) {
    MICO_ASSIGN_OR_RETURN(const std::optional<TrialRecord> found,
                          store_.Read([&](StoreView& view) { return view.FindTrial(id, *trial); }));
    if (!found) return absl::NotFoundError(fmt::format("job {}: no trial {}", id, *trial));
    if (found->trial.state != TrialState::kFinished) {
      return absl::FailedPreconditionError(
          fmt::format("job {}: trial {} is not finished", id, *trial));
    }
    return std::pair(*record, *found);
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<TrialRecord> trials, store_.Read([&](StoreView& view) {
    return view.ListTrials(id, 0, INT64_MAX);
  }));
  const std::vector<int> front = FrontOf(trials, record->limits);
  if (front.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("job {}: no finished trial inside the limits yet", id));
  }
  // The front ascends in latency and goodness alike.
  return std::pair(*record, trials[static_cast<size_t>(front.back())]);
}

absl::StatusOr<ArtifactSnapshot> Coordinator::GetArtifact(const std::string& job,
                                                          std::optional<int64_t> trial) {
  MICO_ASSIGN_OR_RETURN(const auto found, FindFinishedTrial(job, trial));
  const JobRecord& record = found.first;
  const TrialRecord& finished = found.second;
  const auto find = [&](StoreView& view) {
    return view.FindArtifact(record.id, finished.trial.number);
  };
  MICO_ASSIGN_OR_RETURN(std::optional<ArtifactRecord> artifact, store_.Read(find));
  if (!artifact) {
    MICO_RETURN_IF_ERROR(OrderArtifact(record, finished));
    MICO_ASSIGN_OR_RETURN(artifact, store_.Read(find));
  }
  if (!artifact) return absl::InternalError("an artifact that was ordered is not there");
  if (artifact->state == ArtifactState::kPending) artifact->error = WhyArtifactWaits(record);
  return ArtifactSnapshot{*artifact, finished, record.limits};
}

// Empty if somebody alive can make it.
std::string Coordinator::WhyArtifactWaits(const JobRecord& record) {
  v1::Target target;
  target.ParseFromString(record.target);
  ArtifactTask task;
  task.target_name = target.name();
  absl::MutexLock lock(&mutex_);
  return WhyNobodyDoes(task);
}

absl::Status Coordinator::OrderArtifact(const JobRecord& record, const TrialRecord& trial) {
  std::future<absl::Status> committed;
  {
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(ReloadAfterFailure());
    PendingChange change;
    const bool ordered = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
      const OpenTask& task = entry.second;
      const bool artifact = task.purpose == Purpose::kModels || task.purpose == Purpose::kArtifact;
      return artifact && task.job == record.id && task.trials.front() == trial.trial.number;
    });
    if (!ordered) {
      ArtifactRecord pending;
      pending.job = record.id;
      pending.trial = trial.trial.number;
      change.Add([pending](StoreTransaction& transaction) { transaction.PutArtifact(pending); });
      AddArtifactTask(record, trial, change);
    }
    committed = Commit(change);
  }
  return committed.get();
}

// From the very blob that the trial evaluated; where nobody has uploaded it, it is made again
// first.
void Coordinator::AddArtifactTask(const JobRecord& record, const TrialRecord& trial,
                                  PendingChange& change) {
  OpenTask task;
  task.job = record.id;
  task.trials = {trial.trial.number};
  const absl::StatusOr<Digest> quantized = Digest::FromHex(trial.trial.quantized_digest);
  if (!quantized.ok()) {
    FailArtifact(record.id, trial.trial.number, "the trial has no quantized model", change);
    return;
  }
  if (blobs_.Has(*quantized)) {
    v1::Target target;
    target.ParseFromString(record.target);
    task.purpose = Purpose::kArtifact;
    task.task = ArtifactTask{*quantized,         record.package,  record.dataset, target.name(),
                             trial.trial.scheme, trial.trial.val, trial.test,     trial.trial.cost};
  } else {
    task.purpose = Purpose::kModels;
    task.task = EvaluateTask{record.package,
                             record.dataset,
                             record.calibration,
                             Split::kVal,
                             1,
                             {trial.trial.scheme},
                             true,
                             trial.trial.val.metric,
                             options_.verify_images,
                             std::nullopt,
                             kEvaluationVersion,
                             ReconstructionsOf(record, trial.trial)};
  }
  AddTask(std::move(task), change);
}

}  // namespace mico
