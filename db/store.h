#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "db/statements.h"

namespace mico {

struct StoreOptions {
  // So many changes at most go into one commit; what is queued behind them waits for the next.
  int most_changes_per_commit = 256;
  // Readers that may work at the same time.
  int readers = 4;
};

// Everything that survives a restart: SQLite in WAL mode with synchronous=FULL. Thread-safe.
//
// Changes are queued and made in that order by one writer thread, many in one commit (group
// commit), each in a savepoint of its own. A change that has been acknowledged is on disk. Readers
// have connections of their own and never wait for the writer.
//
// Errors: ResourceExhausted when the disk is full, Unavailable when the database is locked or
// cannot be written, DataLoss when it is damaged: every page has a checksum, so that what is read
// is what was written.
class Store {
 public:
  using Change = std::function<absl::Status(StoreTransaction&)>;

  // OpenDatabase of db/database_file.h, and its errors.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::filesystem::path& file,
                                                     const StoreOptions& options = {});
  // Commits what is queued.
  ~Store();

  // Makes one change that stands for itself.
  absl::Status Write(Change change);

  // Queues a link of a chain: the owner of some state changes it in memory and queues the same
  // change here, in the same order. Once a link has failed, memory and disk differ: every link that
  // was queued before the owner could know (failures() was still the same) is refused with
  // Unavailable. The owner reads its state anew when it sees failures() move.
  std::future<absl::Status> Enqueue(Change change);
  uint64_t failures() const;
  // Changes that wait behind the commit in progress.
  size_t queued() const;

  // Runs `query` on a reader; it sees every change that was acknowledged before the call.
  template <typename Query>
  auto Read(Query query) -> absl::StatusOr<decltype(query(std::declval<StoreView&>()))> {
    decltype(query(std::declval<StoreView&>())) result{};
    absl::Status status = ReadWith([&](StoreView& view) { result = query(view); });
    if (!status.ok()) return status;
    return result;
  }

 private:
  struct QueuedChange {
    Change change;
    bool chained = false;
    uint64_t failures_seen = 0;
    absl::Status status;
    std::promise<absl::Status> done;
  };

  Store(std::unique_ptr<DatabaseConnection> writer,
        std::vector<std::unique_ptr<DatabaseConnection>> readers, StoreOptions options);

  std::future<absl::Status> Queue(Change change, bool chained);
  void WriteUntilStopped();
  void CommitBatch(std::vector<QueuedChange>& batch);
  absl::Status TryBatch(std::vector<QueuedChange>& batch);
  void RunInSavepoint(QueuedChange& change);
  void CountFailure();
  absl::Status ReadWith(const std::function<void(StoreView&)>& query);

  const StoreOptions options_;
  const std::unique_ptr<DatabaseConnection> writer_;  // used by writer_thread_ only

  mutable absl::Mutex queue_mutex_;
  std::deque<QueuedChange> queue_ ABSL_GUARDED_BY(queue_mutex_);
  bool stopping_ ABSL_GUARDED_BY(queue_mutex_) = false;
  uint64_t failures_ ABSL_GUARDED_BY(queue_mutex_) = 0;

  absl::Mutex readers_mutex_;
  std::vector<std::unique_ptr<DatabaseConnection>> idle_readers_ ABSL_GUARDED_BY(readers_mutex_);

  std::thread writer_thread_;
};

}  // namespace mico
