#include "db/store.h"

#include <utility>

#include "base/status_macros.h"
#include "db/database_connection.h"
#include "db/database_error.h"
#include "db/database_file.h"

namespace mico {
absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::filesystem::path& file,
                                                   const StoreOptions& options) {
  MICO_ASSIGN_OR_RETURN(std::unique_ptr<DatabaseConnection> writer, OpenDatabase(file));
  std::vector<std::unique_ptr<DatabaseConnection>> readers;
  MICO_RETURN_IF_ERROR(Guard(file, [&] {
    for (int i = 0; i < options.readers; ++i) {
      readers.push_back(std::make_unique<DatabaseConnection>(file, SQLite::OPEN_READONLY));
      // Reads the schema: better now than in the first call.
      readers.back()->database().execAndGet("SELECT count(*) FROM sqlite_schema");
    }
    return absl::OkStatus();
  }));
  return std::unique_ptr<Store>(new Store(std::move(writer), std::move(readers), options));
}

Store::Store(std::unique_ptr<DatabaseConnection> writer,
             std::vector<std::unique_ptr<DatabaseConnection>> readers, StoreOptions options)
    : options_(options),
      writer_(std::move(writer)),
      idle_readers_(std::move(readers)),
      writer_thread_([this] { WriteUntilStopped(); }) {}

Store::~Store() {
  {
    absl::MutexLock lock(&queue_mutex_);
    stopping_ = true;
  }
  writer_thread_.join();
}

absl::Status Store::Write(Change change) { return Queue(std::move(change), false).get(); }

std::future<absl::Status> Store::Enqueue(Change change) { return Queue(std::move(change), true); }

std::future<absl::Status> Store::Queue(Change change, bool chained) {
  absl::MutexLock lock(&queue_mutex_);
  QueuedChange& queued = queue_.emplace_back();
  queued.change = std::move(change);
  queued.chained = chained;
  queued.failures_seen = failures_;
  return queued.done.get_future();
}

uint64_t Store::failures() const {
  absl::MutexLock lock(&queue_mutex_);
  return failures_;
}

size_t Store::queued() const {
  absl::MutexLock lock(&queue_mutex_);
  return queue_.size();
}

void Store::CountFailure() {
  absl::MutexLock lock(&queue_mutex_);
  ++failures_;
}

void Store::WriteUntilStopped() {
  while (true) {
    std::vector<QueuedChange> batch;
    {
      absl::MutexLock lock(&queue_mutex_);
      const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(queue_mutex_) {
        return stopping_ || !queue_.empty();
      };
      queue_mutex_.Await(absl::Condition(&has_work));
      if (queue_.empty()) return;
      while (!queue_.empty() &&
             batch.size() < static_cast<size_t>(options_.most_changes_per_commit)) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    CommitBatch(batch);
  }
}

void Store::CommitBatch(std::vector<QueuedChange>& batch) {
  const absl::Status committed = Guard(writer_->file(), [&] { return TryBatch(batch); });
  if (!committed.ok()) {
    // Whatever was half done; fails harmlessly when SQLite has rolled back by itself.
    Guard(writer_->file(), [&] {
      writer_->ResetAll();
      writer_->database().exec("ROLLBACK");
      return absl::OkStatus();
    }).IgnoreError();
    CountFailure();
  }
  for (QueuedChange& change : batch) {
    change.done.set_value(committed.ok() ? change.status : committed);
  }
}

absl::Status Store::TryBatch(std::vector<QueuedChange>& batch) {
  writer_->database().exec("BEGIN IMMEDIATE");
  for (QueuedChange& change : batch) RunInSavepoint(change);
  writer_->ResetAll();
  writer_->database().exec("COMMIT");
  return absl::OkStatus();
}

void Store::RunInSavepoint(QueuedChange& change) {
  if (change.chained && change.failures_seen != failures()) {
    change.status = absl::UnavailableError("database: an earlier change could not be written");
    return;
  }
  writer_->database().exec("SAVEPOINT change");
  change.status = Guard(writer_->file(), [&] {
    StoreTransaction transaction(*writer_);
    return change.change(transaction);
  });
  if (!change.status.ok()) {
    writer_->ResetAll();
    writer_->database().exec("ROLLBACK TO change");
    if (change.chained) CountFailure();
  }
  writer_->database().exec("RELEASE change");
}

absl::Status Store::ReadWith(const std::function<void(StoreView&)>& query) {
  std::unique_ptr<DatabaseConnection> reader;
  {
    absl::MutexLock lock(&readers_mutex_);
    const auto any_idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(readers_mutex_) {
      return !idle_readers_.empty();
    };
    readers_mutex_.Await(absl::Condition(&any_idle));
    reader = std::move(idle_readers_.back());
    idle_readers_.pop_back();
  }
  absl::Status status = Guard(reader->file(), [&] {
    StoreView view(*reader);
    query(view);
    return absl::OkStatus();
  });
  reader->ResetAll();
  absl::MutexLock lock(&readers_mutex_);
  idle_readers_.push_back(std::move(reader));
  return status;
}

}  // namespace mico
