#include "server/job.h"

#include <array>

#include "fmt/format.h"
#include "search/pareto_front.h"
#include "search/promotion.h"
#include "server/limits.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 9> kPurposes{"calibrate", "reconstruct", "profile",
                                                    "search",    "train",       "test",
                                                    "models",    "artifact",    "convert"};
// Of fewer pairs a rank correlation says nothing.
constexpr size_t kLeastPairs = 3;

std::string PhaseOfSearch(const std::vector<TrialRecord>& trials) {
  int64_t trained = 0, all = 0;
  for (const TrialRecord& record : trials) {
    if (!record.trial.trained) continue;
    ++all;
    if (!NeedsTraining(record.trial)) ++trained;
  }
  return trained == all ? "searching" : fmt::format("training {} of {}", trained + 1, all);
}

std::string PhaseOf(const JobRecord& record, const JobSpec& spec,
                    const std::vector<TrialRecord>& trials) {
  switch (record.state) {
    case JobState::kPreparing:
      if (record.calibration.empty()) return "calibrating";
      return spec.ptq == PtqMode::kReconstruct && record.reconstructions.empty()
                 ? "learning integers"
                 : "profiling the target";
    case JobState::kSearching:
      return PhaseOfSearch(trials);
    case JobState::kFinishing:
      return "measuring the front on test";
    case JobState::kDone:
      return "done";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "";
}

void AddRankCorrelation(const std::vector<TrialRecord>& trials, JobSnapshot& snapshot) {
  std::vector<double> before, after;
  for (const TrialRecord& record : trials) {
    const Trial& trial = record.trial;
    if (!IsPromoted(trial) || trial.state != TrialState::kFinished) continue;
    before.push_back(trials[static_cast<size_t>(trial.trained_from - 1)].trial.val.value);
    after.push_back(trial.val.value);
  }
  if (before.size() < kLeastPairs) return;
  snapshot.rank_correlation = RankCorrelation(before, after);
  snapshot.rank_pairs = static_cast<int64_t>(before.size());
}

}  // namespace

bool NeedsTraining(const Trial& trial) {
  return trial.trained && trial.state == TrialState::kWaiting && trial.learned_digest.empty();
}

std::vector<Digest> ReconstructionsOf(const JobRecord& record, const Trial& trial) {
  if (!trial.trained) return record.reconstructions;
  const absl::StatusOr<Digest> learned = Digest::FromHex(trial.learned_digest);
  return learned.ok() ? std::vector<Digest>{*learned} : std::vector<Digest>();
}

bool IsOwn(Purpose purpose) {
  return purpose == Purpose::kSearch || purpose == Purpose::kTrain || purpose == Purpose::kTest;
}

bool IsUrgent(Purpose purpose) {
  return purpose == Purpose::kModels || purpose == Purpose::kArtifact ||
         purpose == Purpose::kConvert;
}

std::string_view ToString(Purpose purpose) { return kPurposes[static_cast<size_t>(purpose)]; }

absl::StatusOr<Purpose> ParsePurpose(std::string_view text) {
  for (size_t i = 0; i < kPurposes.size(); ++i) {
    if (kPurposes[i] == text) return static_cast<Purpose>(i);
  }
  return absl::DataLossError(fmt::format("task purpose '{}'", text));
}

std::vector<int> FrontOf(const std::vector<TrialRecord>& trials, const Limits& limits) {
  FrontBuilder front(limits);
  for (size_t i = 0; i < trials.size(); ++i) front.Add(trials[i].trial, static_cast<int>(i));
  return front.Indices();
}

JobSnapshot Summarize(const JobRecord& record, const JobSpec& spec, const Target& target,
                      const std::vector<TrialRecord>& trials, int64_t val_samples) {
  JobSnapshot snapshot;
  snapshot.record = record;
  snapshot.spec = spec;
  snapshot.target = target;
  snapshot.phase = PhaseOf(record, spec, trials);
  for (const TrialRecord& entry : trials) {
    const Trial& trial = entry.trial;
    if (IsPromoted(trial)) continue;
    const bool finished = trial.state == TrialState::kFinished;
    if (finished || trial.state == TrialState::kFailed) {
      snapshot.trials_spent +=
          trial.is_probe() && val_samples > 0
              ? static_cast<double>(trial.samples) / static_cast<double>(val_samples)
              : 1.0;
    }
    if (finished && !trial.is_probe()) ++snapshot.trials_finished;
    if (finished && !trial.label.empty()) snapshot.uniform.push_back(entry);
  }
  for (const int index : FrontOf(trials, record.limits)) {
    snapshot.front.push_back(trials[static_cast<size_t>(index)]);
  }
  if (HasEnded(record.state)) AddRankCorrelation(trials, snapshot);
  return snapshot;
}

double HypervolumeOf(const std::vector<TrialRecord>& trials, const Limits& limits,
                     int64_t widest_latency, const ErrorScale& scale) {
  std::vector<Objective> points;
  for (const int index : FrontOf(trials, limits)) {
    const Trial& trial = trials[static_cast<size_t>(index)].trial;
    points.push_back({static_cast<double>(trial.cost.latency_cycles) /
                          static_cast<double>(std::max<int64_t>(widest_latency, 1)),
                      trial.val.error() / scale.unit});
  }
  return Hypervolume(points, {1.0, scale.ignorance});
}

std::vector<std::string> FinalWarnings(const Job& job) {
  std::vector<std::string> warnings;
  const Score& float_val = job.record.float_val;
  const Score& float_test = job.record.float_test;
  if (ExceedsByMoreThanChance(float_val, float_test)) {
    warnings.push_back(fmt::format(
        "the float network has {} {} on val and {} on test, more apart than chance explains: was "
        "it trained on the val samples?",
        ToString(float_val.metric), FormatValue(float_val), FormatValue(float_test)));
  }
  int exceeding = 0;
  for (const int index : FrontOf(job.trials, job.record.limits)) {
    const TrialRecord& record = job.trials[static_cast<size_t>(index)];
    if (ExceedsByMoreThanChance(record.trial.val, record.test)) ++exceeding;
  }
  if (exceeding > 0) {
    warnings.push_back(fmt::format(
        "{} point(s) of the front: val is better than test by more than the 95 % interval",
        exceeding));
  }
  return warnings;
}

std::string NothingFits(const std::vector<TrialRecord>& trials, const Limits& limits) {
  const Trial* nearest = nullptr;
  for (const TrialRecord& record : trials) {
    const Trial& trial = record.trial;
    if (trial.is_probe() || trial.state != TrialState::kFinished) continue;
    if (nearest == nullptr || Violation(trial, limits) < Violation(*nearest, limits)) {
      nearest = &trial;
    }
  }
  if (nearest == nullptr) {
    std::string last = "none was tried";
    for (const TrialRecord& record : trials) {
      if (!record.trial.error.empty()) last = record.trial.error;
    }
    return fmt::format("no scheme could be evaluated; the last error: {}", last);
  }
  return fmt::format("nothing fits the limits; nearest: trial {} ({}) with {}", nearest->number,
                     nearest->scheme.ToString(), DescribeViolations(*nearest, limits));
}

}  // namespace mico
