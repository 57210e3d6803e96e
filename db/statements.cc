#include "db/statements.h"

#include <array>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "db/database_connection.h"
#include "db/database_error.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Binds its arguments to ?1, ?2, ... in order.
class Binder {
 public:
  explicit Binder(SQLite::Statement& statement) : statement_(statement) {}

  Binder& Text(std::string_view value) {
    statement_.bind(++index_, std::string(value));
    return *this;
  }
  Binder& Blob(const std::string& value) {
    statement_.bind(++index_, value.data(), static_cast<int>(value.size()));
    return *this;
  }
  Binder& Int(int64_t value) {
    statement_.bind(++index_, value);
    return *this;
  }
  Binder& Real(double value) {
    statement_.bind(++index_, value);
    return *this;
  }
  Binder& Null() {
    statement_.bind(++index_);
    return *this;
  }
  Binder& Time(TimePoint time) { return Int(time.time_since_epoch().count()); }
  Binder& Hex(const Digest& digest) { return Text(digest.hex()); }
  Binder& HexOrNull(const Digest& digest) { return digest.empty() ? Null() : Hex(digest); }
  Binder& IntOrNull(const std::optional<int64_t>& value) { return value ? Int(*value) : Null(); }
  Binder& RealOrNull(const std::optional<double>& value) { return value ? Real(*value) : Null(); }
  // correct, total, value, low, high; metrics stand in a column of their own.
  Binder& ScoreOf(const Score& score) {
    Int(score.correct).Int(score.total);
    if (CountsAnswers(score.metric)) return Null().Null().Null();
    return Real(score.value).Real(score.low).Real(score.high);
  }

  void Run() { statement_.exec(); }
  bool Next() { return statement_.executeStep(); }

 private:
  SQLite::Statement& statement_;
  int index_ = 0;
};

// Reads a row's columns in order.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  std::string Text() { return statement_.getColumn(index_++).getString(); }
  std::string Blob() { return Text(); }
  int64_t Int() { return statement_.getColumn(index_++).getInt64(); }
  bool Bool() { return Int() != 0; }
  double Real() { return statement_.getColumn(index_++).getDouble(); }
  TimePoint Time() { return TimePoint(std::chrono::milliseconds(Int())); }
  Metric MetricName() {
    const absl::StatusOr<Metric> metric = ParseMetric(Text());
    if (!metric.ok()) throw std::runtime_error(std::string(metric.status().message()));
    return *metric;
  }
  Score ScoreOf(Metric metric) {
    const int64_t correct = Int(), total = Int();
    const double value = Real(), low = Real(), high = Real();
    if (CountsAnswers(metric)) return CountScore(metric, correct, total);
    return {metric, 0, total, value, low, high};
  }
  std::optional<int64_t> IntOrNull() {
    if (SkipNull()) return std::nullopt;
    return Int();
  }
  std::optional<double> RealOrNull() {
    if (SkipNull()) return std::nullopt;
    return Real();
  }
  // A digest that we wrote; empty for NULL or empty text.
  Digest Hex() {
    const std::string text = Text();
    if (text.empty()) return Digest();
    const absl::StatusOr<Digest> digest = Digest::FromHex(text);
    if (!digest.ok()) throw std::runtime_error("not a digest in the database: " + text);
    return *digest;
  }

 private:
  bool SkipNull() {
    if (!statement_.getColumn(index_).isNull()) return false;
    ++index_;
    return true;
  }

  SQLite::Statement& statement_;
  int index_ = 0;
};

constexpr std::array<std::string_view, 6> kJobStates{"preparing", "searching", "finishing",
                                                     "done",      "failed",    "cancelled"};
constexpr std::array<std::string_view, 5> kTaskStates{"waiting", "leased", "done", "failed",
                                                      "cancelled"};
