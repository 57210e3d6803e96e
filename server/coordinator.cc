#include "server/coordinator.h"

#include <algorithm>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

// Rounds of proposing in one call: each may end with nothing but refused schemes.
constexpr int kMostPlansPerCall = 8;
// Last contact is written to disk this seldom.
constexpr std::chrono::milliseconds kContactInterval{30'000};

// Errors that another attempt would only repeat.
bool IsPermanent(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kUnimplemented;
}

}  // namespace

absl::StatusOr<WorkerOrder> Coordinator::Synchronize(const WorkerReport& report) {
  const Delivery delivery = ReadDelivery(report);
  std::vector<std::future<absl::Status>> commits;
  std::optional<Plan> plan;
  MICO_ASSIGN_OR_RETURN(WorkerOrder order, Converse(report, delivery, commits, plan));
  if (plan) MICO_RETURN_IF_ERROR(ContinuePlanning(report, *std::move(plan), order, commits));
  for (std::future<absl::Status>& commit : commits) MICO_RETURN_IF_ERROR(commit.get());
  return order;
}

// Reads the blobs that a result names, so that nothing under the mutex waits for a disk.
Coordinator::Delivery Coordinator::ReadDelivery(const WorkerReport& report) const {
  Delivery delivery;
  if (const auto* running = std::get_if<Running>(&report.state)) {
    delivery.checkpoint_stored = blobs_.Has(running->checkpoint);
  }
  const Finished* finished = std::get_if<Finished>(&report.state);
  if (finished == nullptr || !finished->result.status.ok()) return delivery;
  const auto size_of = [this, &delivery](const Digest& digest) {
    const absl::StatusOr<std::unique_ptr<BlobReader>> reader = blobs_.NewReader(digest);
    delivery.status.Update(reader.status());
    if (reader.ok()) delivery.blob_bytes = (*reader)->total_bytes();
  };
  const auto& result = finished->result.result;
  if (const auto* calibrate = std::get_if<CalibrateResult>(&result))
    size_of(calibrate->calibration);
  if (const auto* artifact = std::get_if<ArtifactResult>(&result)) size_of(artifact->artifact);
  if (const auto* convert = std::get_if<ConvertResult>(&result)) ReadConverted(*convert, delivery);
  if (const auto* reconstruct = std::get_if<ReconstructResult>(&result)) {
    size_of(reconstruct->reconstruction);
  }
  if (const auto* train = std::get_if<TrainResult>(&result)) {
    size_of(train->state);
    delivery.state_bytes = delivery.blob_bytes;
    size_of(train->reconstruction);
  }
  if (const auto* profile = std::get_if<ProfileResult>(&result)) {
    const absl::StatusOr<std::string> text = blobs_.Read(profile->latency_table, 256 << 20);
    absl::StatusOr<LatencyTable> table =
        text.ok() ? ParseLatencyTable(*text) : absl::StatusOr<LatencyTable>(text.status());
    delivery.status = table.status();
    if (table.ok()) delivery.table = *std::move(table);
  }
  if (const auto* evaluate = std::get_if<EvaluateResult>(&result)) {
    for (const SchemeResult& scheme : evaluate->schemes) {
      delivery.model_stored.push_back(blobs_.Has(scheme.quantized));
    }
  }
  return delivery;
}

absl::StatusOr<WorkerOrder> Coordinator::Converse(const WorkerReport& report,
                                                  const Delivery& delivery,
                                                  std::vector<std::future<absl::Status>>& commits,
                                                  std::optional<Plan>& plan) {
  absl::MutexLock lock(&mutex_);
  MICO_RETURN_IF_ERROR(ReloadAfterFailure());
  PendingChange change;
  WorkerOrder order;
  DropEndedJobs();
  ExpireLeases(change);
  Register(report, change);
  bool wants_task = !report.leaving;
  if (const auto* running = std::get_if<Running>(&report.state)) {
    HearRunning(report, *running, delivery, order, change);
    wants_task = false;
  } else if (const auto* finished = std::get_if<Finished>(&report.state)) {
    HearFinished(report, *finished, delivery, order, change);
  }
  if (wants_task) {
    order.order = GiveTask(report, change);
    if (report.evaluates || !order.order) plan = NextPlan(order.order.has_value());
  }
  order.next_call = NextCall(order);
  if (std::holds_alternative<Running>(report.state) && !order.lease_lost) {
    order.next_call = options_.running_poll;
  }
  // A repeated call must not be answered before what the first one changed is on disk.
  const bool repeats = !std::holds_alternative<Running>(report.state);
  if (!change.empty() || order.order || (repeats && !std::holds_alternative<Idle>(report.state))) {
    commits.push_back(Commit(change));
  }
  return order;
}

