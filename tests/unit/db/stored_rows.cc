#include "tests/unit/db/stored_rows.h"

#include "SQLiteCpp/SQLiteCpp.h"
#include "base/status_macros.h"
#include "db/migrations.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr int kTargets = 20, kTasks = 200;

std::string TargetName(int i) { return fmt::format("target-{}", i); }
std::string LeaseId(int i) { return fmt::format("lease-{}", i); }
// Larger than a page, so that some pages hold nothing but a piece of it.
std::string Bytes(size_t bytes, int seed) {
  std::string text;
  while (text.size() < bytes) text += fmt::format("{}/{} ", seed, text.size());
  return text;
}

void AddJob(StoreTransaction& transaction) {
  const Digest digest = Digest::Of("x");
  transaction.AddBlob(digest, 1, TimePoint{});
  ModelRecord model;
  model.digest = model.package = digest;
  model.name = "model";
  transaction.AddModel(model);
  DatasetRecord dataset;
  dataset.digest = digest;
  transaction.AddDataset(dataset);
  transaction.AddCalibration({"key", digest, {}, {}});
  JobRecord job;
  job.id = "job";
  job.spec = Bytes(20'000, 1);
  job.target = Bytes(9'000, 2);
  job.model = job.dataset = job.package = digest;
  transaction.AddJob(job);
  transaction.AddRequest("request", "job", TimePoint{});
}

void AddFleet(StoreTransaction& transaction) {
  transaction.PutWorker({"worker", "name", "1.0", true, {"a", "b"}, TimePoint{}});
  transaction.PutLatencyTable("profile", Bytes(30'000, 3), 5, TimePoint{});
  for (int i = 0; i < kTargets; ++i) {
    transaction.PutTarget({TargetName(i), Bytes(3'000, i), TimePoint{}});
  }
  for (int i = 1; i <= kTasks; ++i) {
    TaskRecord task;
    task.id = i;
    task.job = "job";
    task.purpose = "search";
    task.payload = Bytes(500, i);
    task.trials = {i, i + 1};
    transaction.AddTask(task, TimePoint{});
    transaction.AddLease({LeaseId(i), i, "worker", 1, LeaseState::kActive}, TimePoint{});
  }
}

TrialRecord TrialOf(int number) {
  TrialRecord record;
  record.trial.number = number;
  record.trial.scheme = BitScheme::Parse(number % 2 == 0 ? "w8a8,w4a2" : "w2a4,w8a8").value();
  record.trial.label = fmt::format("trial {}", number);
  record.trial.cost = {number, int64_t{2} * number, int64_t{3} * number};
  record.trial.val = CountScore(Metric::kTop1, number, 10'000);
  record.trial.quantized_digest = Digest::Of(record.trial.label).hex();
  return record;
}

std::string Line(const TrialRecord& record) {
  const Trial& trial = record.trial;
  return fmt::format("{} {} {} {} {} {} {} {} {}\n", trial.number, trial.scheme.ToString(),
                     trial.label, trial.cost.latency_cycles, trial.cost.peak_ram_bytes,
                     trial.cost.flash_bytes, trial.val.correct, trial.val.total,
                     trial.quantized_digest);
}

std::string EveryRow(StoreView& view) {
  std::string text;
  for (const JobRecord& job : view.ListOpenJobs()) text += job.id + job.spec + job.target + "\n";
  for (const TrialRecord& trial : view.ListTrials("job", 0, INT64_MAX)) text += Line(trial);
  for (const ModelRecord& model : view.ListModels(0, 10)) text += model.name + model.digest.hex();
  text += view.FindRequest("request").value_or("no request");
  text += view.FindCalibration("key") ? "calibration\n" : "no calibration\n";
  text += view.FindLatencyTable("profile").value_or("no table");
  for (const TargetRecord& target : view.ListTargets()) text += target.name + target.announcement;
  for (const TaskRecord& task : view.ListOpenTasks()) {
    text += fmt::format("{} {} {}\n", task.id, task.payload, fmt::join(task.trials, ","));
  }
  for (const LeaseRecord& lease : view.ListActiveLeases()) text += lease.id + "\n";
  for (const WorkerRecord& worker : view.ListWorkers(TimePoint{})) text += worker.name;
  return text;
}

}  // namespace

TemporaryFolder FastFolder() {
  const std::filesystem::path memory = "/dev/shm";
  return TemporaryFolder::Create(std::filesystem::is_directory(memory) ? memory : "").value();
}

absl::Status WriteRows(Store& store, int trials) {
  return store.Write([trials](StoreTransaction& transaction) {
    AddJob(transaction);
    AddFleet(transaction);
    for (int number = 1; number <= trials; ++number) {
      transaction.AddTrial("job", TrialOf(number), TimePoint{});
      transaction.UpdateTrial("job", TrialOf(number), TimePoint{});
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::string> ReadRows(const std::filesystem::path& file) {
  StoreOptions options;
  options.readers = 1;
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(file, options));
  return store->Read(EveryRow);
}

void WriteOldDatabase(const std::filesystem::path& file, int trials) {
  const std::string living = file.string() + "-living", hex = Digest::Of("x").hex();
  {
    SQLite::Database old(living, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    old.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 20");
    old.exec(std::string(Migrations()[0]));
    old.exec("PRAGMA user_version = 1");
    old.exec(
        fmt::format("INSERT INTO blobs VALUES ('{0}', 1, 0);"
                    "INSERT INTO models VALUES ('{0}', '{0}', 'm', 1, 2, 3, '1', 0);"
                    "INSERT INTO datasets VALUES ('{0}', '', '', '1', 9, 4, 3, 10, 1, 0, 0);"
                    "INSERT INTO jobs (id, spec, target, model_digest, dataset_digest, "
                    "package_digest, state, created_ms) VALUES ('job', zeroblob(20000), x'00',"
                    " '{0}', '{0}', '{0}', 'searching', 0)",
                    hex));
    for (int number = 1; number <= trials; ++number) {
      // The last tenth stays in the journal.
      if (number == trials - trials / 10) old.exec("PRAGMA wal_autocheckpoint = 0");
      old.exec(
          fmt::format("INSERT INTO trials (job_id, number, scheme, samples, label, state, "
                      "latency, ram, flash, created_ms) VALUES ('job', {0}, 'w8a8', 0, "
                      "'trial {0}', 'finished', {0}, 2, 3, 0)",
                      number));
    }
    for (const char* part : {"", "-wal"}) {
      std::filesystem::copy_file(living + part, file.string() + part,
                                 std::filesystem::copy_options::overwrite_existing);
    }
  }
  std::filesystem::remove(living);
}

}  // namespace mico