constexpr std::array<std::string_view, 3> kLeaseStates{"active", "completed", "lost"};
constexpr std::array<std::string_view, 4> kTrialStates{"waiting", "running", "finished", "failed"};
constexpr std::array<std::string_view, 3> kArtifactStates{"pending", "ready", "failed"};

template <typename State, size_t n>
State ParseState(const std::array<std::string_view, n>& names, const std::string& text) {
  for (size_t i = 0; i < n; ++i) {
    if (names[i] == text) return static_cast<State>(i);
  }
  throw std::runtime_error("not a state in the database: " + text);
}

std::vector<std::string> SplitLines(const std::string& text) {
  if (text.empty()) return {};
  return absl::StrSplit(text, '\n');
}

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

#define MICO_MODEL_COLUMNS \
  "digest, package_digest, name, layers, macs, parameters, input_shape, created_ms"
ModelRecord ReadModel(SQLite::Statement& statement) {
  Row row(statement);
  ModelRecord model;
  model.digest = row.Hex();
  model.package = row.Hex();
  model.name = row.Text();
  model.layers = row.Int();
  model.macs = row.Int();
  model.parameters = row.Int();
  model.input_shape = row.Text();
  model.created = row.Time();
  return model;
}

#define MICO_DATASET_COLUMNS                                                                     \
  "digest, name, description, sample_shape, bytes, val_samples, test_samples, classes, "         \
  "input_non_negative, val_taken_from_train, created_ms, target_elements, val_ones, test_ones, " \
  "val_variance"
DatasetRecord ReadDataset(SQLite::Statement& statement) {
  Row row(statement);
  DatasetRecord dataset;
  dataset.digest = row.Hex();
  dataset.name = row.Text();
  dataset.description = row.Text();
  dataset.sample_shape = row.Text();
  dataset.bytes = row.Int();
  dataset.val_samples = row.Int();
  dataset.test_samples = row.Int();
  dataset.classes = row.Int();
  dataset.input_non_negative = row.Bool();
  dataset.val_taken_from_train = row.Bool();
  dataset.created = row.Time();
  if (const std::optional<int64_t> elements = row.IntOrNull()) {
    TargetFacts& targets = dataset.targets.emplace();
    targets.elements = *elements;
    targets.val_ones = row.Int();
    targets.test_ones = row.Int();
    targets.val_variance = row.Real();
  }
  return dataset;
}

#define MICO_CALIBRATION_COLUMNS                                                              \
  "key, digest, metric, float_val_correct, float_val_total, float_val_value, float_val_low, " \
  "float_val_high, float_test_correct, float_test_total, float_test_value, float_test_low, "  \
  "float_test_high"

#define MICO_JOB_COLUMNS                                                                        \
  "id, spec, target, model_digest, dataset_digest, package_digest, state, error, stop_reason, " \
  "warnings, calibration_digest, metric, float_val_correct, float_val_total, float_val_value, " \
  "float_val_low, float_val_high, float_test_correct, float_test_total, float_test_value, "     \
  "float_test_low, float_test_high, max_latency, max_ram, max_flash, min_accuracy, max_error, " \
  "hypervolume, layer_names, created_ms, ended_ms"
JobRecord ReadJob(SQLite::Statement& statement) {
  Row row(statement);
  JobRecord job;
  job.id = row.Text();
  job.spec = row.Blob();
  job.target = row.Blob();
  job.model = row.Hex();
  job.dataset = row.Hex();
  job.package = row.Hex();
  job.state = ParseState<JobState>(kJobStates, row.Text());
  job.error = row.Text();
  job.stop_reason = row.Text();
  job.warnings = SplitLines(row.Text());
  job.calibration = row.Hex();
  const Metric metric = row.MetricName();
  job.float_val = row.ScoreOf(metric);
  job.float_test = row.ScoreOf(metric);
  job.limits.max_latency_cycles = row.IntOrNull();
  job.limits.max_ram_bytes = row.IntOrNull();
  job.limits.max_flash_bytes = row.IntOrNull();
  job.limits.min_accuracy = row.RealOrNull();
  job.limits.max_error = row.RealOrNull();
  job.hypervolume = row.Real();
  job.layer_names = SplitLines(row.Text());
  job.created = row.Time();
  job.ended = row.Time();
  return job;
}

