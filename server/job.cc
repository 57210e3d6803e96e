#include "server/job.h"

#include <array>

#include "fmt/format.h"
#include "search/pareto_front.h"
#include "server/limits.h"

namespace mico {
namespace {

constexpr std::array<std::string_view, 8> kPurposes{
    "calibrate", "reconstruct", "profile", "search", "test", "models", "artifact", "convert"};

std::string PhaseOf(const JobRecord& record, const JobSpec& spec) {
  switch (record.state) {
    case JobState::kPreparing:
      if (record.calibration.empty()) return "calibrating";
      return spec.ptq == PtqMode::kReconstruct && record.reconstructions.empty()
                 ? "learning integers"
                 : "profiling the target";
    case JobState::kSearching:
      return "searching";
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

}  // namespace

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
  snapshot.phase = PhaseOf(record, spec);
  for (const TrialRecord& entry : trials) {
    const Trial& trial = entry.trial;
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
