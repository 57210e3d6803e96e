// Jobs, their requests, trials and artifacts.
#include "db/statements.h"

#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_join.h"
#include "db/database_connection.h"
#include "db/statement_row.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 6> kJobStates{"preparing", "searching", "finishing",
                                                     "done",      "failed",    "cancelled"};
constexpr std::array<std::string_view, 4> kTrialStates{"waiting", "running", "finished", "failed"};
constexpr std::array<std::string_view, 3> kArtifactStates{"pending", "ready", "failed"};

// One a line, as people read them.
std::string JoinDigests(const std::vector<Digest>& digests) {
  const auto append = [](std::string* text, const Digest& digest) { *text += digest.hex(); };
  return absl::StrJoin(digests, "\n", append);
}

std::vector<Digest> SplitDigests(const std::string& text) {
  std::vector<Digest> digests;
  for (const std::string& line : SplitLines(text)) {
    absl::StatusOr<Digest> digest = Digest::FromHex(line);
    if (!digest.ok()) throw std::runtime_error(std::string(digest.status().message()));
    digests.push_back(*std::move(digest));
  }
  return digests;
}

#define MICO_JOB_COLUMNS                                                                        \
  "id, spec, target, model_digest, dataset_digest, package_digest, state, error, stop_reason, " \
  "warnings, calibration_digest, metric, float_val_correct, float_val_total, float_val_value, " \
  "float_val_low, float_val_high, float_test_correct, float_test_total, float_test_value, "     \
  "float_test_low, float_test_high, max_latency, max_ram, max_flash, min_accuracy, max_error, " \
  "hypervolume, layer_names, created_ms, ended_ms, reconstructions"
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
  job.reconstructions = SplitDigests(row.Text());
  return job;
}

#define MICO_TRIAL_COLUMNS                                                                      \
  "number, scheme, samples, label, state, latency, ram, flash, metric, correct, total, value, " \
  "low, high, kl, quantized_digest, test_correct, test_total, test_value, test_low, "           \
  "test_high, error, floor, gave_up, trained, trained_from, learned_digest"
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
  trial.floor = row.RealOrNull();
  trial.gave_up = row.Bool();
  trial.trained = row.Bool();
  trial.trained_from = row.Int();
  trial.learned_digest = row.Text();
  return record;
}

}  // namespace

std::string_view ToString(JobState state) { return kJobStates[static_cast<size_t>(state)]; }
std::string_view ToString(ArtifactState state) {
  return kArtifactStates[static_cast<size_t>(state)];
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
      "hypervolume = ?, ended_ms = ?, reconstructions = ? WHERE id = ?");
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
      .Text(JoinDigests(job.reconstructions))
      .Text(job.id)
      .Run();
}

std::optional<std::string> StoreView::FindRequest(const std::string& request_id) {
  SQLite::Statement& statement =
      connection_.Prepare("SELECT job_id FROM requests WHERE request_id = ?");
  Binder(statement).Text(request_id);
  return ReadOne<std::string>(statement, ReadText);
}

void StoreTransaction::AddRequest(const std::string& request_id, const std::string& job,
                                  TimePoint now) {
  SQLite::Statement& statement =
      connection_.Prepare("INSERT OR IGNORE INTO requests VALUES (?, ?, ?)");
  Binder(statement).Text(request_id).Text(job).Time(now).Run();
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

void StoreTransaction::AddTrial(const std::string& job, const TrialRecord& record, TimePoint now) {
  const Trial& trial = record.trial;
  SQLite::Statement& statement = connection_.Prepare(
      "INSERT INTO trials (job_id, number, scheme, samples, label, state, latency, ram, flash, "
      "error, floor, trained, trained_from, created_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
      .RealOrNull(trial.floor)
      .Int(trial.trained)
      .Int(trial.trained_from)
      .Time(now)
      .Run();
}

void StoreTransaction::UpdateTrial(const std::string& job, const TrialRecord& record,
                                   TimePoint now) {
  const Trial& trial = record.trial;
  const bool open = trial.state == TrialState::kWaiting || trial.state == TrialState::kRunning;
  SQLite::Statement& statement = connection_.Prepare(
      "UPDATE trials SET state = ?, metric = ?, correct = ?, total = ?, value = ?, low = ?, "
      "high = ?, kl = ?, quantized_digest = ?, test_correct = ?, test_total = ?, "
      "test_value = ?, test_low = ?, test_high = ?, error = ?, gave_up = ?, learned_digest = ?, "
      "ended_ms = ? WHERE job_id = ? AND number = ?");
  Binder(statement)
      .Text(kTrialStates[static_cast<size_t>(trial.state)])
      .Text(ToString(trial.val.metric))
      .ScoreOf(trial.val)
      .Real(trial.divergence)
      .Text(trial.quantized_digest)
      .ScoreOf(record.test)
      .Text(trial.error)
      .Int(trial.gave_up)
      .Text(trial.learned_digest)
      .Time(open ? TimePoint{} : now)
      .Text(job)
      .Int(trial.number)
      .Run();
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

}  // namespace mico