#define MICO_TRIAL_COLUMNS                                                                      \
  "number, scheme, samples, label, state, latency, ram, flash, metric, correct, total, value, " \
  "low, high, kl, quantized_digest, test_correct, test_total, test_value, test_low, "           \
  "test_high, error"
TrialRecord ReadTrial(SQLite::Statement& statement) {
  Row row(statement);
  TrialRecord record;
  Trial& trial = record.trial;
  trial.number = row.Int();
  absl::StatusOr<BitScheme> scheme = BitScheme::Parse(row.Text());
  if (!scheme.ok()) throw std::runtime_error(std::string(scheme.status().message()));
  trial.scheme = *std::move(scheme);
  trial.samples = row.Int();
  trial.label = row.Text();
  trial.state = ParseState<TrialState>(kTrialStates, row.Text());
  trial.cost.latency_cycles = row.Int();
  trial.cost.peak_ram_bytes = row.Int();
  trial.cost.flash_bytes = row.Int();
  const Metric metric = row.MetricName();
  trial.val = row.ScoreOf(metric);
  trial.divergence = row.Real();
  trial.quantized_digest = row.Text();
  record.test = row.ScoreOf(metric);
  trial.error = row.Text();
  return record;
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

template <typename Record, typename Read>
std::optional<Record> ReadOne(SQLite::Statement& statement, Read read) {
  if (!statement.executeStep()) return std::nullopt;
  return read(statement);
}

template <typename Record, typename Read>
std::vector<Record> ReadAll(SQLite::Statement& statement, Read read) {
  std::vector<Record> records;
  while (statement.executeStep()) records.push_back(read(statement));
  return records;
}

std::string ReadText(SQLite::Statement& statement) { return Row(statement).Text(); }

}  // namespace

std::string_view ToString(JobState state) { return kJobStates[static_cast<size_t>(state)]; }
std::string_view ToString(TaskState state) { return kTaskStates[static_cast<size_t>(state)]; }
std::string_view ToString(LeaseState state) { return kLeaseStates[static_cast<size_t>(state)]; }
std::string_view ToString(ArtifactState state) {
  return kArtifactStates[static_cast<size_t>(state)];
}

bool StoreView::HasBlob(const Digest& digest) {
  SQLite::Statement& statement = connection_.Prepare("SELECT 1 FROM blobs WHERE digest = ?");
  return Binder(statement).Hex(digest).Next();
}

BlobTotals StoreView::TotalBlobs() {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT count(*), coalesce(sum(bytes), 0) FROM blobs");
  statement.executeStep();
  Row row(statement);
  const int64_t count = row.Int();
  return {count, row.Int()};
}

std::string StoreView::QuickCheck() {
  TakeDamagedPage();
  try {
    SQLite::Statement& statement = connection_.Prepare("PRAGMA quick_check(1)");
    statement.executeStep();
    const std::string found = Row(statement).Text();
    // SQLite knows that a page could not be read, but not why.
    const std::optional<DamagedPage> page = TakeDamagedPage();
    return page ? fmt::format("{}: {}", ToString(*page), found) : found;
  } catch (const SQLite::Exception& error) {
    if (!IsDamage(error)) throw;
    return Describe(error);
  }
}

std::optional<ModelRecord> StoreView::FindModel(const Digest& digest) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_MODEL_COLUMNS " FROM models WHERE digest = ?");
  Binder(statement).Hex(digest);
  return ReadOne<ModelRecord>(statement, ReadModel);
}

std::vector<ModelRecord> StoreView::ListModels(int64_t offset, int most) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_MODEL_COLUMNS
                          " FROM models ORDER BY created_ms DESC, digest LIMIT ? OFFSET ?");
  Binder(statement).Int(most).Int(offset);
  return ReadAll<ModelRecord>(statement, ReadModel);
}

