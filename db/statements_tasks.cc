// Tasks and leases.
#include "db/statements.h"

#include <array>
#include <charconv>
#include <stdexcept>
#include <string_view>

#include "absl/strings/str_join.h"
#include "db/database_connection.h"
#include "db/statement_row.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 5> kTaskStates{"waiting", "leased", "done", "failed",
                                                      "cancelled"};
constexpr std::array<std::string_view, 3> kLeaseStates{"active", "completed", "lost"};

std::vector<int64_t> SplitNumbers(const std::string& text) {
  std::vector<int64_t> numbers;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) throw std::runtime_error("not a list of numbers: " + text);
    numbers.push_back(number);
    at = next + 1;
  }
  return numbers;
}

LeaseRecord ReadLease(SQLite::Statement& statement) {
  Row row(statement);
  LeaseRecord lease;
  lease.id = row.Text();
  lease.task = row.Int();
  lease.worker = row.Text();
  lease.attempt = static_cast<int>(row.Int());
  lease.state = ParseState<LeaseState>(kLeaseStates, row.Text());
  return lease;
}

}  // namespace

std::string_view ToString(TaskState state) { return kTaskStates[static_cast<size_t>(state)]; }
std::string_view ToString(LeaseState state) { return kLeaseStates[static_cast<size_t>(state)]; }

std::vector<TaskRecord> StoreView::ListOpenTasks() {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT id, coalesce(job_id, ''), purpose, payload, trials, state, attempts, error FROM "
      "tasks "
      "WHERE state IN ('waiting', 'leased') ORDER BY id");
  return ReadAll<TaskRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    TaskRecord task;
    task.id = row.Int();
    task.job = row.Text();
    task.purpose = row.Text();
    task.payload = row.Blob();
    task.trials = SplitNumbers(row.Text());
    task.state = ParseState<TaskState>(kTaskStates, row.Text());
    task.attempts = static_cast<int>(row.Int());
    task.error = row.Text();
    return task;
  });
}

int64_t StoreView::LargestTaskId() {
  SQLite::Statement& statement = connection_.Prepare("SELECT coalesce(max(id), 0) FROM tasks");
  statement.executeStep();
  return Row(statement).Int();
}

void StoreTransaction::AddTask(const TaskRecord& task, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO tasks (id, job_id, purpose, payload, trials, state, created_ms) "
      "VALUES (?, nullif(?, ''), ?, ?, ?, ?, ?)");
  Binder(statement)
      .Int(task.id)
      .Text(task.job)
      .Text(task.purpose)
      .Blob(task.payload)
      .Text(absl::StrJoin(task.trials, ","))
      .Text(ToString(task.state))
      .Time(now)
      .Run();
}

void StoreTransaction::UpdateTask(const TaskRecord& task, TimePoint now) {
  const bool open = task.state == TaskState::kWaiting || task.state == TaskState::kLeased;
  SQLite::Statement& statement = connection_.Prepare(
      "UPDATE tasks SET state = ?, attempts = ?, error = ?, ended_ms = ? WHERE id = ?");
  Binder(statement)
      .Text(ToString(task.state))
      .Int(task.attempts)
      .Text(task.error)
      .Time(open ? TimePoint{} : now)
      .Int(task.id)
      .Run();
}

void StoreTransaction::UpdateTaskPayload(int64_t id, const std::string& payload) {
  SQLite::Statement& statement = connection_.Prepare("UPDATE tasks SET payload = ? WHERE id = ?");
  Binder(statement).Blob(payload).Int(id).Run();
}

std::vector<LeaseRecord> StoreView::ListActiveLeases() {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT id, task_id, worker_id, attempt, state FROM leases WHERE state = 'active'");
  return ReadAll<LeaseRecord>(statement, ReadLease);
}

std::vector<LeaseRecord> StoreView::ListLastCompletedLeases(TimePoint since) {
  // SQLite takes the other columns from the row that holds the maximum.
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT leases.id, task_id, worker_id, attempt, state, max(leases.rowid) FROM leases "
      "JOIN workers ON workers.id = worker_id "
      "WHERE state = 'completed' AND last_seen_ms >= ? GROUP BY worker_id");
  Binder(statement).Time(since);
  return ReadAll<LeaseRecord>(statement, ReadLease);
}

void StoreTransaction::AddLease(const LeaseRecord& lease, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO leases (id, task_id, worker_id, attempt, state, granted_ms) "
      "VALUES (?, ?, ?, ?, 'active', ?)");
  Binder(statement)
      .Text(lease.id)
      .Int(lease.task)
      .Text(lease.worker)
      .Int(lease.attempt)
      .Time(now)
      .Run();
}

void StoreTransaction::EndLease(const std::string& lease, LeaseState state, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "UPDATE leases SET state = ?, ended_ms = ? WHERE id = ? AND state = 'active'");
  Binder(statement).Text(ToString(state)).Time(now).Text(lease).Run();
}

}  // namespace mico
