#include "server/work_queue.h"

#include <tuple>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {

void WorkQueue::Clear() {
  waiting_.clear();
  leased_.clear();
  by_worker_.clear();
  by_task_.clear();
  leases_of_job_.clear();
}

void WorkQueue::Add(WorkItem item) {
  const int64_t task = item.task;
  waiting_[task] = std::move(item);
}

void WorkQueue::Grant(const WorkItem& item, const std::string& lease_id,
                      const std::string& worker) {
  Leased& leased = leased_[lease_id];
  leased.item = item;
  leased.lease = {lease_id, item.task,     item.job,
                  worker,   item.attempts, clock_.Now() + options_.lease_duration,
                  0.0};
  by_worker_[worker] = lease_id;
  by_task_[item.task] = lease_id;
  ++leases_of_job_[item.job];
}

void WorkQueue::Restore(const WorkItem& item, const std::string& lease_id,
                        const std::string& worker) {
  waiting_.erase(item.task);
  Grant(item, lease_id, worker);
}

std::optional<Lease> WorkQueue::Acquire(const std::string& worker, const std::string& lease_id,
                                        const std::function<bool(int64_t task)>& suits) {
  const auto rank = [this](const WorkItem& item) {
    const auto leases = leases_of_job_.find(item.job);
    return std::tuple(!item.urgent, leases == leases_of_job_.end() ? 0 : leases->second, item.task);
  };
  auto best = waiting_.end();
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (best != waiting_.end() && rank(best->second) <= rank(it->second)) continue;
    if (suits(it->first)) best = it;
  }
  if (best == waiting_.end()) return std::nullopt;
  WorkItem item = std::move(best->second);
  waiting_.erase(best);
  ++item.attempts;
  Grant(item, lease_id, worker);
  return leased_.at(lease_id).lease;
}

absl::StatusOr<std::map<std::string, WorkQueue::Leased>::iterator> WorkQueue::Find(
    const std::string& lease_id, const std::string& worker) {
  const auto leased = leased_.find(lease_id);
  if (leased == leased_.end() || leased->second.lease.worker != worker) {
    return absl::AbortedError(
        fmt::format("lease {}: not (or no longer) of worker {}", lease_id, worker));
  }
  return leased;
}

// Afterwards the lease is gone; the item is in neither list.
static void Decrement(std::map<std::string, int>& counts, const std::string& key) {
  const auto count = counts.find(key);
  if (count != counts.end() && --count->second == 0) counts.erase(count);
}

absl::Status WorkQueue::Renew(const std::string& lease_id, const std::string& worker,
                              double progress) {
  MICO_ASSIGN_OR_RETURN(const auto leased, Find(lease_id, worker));
  leased->second.lease.expires = clock_.Now() + options_.lease_duration;
  leased->second.lease.progress = progress;
  return absl::OkStatus();
}

absl::StatusOr<Lease> WorkQueue::Complete(const std::string& lease_id, const std::string& worker) {
  MICO_ASSIGN_OR_RETURN(const auto leased, Find(lease_id, worker));
  const Lease lease = leased->second.lease;
  by_worker_.erase(lease.worker);
  by_task_.erase(lease.task);
  Decrement(leases_of_job_, lease.job);
  leased_.erase(leased);
  return lease;
}

LostLease WorkQueue::Lose(std::map<std::string, Leased>::iterator leased) {
  LostLease lost{leased->second.lease, false};
  WorkItem item = std::move(leased->second.item);
  by_worker_.erase(lost.lease.worker);
  by_task_.erase(lost.lease.task);
  Decrement(leases_of_job_, lost.lease.job);
  leased_.erase(leased);
  lost.given_up = item.attempts >= options_.max_attempts;
  if (!lost.given_up) Add(std::move(item));
  return lost;
}

absl::StatusOr<LostLease> WorkQueue::Fail(const std::string& lease_id, const std::string& worker) {
  MICO_ASSIGN_OR_RETURN(const auto leased, Find(lease_id, worker));
  return Lose(leased);
}

absl::StatusOr<Lease> WorkQueue::HandBack(const std::string& lease_id, const std::string& worker) {
  MICO_ASSIGN_OR_RETURN(const auto leased, Find(lease_id, worker));
  --leased->second.item.attempts;
  return Lose(leased).lease;
}

std::vector<LostLease> WorkQueue::ExpireLeases() {
  std::vector<LostLease> lost;
  const TimePoint now = clock_.Now();
  for (auto it = leased_.begin(); it != leased_.end();) {
    const auto current = it++;
    if (current->second.lease.expires <= now) lost.push_back(Lose(current));
  }
  return lost;
}

std::optional<Lease> WorkQueue::Remove(int64_t task) {
  waiting_.erase(task);
  const auto lease_id = by_task_.find(task);
  if (lease_id == by_task_.end()) return std::nullopt;
  const std::string id = lease_id->second;
  const absl::StatusOr<Lease> lease = Complete(id, leased_.at(id).lease.worker);
  return lease.ok() ? std::optional<Lease>(*lease) : std::nullopt;
}

const Lease* WorkQueue::LeaseOfWorker(const std::string& worker) const {
  const auto lease = by_worker_.find(worker);
  return lease == by_worker_.end() ? nullptr : &leased_.at(lease->second).lease;
}

const Lease* WorkQueue::LeaseOfTask(int64_t task) const {
  const auto lease = by_task_.find(task);
  return lease == by_task_.end() ? nullptr : &leased_.at(lease->second).lease;
}

}  // namespace mico