absl::Status Coordinator::ContinuePlanning(const WorkerReport& report, Plan plan,
                                           WorkerOrder& order,
                                           std::vector<std::future<absl::Status>>& commits) {
  for (int round = 0; round < kMostPlansPerCall; ++round) {
    PlanResult result = RunPlan(plan);
    absl::MutexLock lock(&mutex_);
    MICO_RETURN_IF_ERROR(ReloadAfterFailure());
    PendingChange change;
    const bool moved = ApplyPlan(plan, std::move(result), change);
    if (!order.order) order.order = GiveTask(report, change);
    order.next_call = NextCall(order);
    if (!change.empty()) commits.push_back(Commit(change));
    if (order.order || !moved) return absl::OkStatus();
    std::optional<Plan> next = NextPlan(false);
    if (!next) return absl::OkStatus();
    plan = *std::move(next);
  }
  absl::MutexLock lock(&mutex_);
  const auto job = jobs_.find(plan.job);
  if (job != jobs_.end()) job->second.planning = false;
  return absl::OkStatus();
}

Coordinator::Worker& Coordinator::Register(const WorkerReport& report, PendingChange& change) {
  const TimePoint now = clock_.Now();
  ForgetSilentWorkers();
  Worker& worker = workers_[report.worker_id];
  WorkerRecord record{
      report.worker_id, report.worker_name, report.version, report.evaluates, {}, now};
  for (const Target& target : report.targets) record.targets.push_back(target.name);
  const bool same = worker.persisted && worker.targets == report.targets &&
                    worker.record.evaluates == record.evaluates &&
                    worker.converts == report.converts;
  worker.record = record;
  worker.targets = report.targets;
  worker.checks = report.checks;
  worker.target_health = report.target_health;
  worker.left = report.leaving;
  worker.converts = report.converts;
  if (!same) {
    spdlog::info("worker {} ({}): {} target(s){}", report.worker_id, report.worker_name,
                 report.targets.size(),
                 fmt::format("{}{}", report.evaluates ? ", evaluates" : "",
                             report.converts ? ", converts" : ""));
    RegisterTargets(report, change);
  }
  if (!same || now - *worker.persisted >= kContactInterval) {
    worker.persisted = now;
    change.Add([record](StoreTransaction& transaction) { transaction.PutWorker(record); });
  }
  return worker;
}

// A name stands for the latest announcement, but one without a compiler (which has no profile key)
// replaces none that has one, and one without a board does not replace one with a board whose
// worker is alive, or whose measurements hold for its programs too.
void Coordinator::RegisterTargets(const WorkerReport& report, PendingChange& change) {
  const TimePoint now = clock_.Now();
  for (const Target& target : report.targets) {
    const auto known = targets_.find(target.name);
    if (known != targets_.end()) {
      if (known->second == target) continue;
      if (target.profile_key.empty() && !known->second.profile_key.empty()) continue;
      const bool held = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
        const std::vector<Target>& others = entry.second.targets;
        return entry.first != report.worker_id && IsAlive(entry.second) &&
               std::find(others.begin(), others.end(), known->second) != others.end();
      });
      const bool same_programs = known->second.profile_key.starts_with(target.profile_key + "-");
      if (known->second.has_board && !target.has_board && (held || same_programs)) continue;
    }
    targets_[target.name] = target;
    const TargetRecord record{target.name, SerializeDeterministically(ToProto(target)), now};
    change.Add([record](StoreTransaction& transaction) { transaction.PutTarget(record); });
  }
}

// Worker ids are new at every start; those of the past must not pile up.
void Coordinator::ForgetSilentWorkers() {
  const TimePoint now = clock_.Now();
  std::erase_if(workers_, [&](const auto& entry) {
    return now - entry.second.record.last_seen > 10 * options_.queue.lease_duration &&
           queue_.LeaseOfWorker(entry.first) == nullptr;
  });
}

bool Coordinator::IsAlive(const Worker& worker) const {
  const bool called = !worker.record.id.empty();  // not just known by a lease of an earlier run
  return called && !worker.left &&
         clock_.Now() - worker.record.last_seen <= options_.queue.lease_duration;
}

int Coordinator::LiveEvaluators() const {
  const auto evaluates = [this](const auto& entry) {
    return entry.second.record.evaluates && IsAlive(entry.second);
  };
  return std::max<int>(
      1, static_cast<int>(std::count_if(workers_.begin(), workers_.end(), evaluates)));
}

void Coordinator::EndLease(const std::string& lease, LeaseState state, PendingChange& change) {
  change.Add([lease, state, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.EndLease(lease, state, now);
  });
}

void Coordinator::ExpireLeases(PendingChange& change) {
  for (const LostLease& lost : queue_.ExpireLeases()) {
    EndLease(lost.lease.id, LeaseState::kLost, change);
    spdlog::warn("task {}: worker {} fell silent on attempt {}", lost.lease.task, lost.lease.worker,
                 lost.lease.attempt);
    const auto found = tasks_.find(lost.lease.task);
    if (found == tasks_.end()) continue;
    if (!lost.given_up) {
      SetTaskState(found->second, TaskState::kWaiting, "", change);
      continue;
    }
    const OpenTask task = found->second;
    GiveUp(task,
           fmt::format("{} workers in a row fell silent on it, the last one: {}",
                       lost.lease.attempt, lost.lease.worker),
           change);
  }
}