std::optional<DatasetRecord> StoreView::FindDataset(const Digest& digest) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_DATASET_COLUMNS " FROM datasets WHERE digest = ?");
  Binder(statement).Hex(digest);
  return ReadOne<DatasetRecord>(statement, ReadDataset);
}

std::vector<std::string> StoreView::FindDatasetDigests(const std::string& prefix, int most) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT digest FROM datasets WHERE substr(digest, 1, length(?1)) = ?1 ORDER BY digest LIMIT "
      "?2");
  Binder(statement).Text(prefix).Int(most);
  return ReadAll<std::string>(statement, ReadText);
}

std::vector<DatasetRecord> StoreView::ListDatasets(int64_t offset, int most) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_DATASET_COLUMNS
                          " FROM datasets ORDER BY created_ms DESC, digest LIMIT ? OFFSET ?");
  Binder(statement).Int(most).Int(offset);
  return ReadAll<DatasetRecord>(statement, ReadDataset);
}

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

std::optional<std::string> StoreView::FindLatencyTable(const std::string& profile_key) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT content FROM latency_tables WHERE profile_key = ?");
  Binder(statement).Text(profile_key);
  return ReadOne<std::string>(statement, ReadText);
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

std::optional<JobRecord> StoreView::FindJob(const std::string& id) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_JOB_COLUMNS " FROM jobs WHERE id = ?");
  Binder(statement).Text(id);
  return ReadOne<JobRecord>(statement, ReadJob);
}

std::vector<std::string> StoreView::FindJobIds(const std::string& prefix, int most) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT id FROM jobs WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2");
  Binder(statement).Text(prefix).Int(most);
  return ReadAll<std::string>(statement, ReadText);
}

std::optional<std::string> StoreView::FindRequest(const std::string& request_id) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT job_id FROM requests WHERE request_id = ?");
  Binder(statement).Text(request_id);
  return ReadOne<std::string>(statement, ReadText);
}

std::vector<JobRecord> StoreView::ListJobs(TimePoint before, const std::string& before_id,
                                           int most) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT " MICO_JOB_COLUMNS
      " FROM jobs WHERE (created_ms, id) < (?, ?) ORDER BY created_ms DESC, id DESC LIMIT ?");
  Binder(statement).Time(before).Text(before_id).Int(most);
  return ReadAll<JobRecord>(statement, ReadJob);
}

std::vector<JobRecord> StoreView::ListOpenJobs() {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT " MICO_JOB_COLUMNS
      " FROM jobs WHERE state IN ('preparing', 'searching', 'finishing') ORDER BY created_ms, id");
  return ReadAll<JobRecord>(statement, ReadJob);
}

std::vector<TrialRecord> StoreView::ListTrials(const std::string& job, int64_t after,
                                               int64_t most) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT " MICO_TRIAL_COLUMNS
                          " FROM trials WHERE job_id = ? AND number > ? ORDER BY number LIMIT ?");
  Binder(statement).Text(job).Int(after).Int(most);
  return ReadAll<TrialRecord>(statement, ReadTrial);
}

std::optional<TrialRecord> StoreView::FindTrial(const std::string& job, int64_t number) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT " MICO_TRIAL_COLUMNS " FROM trials WHERE job_id = ? AND number = ?");
  Binder(statement).Text(job).Int(number);
  return ReadOne<TrialRecord>(statement, ReadTrial);
}

