// Who works, on what targets, and what was measured and learned there: workers, targets, latency
// tables, calibrations, reconstructions, trainings.
#include "db/statements.h"

#include "absl/strings/str_join.h"
#include "db/database_connection.h"
#include "db/statement_row.h"

namespace mico {
#define MICO_CALIBRATION_COLUMNS                                                              \
  "key, digest, metric, float_val_correct, float_val_total, float_val_value, float_val_low, " \
  "float_val_high, float_test_correct, float_test_total, float_test_value, float_test_low, "  \
  "float_test_high"

std::vector<WorkerRecord> StoreView::ListWorkers(TimePoint seen_since) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT id, name, version, evaluates, targets, last_seen_ms FROM workers "
      "WHERE last_seen_ms >= ? ORDER BY name, id");
  Binder(statement).Time(seen_since);
  return ReadAll<WorkerRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    WorkerRecord worker;
    worker.id = row.Text();
    worker.name = row.Text();
    worker.version = row.Text();
    worker.evaluates = row.Bool();
    worker.targets = SplitLines(row.Text());
    worker.last_seen = row.Time();
    return worker;
  });
}

void StoreTransaction::PutWorker(const WorkerRecord& worker) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO workers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
      "name = excluded.name, version = excluded.version, evaluates = excluded.evaluates, "
      "targets = excluded.targets, last_seen_ms = excluded.last_seen_ms");
  Binder(statement)
      .Text(worker.id)
      .Text(worker.name)
      .Text(worker.version)
      .Int(worker.evaluates)
      .Text(absl::StrJoin(worker.targets, "\n"))
      .Time(worker.last_seen)
      .Run();
}

std::vector<TargetRecord> StoreView::ListTargets() {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT name, announcement, last_seen_ms FROM targets ORDER BY name");
  return ReadAll<TargetRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    TargetRecord target;
    target.name = row.Text();
    target.announcement = row.Blob();
    target.last_seen = row.Time();
    return target;
  });
}

void StoreTransaction::PutTarget(const TargetRecord& target) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO targets VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
      "announcement = excluded.announcement, last_seen_ms = excluded.last_seen_ms");
  Binder(statement).Text(target.name).Blob(target.announcement).Time(target.last_seen).Run();
}

std::optional<std::string> StoreView::FindLatencyTable(const std::string& profile_key) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT content FROM latency_tables WHERE profile_key = ?");
  Binder(statement).Text(profile_key);
  return ReadOne<std::string>(statement, ReadText);
}

void StoreTransaction::PutLatencyTable(const std::string& profile_key, const std::string& content,
                                       int64_t signatures, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO latency_tables VALUES (?, ?, ?, ?) ON CONFLICT (profile_key) DO UPDATE SET "
      "content = excluded.content, signatures = excluded.signatures, "
      "updated_ms = excluded.updated_ms");
  Binder(statement).Text(profile_key).Text(content).Int(signatures).Time(now).Run();
}

std::optional<CalibrationRecord> StoreView::FindCalibration(const std::string& key) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_CALIBRATION_COLUMNS " FROM calibrations WHERE key = ?");
  Binder(statement).Text(key);
  return ReadOne<CalibrationRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    CalibrationRecord calibration;
    calibration.key = row.Text();
    calibration.digest = row.Hex();
    const Metric metric = row.MetricName();
    calibration.float_val = row.ScoreOf(metric);
    calibration.float_test = row.ScoreOf(metric);
    return calibration;
  });
}

void StoreTransaction::AddCalibration(const CalibrationRecord& calibration) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO calibrations (" MICO_CALIBRATION_COLUMNS
                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(calibration.key)
      .Hex(calibration.digest)
      .Text(ToString(calibration.float_val.metric))
      .ScoreOf(calibration.float_val)
      .ScoreOf(calibration.float_test)
      .Run();
}

std::optional<Digest> StoreView::FindReconstruction(const std::string& key) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT digest FROM reconstructions WHERE key = ?");
  Binder(statement).Text(key);
  return ReadOne<Digest>(statement, [](SQLite::Statement& found) { return Row(found).Hex(); });
}

std::optional<TrainingRecord> StoreView::FindTraining(const std::string& key) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT key, reconstruction, state, epochs, duration_ms FROM trainings WHERE key = ?");
  Binder(statement).Text(key);
  return ReadOne<TrainingRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    TrainingRecord training;
    training.key = row.Text();
    training.reconstruction = row.Hex();
    training.state = row.Hex();
    training.epochs = row.Real();
    training.duration = std::chrono::milliseconds(row.Int());
    return training;
  });
}

void StoreTransaction::PutTraining(const TrainingRecord& training) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR REPLACE INTO trainings VALUES (?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(training.key)
      .Hex(training.reconstruction)
      .Hex(training.state)
      .Real(training.epochs)
      .Int(training.duration.count())
      .Run();
}

void StoreTransaction::AddReconstruction(const std::string& key, const Digest& digest) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO reconstructions VALUES (?, ?)");
  Binder(statement).Text(key).Hex(digest).Run();
}

}  // namespace mico
