#include "tests/system/history_model.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "SQLiteCpp/SQLiteCpp.h"
#include "fmt/format.h"

namespace mico {
namespace {

// The tables as they are, read without the server's code.
struct StoredLease {
  int64_t task = 0;
  std::string state;
};
struct StoredTask {
  std::string job, purpose, state;
  std::vector<int64_t> trials;
};
struct StoredTrial {
  std::string scheme, state, score;
};
struct Tables {
  std::map<std::string, StoredLease> leases;
  std::map<int64_t, StoredTask> tasks;
  std::map<std::pair<std::string, int64_t>, StoredTrial> trials;
};

std::vector<int64_t> SplitNumbers(const std::string& text) {
  std::vector<int64_t> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::stoll(part));
  return numbers;
}

Tables ReadTables(SQLite::Database& database) {
  Tables tables;
  SQLite::Statement leases(database, "SELECT id, task_id, state FROM leases");
  while (leases.executeStep()) {
    tables.leases[leases.getColumn(0)] = {leases.getColumn(1).getInt64(), leases.getColumn(2)};
  }
  SQLite::Statement tasks(database, "SELECT id, job_id, purpose, state, trials FROM tasks");
  while (tasks.executeStep()) {
    tables.tasks[tasks.getColumn(0).getInt64()] = {tasks.getColumn(1), tasks.getColumn(2),
                                                   tasks.getColumn(3),
                                                   SplitNumbers(tasks.getColumn(4))};
  }
  SQLite::Statement trials(
      database, "SELECT job_id, number, scheme, state, correct || '/' || total FROM trials");
  while (trials.executeStep()) {
    tables.trials[{trials.getColumn(0), trials.getColumn(1).getInt64()}] = {
        trials.getColumn(2), trials.getColumn(3), trials.getColumn(4)};
  }
  return tables;
}

}  // namespace

void HistoryModel::Read(const std::filesystem::path& history) {
  std::ifstream file(history);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string event, lease, scheme, score;
    words >> event >> lease >> scheme >> score;
    if (event == "order") ++orders_;
    if (event == "sending") sent_[lease][scheme] = score;
    if (event == "acknowledged") acknowledged_.insert(lease);
    if (event == "refused") refused_.insert(lease);
  }
}

std::vector<std::string> HistoryModel::Contradictions(
    const std::filesystem::path& database_file) const {
  SQLite::Database database(database_file.string(), SQLite::OPEN_READONLY);
  const Tables tables = ReadTables(database);
  std::vector<std::string> found;
  const std::string check = database.execAndGet("PRAGMA quick_check").getString();
  if (check != "ok") found.push_back("quick_check: " + check);

  for (const std::string& id : acknowledged_) {
    const auto lease = tables.leases.find(id);
    if (lease == tables.leases.end()) {
      found.push_back(fmt::format("lease {}: acknowledged, and unknown to the database", id));
      continue;
    }
    const StoredTask& task = tables.tasks.at(lease->second.task);
    if (lease->second.state != "completed" || task.state != "done") {
      found.push_back(fmt::format("lease {}: acknowledged, in the database {} and its task {}", id,
                                  lease->second.state, task.state));
    }
  }
  for (const std::string& id : refused_) {
    const auto lease = tables.leases.find(id);
    if (lease != tables.leases.end() && lease->second.state != "lost") {
      found.push_back(
          fmt::format("lease {}: refused, in the database {}", id, lease->second.state));
    }
  }

  std::map<int64_t, std::string> counted;  // task -> lease
  for (const auto& [id, lease] : tables.leases) {
    if (lease.state == "active") found.push_back(fmt::format("lease {}: without an end", id));
    if (lease.state != "completed") continue;
    if (!counted.emplace(lease.task, id).second) {
      found.push_back(fmt::format("task {}: counted twice, by leases {} and {}", lease.task, id,
                                  counted[lease.task]));
    }
  }
  std::map<std::pair<std::string, int64_t>, int64_t> searched;  // trial -> task
  for (const auto& [id, task] : tables.tasks) {
    if (task.purpose != "search" || task.state != "done") continue;
    const auto lease = counted.find(id);
    const auto scores = lease == counted.end() ? sent_.end() : sent_.find(lease->second);
    for (const int64_t number : task.trials) {
      if (!searched.emplace(std::pair(task.job, number), id).second) {
        found.push_back(
            fmt::format("trial {} of job {}: evaluated by two tasks", number, task.job));
      }
      const StoredTrial& trial = tables.trials.at({task.job, number});
      if (scores == sent_.end() || !scores->second.contains(trial.scheme)) {
        found.push_back(
            fmt::format("trial {} of job {}: a result that nobody sent", number, task.job));
      } else if (trial.state != "finished" || scores->second.at(trial.scheme) != trial.score) {
        found.push_back(fmt::format("trial {} of job {}: sent {}, in the database {} {}", number,
                                    task.job, scores->second.at(trial.scheme), trial.state,
                                    trial.score));
      }
    }
  }
  for (const auto& [key, trial] : tables.trials) {
    if (trial.state == "finished" && !searched.contains(key)) {
      found.push_back(
          fmt::format("trial {} of job {}: finished without a task", key.second, key.first));
    }
  }
  return found;
}

}  // namespace mico