std::vector<TaskRecord> StoreView::ListOpenTasks() {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT id, job_id, purpose, payload, trials, state, attempts, error FROM tasks "
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

std::optional<ArtifactRecord> StoreView::FindArtifact(const std::string& job, int64_t trial) {
  SQLite::Statement& statement = connection_.Prepare(
      "SELECT job_id, trial, state, error, digest, self_test_host, self_test_board, "
      "measured_count, measured_flash_bytes, measured_ram_bytes FROM artifacts "
      "WHERE job_id = ? AND trial = ?");
  Binder(statement).Text(job).Int(trial);
  return ReadOne<ArtifactRecord>(statement, [](SQLite::Statement& found) {
    Row row(found);
    ArtifactRecord artifact;
    artifact.job = row.Text();
    artifact.trial = row.Int();
    artifact.state = ParseState<ArtifactState>(kArtifactStates, row.Text());
    artifact.error = row.Text();
    artifact.digest = row.Hex();
    artifact.self_test_host = row.Bool();
    artifact.self_test_board = row.Bool();
    artifact.measured_count = row.Int();
    artifact.measured_flash_bytes = row.Int();
    artifact.measured_ram_bytes = row.Int();
    return artifact;
  });
}

void StoreTransaction::AddBlob(const Digest& digest, int64_t bytes, TimePoint now) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)");
  Binder(statement).Hex(digest).Int(bytes).Time(now).Run();
}

void StoreTransaction::AddModel(const ModelRecord& model) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT OR IGNORE INTO models (" MICO_MODEL_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Hex(model.digest)
      .Hex(model.package)
      .Text(model.name)
      .Int(model.layers)
      .Int(model.macs)
      .Int(model.parameters)
      .Text(model.input_shape)
      .Time(model.created)
      .Run();
}

void StoreTransaction::AddDataset(const DatasetRecord& dataset) {
  const TargetFacts targets = dataset.targets.value_or(TargetFacts());
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO datasets (" MICO_DATASET_COLUMNS
      ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET "
      "target_elements = excluded.target_elements, val_ones = excluded.val_ones, "
      "test_ones = excluded.test_ones, val_variance = excluded.val_variance");
  Binder(statement)
      .Hex(dataset.digest)
      .Text(dataset.name)
      .Text(dataset.description)
      .Text(dataset.sample_shape)
      .Int(dataset.bytes)
      .Int(dataset.val_samples)
      .Int(dataset.test_samples)
      .Int(dataset.classes)
      .Int(dataset.input_non_negative)
      .Int(dataset.val_taken_from_train)
      .Time(dataset.created)
      .Int(targets.elements)
      .Int(targets.val_ones)
      .Int(targets.test_ones)
      .Real(targets.val_variance)
      .Run();
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

void StoreTransaction::PutTarget(const TargetRecord& target) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO targets VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
      "announcement = excluded.announcement, last_seen_ms = excluded.last_seen_ms");
  Binder(statement).Text(target.name).Blob(target.announcement).Time(target.last_seen).Run();
}

void StoreTransaction::PutLatencyTable(const std::string& profile_key, const std::string& content,
                                       int64_t signatures, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO latency_tables VALUES (?, ?, ?, ?) ON CONFLICT (profile_key) DO UPDATE SET "
      "content = excluded.content, signatures = excluded.signatures, "
      "updated_ms = excluded.updated_ms");
  Binder(statement).Text(profile_key).Text(content).Int(signatures).Time(now).Run();
}

void StoreTransaction::AddJob(const JobRecord& job) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO jobs (id, spec, target, model_digest, dataset_digest, package_digest, state, "
      "layer_names, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(job.id)
      .Blob(job.spec)
      .Blob(job.target)
      .Hex(job.model)
      .Hex(job.dataset)
      .Hex(job.package)
      .Text(ToString(job.state))
      .Text(absl::StrJoin(job.layer_names, "\n"))
      .Time(job.created)
      .Run();
  UpdateJob(job);
}

