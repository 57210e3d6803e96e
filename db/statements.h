#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/records.h"

namespace SQLite {
class Database;
class Statement;
}  // namespace SQLite

namespace mico {

// One connection with its prepared statements. Lives inside Store.
class DatabaseConnection;

// What can be asked of the database. Valid only during the call of Store that handed it out; throws
// SQLite's exceptions, which Store catches.
class StoreView {
 public:
  explicit StoreView(DatabaseConnection& connection) : connection_(connection) {}

  bool HasBlob(const Digest& digest);
  BlobTotals TotalBlobs();
  // SQLite's quick_check of the whole file: "ok", or what is wrong, a damaged page by its number.
  // Reads everything.
  std::string QuickCheck();

  std::optional<ModelRecord> FindModel(const Digest& digest);
  // Newest first, starting after the one that the previous page ended with.
  std::vector<ModelRecord> ListModels(int64_t offset, int most);
  std::optional<ConversionRecord> FindConversion(const Digest& file,
                                                 const std::string& input_shape);
  std::optional<DatasetRecord> FindDataset(const Digest& digest);
  // Digests that begin with `prefix`, at most `most`.
  std::vector<std::string> FindDatasetDigests(const std::string& prefix, int most);
  std::vector<DatasetRecord> ListDatasets(int64_t offset, int most);

  std::vector<WorkerRecord> ListWorkers(TimePoint seen_since);
  std::vector<TargetRecord> ListTargets();
  std::optional<std::string> FindLatencyTable(const std::string& profile_key);
  std::optional<CalibrationRecord> FindCalibration(const std::string& key);
  // What AddReconstruction was told.
  std::optional<Digest> FindReconstruction(const std::string& key);
  std::optional<TrainingRecord> FindTraining(const std::string& key);

  std::optional<JobRecord> FindJob(const std::string& id);
  // Ids that begin with `prefix`, at most `most`.
  std::vector<std::string> FindJobIds(const std::string& prefix, int most);
  std::optional<std::string> FindRequest(const std::string& request_id);
  // Newest first, after (created, id) of the last one seen.
  std::vector<JobRecord> ListJobs(TimePoint before, const std::string& before_id, int most);
  std::vector<JobRecord> ListOpenJobs();

  // By number, after `after`.
  std::vector<TrialRecord> ListTrials(const std::string& job, int64_t after, int64_t most);
  std::optional<TrialRecord> FindTrial(const std::string& job, int64_t number);
  std::optional<EvaluationRecord> FindEvaluation(const std::string& setting,
                                                 const BitScheme& scheme);

  std::vector<TaskRecord> ListOpenTasks();
  // 0 if there is none.
  int64_t LargestTaskId();
  std::vector<LeaseRecord> ListActiveLeases();
  // What each worker seen since then completed last.
  std::vector<LeaseRecord> ListLastCompletedLeases(TimePoint since);
  std::optional<ArtifactRecord> FindArtifact(const std::string& job, int64_t trial);

 protected:
  DatabaseConnection& connection_;
};

// A change in the making: all of it is on disk after the commit, or nothing is.
class StoreTransaction : public StoreView {
 public:
  using StoreView::StoreView;

  // Known already: unchanged (blobs, models, data sets, calibrations never change).
  void AddBlob(const Digest& digest, int64_t bytes, TimePoint now);
  void AddModel(const ModelRecord& model);
  void AddDataset(const DatasetRecord& dataset);
  // State, error and package change; the rest is written once.
  void PutConversion(const ConversionRecord& conversion);
  void AddCalibration(const CalibrationRecord& calibration);
  // `key`: what its bytes depend on.
  void AddReconstruction(const std::string& key, const Digest& digest);
  // The latest counts: who trains again has lost the blobs of before.
  void PutTraining(const TrainingRecord& training);
  // Takes a checkpoint of the task out of the blobs, unless other rows refer to it or it is older
  // than the task: then it was uploaded for something else.
  void ForgetCheckpoint(const Digest& checkpoint, int64_t task);

  void PutWorker(const WorkerRecord& worker);
  void PutTarget(const TargetRecord& target);
  void PutLatencyTable(const std::string& profile_key, const std::string& content,
                       int64_t signatures, TimePoint now);

  void AddJob(const JobRecord& job);
  // All but id, spec, target and digests.
  void UpdateJob(const JobRecord& job);
  void AddRequest(const std::string& request_id, const std::string& job, TimePoint now);

  void AddTrial(const std::string& job, const TrialRecord& trial, TimePoint now);
  // State, what was learned, results and error.
  void UpdateTrial(const std::string& job, const TrialRecord& trial, TimePoint now);
  // The first answer stays.
  void AddEvaluation(const EvaluationRecord& evaluation);

  void AddTask(const TaskRecord& task, TimePoint now);
  // State, attempts and error.
  void UpdateTask(const TaskRecord& task, TimePoint now);
  void UpdateTaskPayload(int64_t id, const std::string& payload);
  void AddLease(const LeaseRecord& lease, TimePoint now);
  void EndLease(const std::string& lease, LeaseState state, TimePoint now);
  void PutArtifact(const ArtifactRecord& artifact);
};

}  // namespace mico