void Coordinator::HearRunning(const WorkerReport& report, const Running& running,
                              const Delivery& delivery, WorkerOrder& order, PendingChange& change) {
  const Lease* held = queue_.LeaseOfWorker(report.worker_id);
  if (held != nullptr && held->id == running.lease_id && !running.checkpoint.empty()) {
    TakeCheckpoint(*held, running.checkpoint, delivery, change);
  }
  if (!report.leaving) {
    const absl::Status renewed = queue_.Renew(running.lease_id, report.worker_id, running.progress);
    order.lease_lost = !renewed.ok();
    return;
  }
  const absl::StatusOr<Lease> lease = queue_.HandBack(running.lease_id, report.worker_id);
  order.lease_lost = !lease.ok();
  if (!lease.ok()) return;
  EndLease(lease->id, LeaseState::kLost, change);
  OpenTask& task = tasks_.at(lease->task);
  --task.attempts;
  SetTaskState(task, TaskState::kWaiting, "", change);
}

void Coordinator::HearFinished(const WorkerReport& report, const Finished& finished,
                               const Delivery& delivery, WorkerOrder& order,
                               PendingChange& change) {
  Worker& worker = workers_.at(report.worker_id);
  if (worker.last_completed == finished.lease_id) return;  // the answer was lost on its way
  const Lease* held = queue_.LeaseOfWorker(report.worker_id);
  if (held == nullptr || held->id != finished.lease_id) {
    order.lease_lost = true;
    return;
  }
  const OpenTask task = tasks_.at(held->task);
  absl::Status status = finished.result.status;
  if (status.ok()) status = CheckResult(task, finished.result, delivery);
  worker.last_completed = finished.lease_id;
  EndLease(finished.lease_id, LeaseState::kCompleted, change);
  if (status.ok() || IsPermanent(status)) {
    queue_.Complete(finished.lease_id, report.worker_id).IgnoreError();
    if (status.ok()) {
      ApplyResult(task, finished.result, delivery, change);
    } else {
      GiveUp(task, std::string(status.message()), change);
    }
    return;
  }
  const absl::StatusOr<LostLease> lost = queue_.Fail(finished.lease_id, report.worker_id);
  if (lost.ok() && lost->given_up) {
    GiveUp(task,
           fmt::format("failed {} times, the last time: {}", task.attempts,
                       std::string(status.message())),
           change);
  } else {
    SetTaskState(task, TaskState::kWaiting, std::string(status.message()), change);
  }
}

bool Coordinator::CanDo(const Worker& worker, const Task& task) {
  const auto holds = [&worker](auto predicate) {
    return std::any_of(worker.targets.begin(), worker.targets.end(), predicate);
  };
  if (const auto* profile = std::get_if<ProfileTask>(&task)) {
    return holds([&](const Target& target) {
      return target.has_board && target.profile_key == profile->profile_key &&
             WhyNotCompiled(worker.target_health, target.name).empty();
    });
  }
  if (const auto* artifact = std::get_if<ArtifactTask>(&task)) {
    return holds([&](const Target& target) { return target.name == artifact->target_name; }) &&
           WhyNotCompiled(worker.target_health, artifact->target_name).empty();
  }
  if (std::holds_alternative<ConvertTask>(task)) return worker.converts;
  return worker.record.evaluates;
}

std::optional<TaskOrder> Coordinator::GiveTask(const WorkerReport& report, PendingChange& change) {
  // A worker that asks while it holds a lease has not heard of it: the answer was lost.
  if (const Lease* held = queue_.LeaseOfWorker(report.worker_id)) {
    return TaskOrder{held->id, fmt::format("{}", held->task), held->attempt,
                     tasks_.at(held->task).task};
  }
  const std::string lease_id = ids_.Hex(12);
  const Worker& worker = workers_.at(report.worker_id);
  const auto suits = [&](int64_t task) {
    mutex_.AssertReaderHeld();
    return CanDo(worker, tasks_.at(task).task);
  };
  const std::optional<Lease> lease = queue_.Acquire(report.worker_id, lease_id, suits);
  if (!lease) return std::nullopt;
  OpenTask& task = tasks_.at(lease->task);
  task.attempts = lease->attempt;
  ChooseStart(task, change);
  SetTaskState(task, TaskState::kLeased, "", change);
  const LeaseRecord record{lease->id, lease->task, lease->worker, lease->attempt,
                           LeaseState::kActive};
  change.Add([record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.AddLease(record, now);
  });
  const auto job = jobs_.find(task.job);
  if (job != jobs_.end()) ++job->second.version;
  return TaskOrder{lease->id, fmt::format("{}", lease->task), lease->attempt, task.task};
}

std::chrono::milliseconds Coordinator::NextCall(const WorkerOrder& order) const {
  if (order.lease_lost && !order.order) return std::chrono::milliseconds(0);
  if (order.order) return options_.running_poll;
  const bool any_open = std::any_of(jobs_.begin(), jobs_.end(), [](const auto& entry) {
    return !HasEnded(entry.second.record.state);
  });
  return any_open ? options_.busy_poll : options_.idle_poll;
}

}  // namespace mico
