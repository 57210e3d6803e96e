#include "db/migrations.h"

#include <array>

namespace mico {
namespace {

constexpr std::string_view kFirst = R"sql(
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE models (
  digest TEXT PRIMARY KEY REFERENCES blobs(digest),
  package_digest TEXT NOT NULL REFERENCES blobs(digest),
  name TEXT NOT NULL,
  layers INTEGER NOT NULL,
  macs INTEGER NOT NULL,
  parameters INTEGER NOT NULL,
  input_shape TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE datasets (
  digest TEXT PRIMARY KEY REFERENCES blobs(digest),
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  sample_shape TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  val_samples INTEGER NOT NULL,
  test_samples INTEGER NOT NULL,
  classes INTEGER NOT NULL,
  input_non_negative INTEGER NOT NULL,
  val_taken_from_train INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  evaluates INTEGER NOT NULL,
  targets TEXT NOT NULL,
  last_seen_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE targets (
  name TEXT PRIMARY KEY,
  announcement BLOB NOT NULL,
  last_seen_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE latency_tables (
  profile_key TEXT PRIMARY KEY,
  content TEXT NOT NULL,
  signatures INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE calibrations (
  key TEXT PRIMARY KEY,
  digest TEXT NOT NULL REFERENCES blobs(digest),
  float_val_correct INTEGER NOT NULL,
  float_val_total INTEGER NOT NULL,
  float_test_correct INTEGER NOT NULL,
  float_test_total INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  spec BLOB NOT NULL,
  target BLOB NOT NULL,
  model_digest TEXT NOT NULL REFERENCES models(digest),
  dataset_digest TEXT NOT NULL REFERENCES datasets(digest),
  package_digest TEXT NOT NULL REFERENCES blobs(digest),
  state TEXT NOT NULL CHECK (state IN ('preparing', 'searching', 'finishing', 'done', 'failed',
                                       'cancelled')),
  error TEXT NOT NULL DEFAULT '',
  stop_reason TEXT NOT NULL DEFAULT '',
  warnings TEXT NOT NULL DEFAULT '',
  calibration_digest TEXT REFERENCES blobs(digest),
  float_val_correct INTEGER NOT NULL DEFAULT 0,
  float_val_total INTEGER NOT NULL DEFAULT 0,
  float_test_correct INTEGER NOT NULL DEFAULT 0,
  float_test_total INTEGER NOT NULL DEFAULT 0,
  max_latency INTEGER,
  max_ram INTEGER,
  max_flash INTEGER,
  min_accuracy REAL,
  hypervolume REAL NOT NULL DEFAULT 0,
  layer_names TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_by_age ON jobs(created_ms, id);

CREATE TABLE requests (
  request_id TEXT PRIMARY KEY,
  job_id TEXT NOT NULL REFERENCES jobs(id),
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL REFERENCES jobs(id),
  purpose TEXT NOT NULL,
  payload BLOB NOT NULL,
  trials TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'done', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tasks_open ON tasks(state) WHERE state IN ('waiting', 'leased');

CREATE TABLE leases (
  id TEXT PRIMARY KEY,
  task_id INTEGER NOT NULL REFERENCES tasks(id),
  worker_id TEXT NOT NULL REFERENCES workers(id),
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'completed', 'lost')),
  granted_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX leases_active ON leases(state) WHERE state = 'active';
CREATE INDEX leases_by_worker ON leases(worker_id, granted_ms);

CREATE TABLE trials (
  job_id TEXT NOT NULL REFERENCES jobs(id),
  number INTEGER NOT NULL,
  scheme TEXT NOT NULL,
  samples INTEGER NOT NULL,
  label TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'finished', 'failed')),
  latency INTEGER NOT NULL,
  ram INTEGER NOT NULL,
  flash INTEGER NOT NULL,
  correct INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  kl REAL NOT NULL DEFAULT 0,
  quantized_digest TEXT NOT NULL DEFAULT '',
  test_correct INTEGER NOT NULL DEFAULT 0,
  test_total INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
  job_id TEXT NOT NULL,
  trial INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'failed')),
  error TEXT NOT NULL DEFAULT '',
  digest TEXT REFERENCES blobs(digest),
  self_test_host INTEGER NOT NULL DEFAULT 0,
  self_test_board INTEGER NOT NULL DEFAULT 0,
  measured_count INTEGER NOT NULL DEFAULT 0,
  measured_flash_bytes INTEGER NOT NULL DEFAULT 0,
  measured_ram_bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job_id, trial),
  FOREIGN KEY (job_id, trial) REFERENCES trials(job_id, number)
) STRICT, WITHOUT ROWID;
)sql";

// Several metrics. Values and intervals of top1 and top5 follow from the counts and stay NULL.
constexpr std::string_view kMetrics = R"sql(
ALTER TABLE datasets ADD COLUMN target_elements INTEGER;
ALTER TABLE datasets ADD COLUMN val_ones INTEGER;
ALTER TABLE datasets ADD COLUMN test_ones INTEGER;
ALTER TABLE datasets ADD COLUMN val_variance REAL;

ALTER TABLE calibrations ADD COLUMN metric TEXT NOT NULL DEFAULT 'top1';
ALTER TABLE calibrations ADD COLUMN float_val_value REAL;
ALTER TABLE calibrations ADD COLUMN float_val_low REAL;
ALTER TABLE calibrations ADD COLUMN float_val_high REAL;
ALTER TABLE calibrations ADD COLUMN float_test_value REAL;
ALTER TABLE calibrations ADD COLUMN float_test_low REAL;
ALTER TABLE calibrations ADD COLUMN float_test_high REAL;

ALTER TABLE jobs ADD COLUMN metric TEXT NOT NULL DEFAULT 'top1';
ALTER TABLE jobs ADD COLUMN float_val_value REAL;
ALTER TABLE jobs ADD COLUMN float_val_low REAL;
ALTER TABLE jobs ADD COLUMN float_val_high REAL;
ALTER TABLE jobs ADD COLUMN float_test_value REAL;
ALTER TABLE jobs ADD COLUMN float_test_low REAL;
ALTER TABLE jobs ADD COLUMN float_test_high REAL;
ALTER TABLE jobs ADD COLUMN max_error REAL;

ALTER TABLE trials ADD COLUMN metric TEXT NOT NULL DEFAULT 'top1';
ALTER TABLE trials ADD COLUMN value REAL;
ALTER TABLE trials ADD COLUMN low REAL;
ALTER TABLE trials ADD COLUMN high REAL;
ALTER TABLE trials ADD COLUMN test_value REAL;
ALTER TABLE trials ADD COLUMN test_low REAL;
ALTER TABLE trials ADD COLUMN test_high REAL;
)sql";

