#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

namespace mico {

struct WorkQueueOptions {
  // A worker that stays silent this long loses its task.
  std::chrono::milliseconds lease_duration{60'000};
  // A task that has cost this many workers is given up, so that one crashing model cannot take the
  // fleet down.
  int max_attempts = 3;
};

// A task as the queue sees it.
struct WorkItem {
  int64_t task = 0;
  std::string job;
  int attempts = 0;     // leases given out so far
  bool urgent = false;  // somebody waits in front of a terminal
};

// The right to work on a task, and to deliver its result. A later lease of the same task makes this
// one worthless.
struct Lease {
  std::string id;
  int64_t task = 0;
  std::string job;
  std::string worker;
  int attempt = 1;  // from 1
  TimePoint expires{};
  double progress = 0.0;
};

struct LostLease {
  Lease lease;
  bool given_up = false;  // that was the last attempt: the task has left the queue
};

// Who works on what. No timers: expired leases are noticed when somebody next asks. Not
// thread-safe: the Coordinator guards it.
class WorkQueue {
 public:
  WorkQueue(const Clock& clock, WorkQueueOptions options) : clock_(clock), options_(options) {}

  // Forgets everything.
  void Clear();

  void Add(WorkItem item);
  // A lease that was given out before a restart; its worker has a full lease_duration to call.
  void Restore(const WorkItem& item, const std::string& lease_id, const std::string& worker);

  // A waiting task that `suits`: urgent ones first, then of the job with the fewest leases, oldest
  // first. Absent if there is none.
  std::optional<Lease> Acquire(const std::string& worker, const std::string& lease_id,
                               const std::function<bool(int64_t task)>& suits);

  // Aborted if `lease_id` is not (or no longer) the lease of this worker.
  absl::Status Renew(const std::string& lease_id, const std::string& worker, double progress);
  // Takes the task out of the queue. Aborted as above.
  absl::StatusOr<Lease> Complete(const std::string& lease_id, const std::string& worker);
  // The attempt failed: the task waits again, or is given up. Aborted as above.
  absl::StatusOr<LostLease> Fail(const std::string& lease_id, const std::string& worker);
  // The worker gives it back unharmed: the attempt does not count. Aborted as above.
  absl::StatusOr<Lease> HandBack(const std::string& lease_id, const std::string& worker);

  // Leases that have expired; their tasks wait again, or are given up.
  std::vector<LostLease> ExpireLeases();
  // Takes out a task, waiting or leased. The lost lease, if there was one.
  std::optional<Lease> Remove(int64_t task);

  const Lease* LeaseOfWorker(const std::string& worker) const;
  const Lease* LeaseOfTask(int64_t task) const;
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  const WorkQueueOptions& options() const { return options_; }

 private:
  struct Leased {
    Lease lease;
    WorkItem item;
  };

  absl::StatusOr<std::map<std::string, Leased>::iterator> Find(const std::string& lease_id,
                                                               const std::string& worker);
  LostLease Lose(std::map<std::string, Leased>::iterator leased);
  void Grant(const WorkItem& item, const std::string& lease_id, const std::string& worker);

  const Clock& clock_;
  const WorkQueueOptions options_;
  std::map<int64_t, WorkItem> waiting_;           // by task: oldest first
  std::map<std::string, Leased> leased_;          // by lease
  std::map<std::string, std::string> by_worker_;  // worker -> lease
  std::map<int64_t, std::string> by_task_;        // task -> lease
  std::map<std::string, int> leases_of_job_;
};

}  // namespace mico