void StoreTransaction::UpdateJob(const JobRecord& job) {
  SQLite::Statement& statement = connection_.Prepare(
      "UPDATE jobs SET state = ?, error = ?, stop_reason = ?, warnings = ?, "
      "calibration_digest = ?, metric = ?, float_val_correct = ?, float_val_total = ?, "
      "float_val_value = ?, float_val_low = ?, float_val_high = ?, float_test_correct = ?, "
      "float_test_total = ?, float_test_value = ?, float_test_low = ?, float_test_high = ?, "
      "max_latency = ?, max_ram = ?, max_flash = ?, min_accuracy = ?, max_error = ?, "
      "hypervolume = ?, ended_ms = ? WHERE id = ?");
  Binder(statement)
      .Text(ToString(job.state))
      .Text(job.error)
      .Text(job.stop_reason)
      .Text(absl::StrJoin(job.warnings, "\n"))
      .HexOrNull(job.calibration)
      .Text(ToString(job.float_val.metric))
      .ScoreOf(job.float_val)
      .ScoreOf(job.float_test)
      .IntOrNull(job.limits.max_latency_cycles)
      .IntOrNull(job.limits.max_ram_bytes)
      .IntOrNull(job.limits.max_flash_bytes)
      .RealOrNull(job.limits.min_accuracy)
      .RealOrNull(job.limits.max_error)
      .Real(job.hypervolume)
      .Time(job.ended)
      .Text(job.id)
      .Run();
}

void StoreTransaction::AddRequest(const std::string& request_id, const std::string& job,
                                  TimePoint now) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO requests VALUES (?, ?, ?)");
  Binder(statement).Text(request_id).Text(job).Time(now).Run();
}

void StoreTransaction::AddTrial(const std::string& job, const TrialRecord& record, TimePoint now) {
  const Trial& trial = record.trial;
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO trials (job_id, number, scheme, samples, label, state, latency, ram, flash, "
      "error, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(job)
      .Int(trial.number)
      .Text(trial.scheme.ToString())
      .Int(trial.samples)
      .Text(trial.label)
      .Text(kTrialStates[static_cast<size_t>(trial.state)])
      .Int(trial.cost.latency_cycles)
      .Int(trial.cost.peak_ram_bytes)
      .Int(trial.cost.flash_bytes)
      .Text(trial.error)
      .Time(now)
      .Run();
}

void StoreTransaction::UpdateTrial(const std::string& job, const TrialRecord& record,
                                   TimePoint now) {
  const Trial& trial = record.trial;
  SQLite::Statement& statement = connection_.Prepare(
      "UPDATE trials SET state = ?, metric = ?, correct = ?, total = ?, value = ?, low = ?, "
      "high = ?, kl = ?, quantized_digest = ?, test_correct = ?, test_total = ?, "
      "test_value = ?, test_low = ?, test_high = ?, error = ?, ended_ms = ? "
      "WHERE job_id = ? AND number = ?");
  Binder(statement)
      .Text(kTrialStates[static_cast<size_t>(trial.state)])
      .Text(ToString(trial.val.metric))
      .ScoreOf(trial.val)
      .Real(trial.divergence)
      .Text(trial.quantized_digest)
      .ScoreOf(record.test)
      .Text(trial.error)
      .Time(now)
      .Text(job)
      .Int(trial.number)
      .Run();
}

void StoreTransaction::AddTask(const TaskRecord& task, TimePoint now) {
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO tasks (id, job_id, purpose, payload, trials, state, created_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)");
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

void StoreTransaction::PutArtifact(const ArtifactRecord& artifact) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR REPLACE INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  Binder(statement)
      .Text(artifact.job)
      .Int(artifact.trial)
      .Text(ToString(artifact.state))
      .Text(artifact.error)
      .HexOrNull(artifact.digest)
      .Int(artifact.self_test_host)
      .Int(artifact.self_test_board)
      .Int(artifact.measured_count)
      .Int(artifact.measured_flash_bytes)
      .Int(artifact.measured_ram_bytes)
      .Run();
}

int64_t StoreView::LargestTaskId() {
  SQLite::Statement& statement = connection_.Prepare("SELECT coalesce(max(id), 0) FROM tasks");
  statement.executeStep();
  return Row(statement).Int();
}

}  // namespace mico