// What a submit says of a data set without reading it again. The number also keeps servers out that
// would write pages without checksums (ADR 7), which are made when a file is opened.
constexpr std::string_view kDatasetReports = R"sql(
ALTER TABLE datasets ADD COLUMN preparation_channels INTEGER;
ALTER TABLE datasets ADD COLUMN warnings TEXT NOT NULL DEFAULT '';
)sql";

// TorchScript files are converted before there is a job: tasks may have none.
constexpr std::string_view kConversions = R"sql(
CREATE TABLE conversions (
  file_digest TEXT NOT NULL REFERENCES blobs(digest),
  input_shape TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'failed')),
  error TEXT NOT NULL DEFAULT '',
  package_digest TEXT REFERENCES blobs(digest),
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (file_digest, input_shape)
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks_without_jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT REFERENCES jobs(id),
  purpose TEXT NOT NULL,
  payload BLOB NOT NULL,
  trials TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'done', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO tasks_without_jobs SELECT * FROM tasks;

CREATE TABLE leases_of_them (
  id TEXT PRIMARY KEY,
  task_id INTEGER NOT NULL REFERENCES tasks_without_jobs(id),
  worker_id TEXT NOT NULL REFERENCES workers(id),
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'completed', 'lost')),
  granted_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO leases_of_them SELECT * FROM leases ORDER BY rowid;

DROP TABLE leases;
DROP TABLE tasks;
ALTER TABLE tasks_without_jobs RENAME TO tasks;
ALTER TABLE leases_of_them RENAME TO leases;
CREATE INDEX tasks_open ON tasks(state) WHERE state IN ('waiting', 'leased');
CREATE INDEX leases_active ON leases(state) WHERE state = 'active';
CREATE INDEX leases_by_worker ON leases(worker_id, granted_ms);
)sql";

// What was evaluated once is answered from here in every job; and races.
constexpr std::string_view kEvaluations = R"sql(
CREATE TABLE evaluation_settings (
  id INTEGER PRIMARY KEY,
  content TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE evaluations (
  setting INTEGER NOT NULL REFERENCES evaluation_settings(id),
  scheme TEXT NOT NULL,
  metric TEXT NOT NULL,
  correct INTEGER NOT NULL,
  total INTEGER NOT NULL,
  value REAL,
  low REAL,
  high REAL,
  kl REAL NOT NULL,
  quantized_digest TEXT NOT NULL,
  PRIMARY KEY (setting, scheme)
) STRICT, WITHOUT ROWID;

ALTER TABLE trials ADD COLUMN floor REAL;
ALTER TABLE trials ADD COLUMN gave_up INTEGER NOT NULL DEFAULT 0;
)sql";

// Integers that have been learned, once for all jobs with the same network, data and recipe; and
// those that a job's evaluations use.
constexpr std::string_view kReconstructions = R"sql(
CREATE TABLE reconstructions (
  key TEXT PRIMARY KEY,
  digest TEXT NOT NULL REFERENCES blobs(digest)
) STRICT;

ALTER TABLE jobs ADD COLUMN reconstructions TEXT NOT NULL DEFAULT '';
)sql";

// Schemes that were trained, once for all jobs with the same network, data and recipe; and which
// trials are of trained ones.
constexpr std::string_view kTrainings = R"sql(
CREATE TABLE trainings (
  key TEXT PRIMARY KEY,
  reconstruction TEXT NOT NULL REFERENCES blobs(digest),
  state TEXT NOT NULL REFERENCES blobs(digest),
  epochs REAL NOT NULL,
  duration_ms INTEGER NOT NULL
) STRICT;

ALTER TABLE trials ADD COLUMN trained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trials ADD COLUMN trained_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE trials ADD COLUMN learned_digest TEXT NOT NULL DEFAULT '';
)sql";

constexpr std::array<std::string_view, 7> kMigrations{
    kFirst, kMetrics, kDatasetReports, kConversions, kEvaluations, kReconstructions, kTrainings};

}  // namespace

std::span<const std::string_view> Migrations() { return kMigrations; }

}  // namespace mico
