#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "db/records.h"
#include "proto/messages.h"
#include "search/strategy.h"
#include "server/metrics.h"
#include "server/problem.h"

namespace mico {

// What a task is for: decides what its result changes.
enum class Purpose {
  kCalibrate,    // for every job with the same network, data, samples and seed
  kReconstruct,  // likewise, once that is calibrated
  kProfile,      // for every job on the same profile key
  kSearch,       // trials on val
  kTrain,        // one trial, before it is evaluated
  kTest,         // the final front on test
  kModels,       // to have the blob of a trial that nobody uploaded
  kArtifact,
  kConvert,  // a network of a TorchScript file; there is no job yet
};
// Whether somebody waits for it in front of a terminal.
bool IsUrgent(Purpose purpose);
// Whether a job goes on only once it is done (Job::own_tasks).
bool IsOwn(Purpose purpose);
std::string_view ToString(Purpose purpose);
absl::StatusOr<Purpose> ParsePurpose(std::string_view text);

// A task that is waiting or leased.
struct OpenTask {
  int64_t id = 0;
  std::string job;  // empty: of none
  Purpose purpose = Purpose::kSearch;
  Task task;
  std::vector<int64_t> trials;  // numbers, parallel to the schemes of an evaluation
  int attempts = 0;
};

// One job in memory. Guarded by the Coordinator's mutex.
struct Job {
  JobRecord record;
  JobSpec spec;
  Target target;
  DatasetRecord dataset;
  std::shared_ptr<const Problem> problem;
  std::shared_ptr<const SearchSpace> space;  // once the target is profiled
  Cost widest_cost;                          // once space is there
  std::vector<TrialRecord> trials;           // number - 1 is the index
  std::set<int64_t> own_tasks;               // open ones of kSearch, kTrain and kTest
  // Numbers of trials to be trained that no own task trains: of the very same training somebody
  // else's is open, or it has just ended.
  std::set<int64_t> waits_for_training;
  bool planning = false;  // somebody does so, outside of the mutex
  int failures_in_a_row = 0;
  // Results so far in this process, and how many there were when the strategy last had nothing to
  // propose: it is not asked again before the next one.
  int64_t results = 0, results_at_empty_plan = -1;
  // What finished lately in this process, in units of all val images: for the rate.
  std::deque<std::pair<TimePoint, double>> recent;
  // Of all val images, when it was last measured; 0: not yet in this process.
  double evaluation_ms = 0.0;
  // Counts changes that a watcher wants to see.
  uint64_t version = 1;
};

// What a person wants to know of a job at one moment.
struct RunningTask {
  int64_t task = 0;
  std::string kind, worker_name;
  double progress = 0.0;
  int attempt = 1;
};
struct JobSnapshot {
  JobRecord record;
  JobSpec spec;
  Target target;
  uint64_t version = 0;
  std::string phase;
  double trials_spent = 0.0;
  int64_t trials_finished = 0;
  int64_t tasks_waiting = 0;
  std::vector<RunningTask> running;
  double seconds_left = 0.0, trials_per_second = 0.0;
  std::vector<TrialRecord> front, uniform;
  // Of the trials that were chosen to be trained, once the job has ended: how the order of their
  // values before agrees with that after, and how many they are.
  std::optional<double> rank_correlation;
  int64_t rank_pairs = 0;
};

// The part of a snapshot that follows from the record and the trials.
JobSnapshot Summarize(const JobRecord& record, const JobSpec& spec, const Target& target,
                      const std::vector<TrialRecord>& trials, int64_t val_samples);

// A trial that was chosen to be trained once the search was over: it counts for no budget, and no
// strategy sees it.
inline bool IsPromoted(const Trial& trial) { return trial.trained_from != 0; }
// To be trained, and not yet.
bool NeedsTraining(const Trial& trial);
// What an evaluation of the trial uses: what it has learned itself, or what its job's trials share.
std::vector<Digest> ReconstructionsOf(const JobRecord& record, const Trial& trial);

// Indices of the front, ascending latency.
std::vector<int> FrontOf(const std::vector<TrialRecord>& trials, const Limits& limits);

// The final figures: area under the reference (1.0, scale.ignorance).
double HypervolumeOf(const std::vector<TrialRecord>& trials, const Limits& limits,
                     int64_t widest_latency, const ErrorScale& scale);
// One line each: val better than test by more than chance explains.
std::vector<std::string> FinalWarnings(const Job& job);
// Why a job without any trial inside the limits failed, with the nearest one.
std::string NothingFits(const std::vector<TrialRecord>& trials, const Limits& limits);

}  // namespace mico
