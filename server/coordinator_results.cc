#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "proto/convert.h"
#include "quant/evaluation_version.h"
#include "server/coordinator.h"
#include "server/limits.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

// So many finished evaluations say how fast a job is.
constexpr size_t kRecentResults = 64;

absl::Status Mismatch(std::string_view what, std::string_view found, std::string_view needed) {
  return absl::InvalidArgumentError(fmt::format("{}: {}; needed: {}", what, found, needed));
}

}  // namespace

absl::Status Coordinator::CheckResult(const OpenTask& task, const TaskResult& result,
                                      const Delivery& delivery) const {
  // The result variant has one more alternative in front: none.
  if (result.result.index() != task.task.index() + 1) {
    return Mismatch("result", "of another kind", std::string(KindOf(task.task)));
  }
  if (!delivery.status.ok()) return delivery.status;
  if (const auto* profile = std::get_if<ProfileTask>(&task.task)) {
    if (delivery.table->profile_key != profile->profile_key) {
      return Mismatch("latency table's profile key", delivery.table->profile_key,
                      profile->profile_key);
    }
    for (const std::string& signature : profile->signatures) {
      if (!delivery.table->steps.contains(signature)) {
        return Mismatch("latency table", "no measurement", signature);
      }
    }
  }
  if (const auto* calibrate = std::get_if<CalibrateResult>(&result.result)) {
    const Metric wanted = std::get<CalibrateTask>(task.task).metric;
    for (const Score& score : {calibrate->float_val, calibrate->float_test}) {
      if (score.metric == wanted) continue;
      return Mismatch("calibration", fmt::format("metric {}", ToString(score.metric)),
                      ToString(wanted));
    }
  }
  if (const auto* evaluate = std::get_if<EvaluateResult>(&result.result)) {
    return CheckEvaluation(task, *evaluate, delivery);
  }
  return absl::OkStatus();
}

absl::Status Coordinator::CheckEvaluation(const OpenTask& task, const EvaluateResult& result,
                                          const Delivery& delivery) const {
  const EvaluateTask& order = std::get<EvaluateTask>(task.task);
  if (result.schemes.size() != order.schemes.size()) {
    return Mismatch("evaluation", fmt::format("{} results", result.schemes.size()),
                    fmt::format("{}", order.schemes.size()));
  }
  const auto job = jobs_.find(task.job);
  for (size_t i = 0; i < result.schemes.size(); ++i) {
    const SchemeResult& scheme = result.schemes[i];
    if (!scheme.error.empty()) continue;
    int64_t expected = order.samples;
    if (expected == 0 && job != jobs_.end()) {
      expected = order.split == Split::kTest ? job->second.dataset.test_samples
                                             : job->second.dataset.val_samples;
    }
    if (scheme.score.metric != order.metric) {
      return Mismatch("evaluation", fmt::format("metric {}", ToString(scheme.score.metric)),
                      ToString(order.metric));
    }
    if (scheme.gave_up && !order.floor.has_value()) {
      return Mismatch("evaluation", "given up", "all samples: the order has no floor");
    }
    const bool whole = scheme.score.total == expected;
    if (expected != 0 && !whole && !(scheme.gave_up && scheme.score.total < expected)) {
      return Mismatch("evaluation", fmt::format("{} samples", scheme.score.total),
                      fmt::format("{}", expected));
    }
    if (order.upload_models && !delivery.model_stored[i]) {
      return Mismatch("quantized model", scheme.quantized.hex() + " is not on this server",
                      "an upload before the result");
    }
  }
  return absl::OkStatus();
}

void Coordinator::ApplyResult(const OpenTask& task, const TaskResult& result,
                              const Delivery& delivery, PendingChange& change) {
  SetTaskState(task, TaskState::kDone, "", change);
  switch (task.purpose) {
    case Purpose::kCalibrate:
      ApplyCalibration(task, std::get<CalibrateResult>(result.result), delivery, change);
      break;
    case Purpose::kReconstruct:
      ApplyReconstruction(task, std::get<ReconstructResult>(result.result), delivery, change);
      break;
    case Purpose::kProfile:
      ApplyProfile(*delivery.table, change);
      break;
    case Purpose::kTrain:
      ApplyTraining(task, std::get<TrainResult>(result.result), delivery, change);
      break;
    case Purpose::kSearch:
      ApplySearch(task, std::get<EvaluateResult>(result.result), change);
      break;
    case Purpose::kTest:
      ApplyTest(task, std::get<EvaluateResult>(result.result), change);
      break;
    case Purpose::kModels:
      ApplyModels(task, std::get<EvaluateResult>(result.result), change);
      break;
    case Purpose::kArtifact:
      ApplyArtifact(task, std::get<ArtifactResult>(result.result), delivery, change);
      break;
    case Purpose::kConvert:
      ApplyConversion(task, delivery, change);
      break;
  }
}

void Coordinator::SetCalibration(Job& job, const CalibrationRecord& calibration,
                                 PendingChange& change) {
  job.record.calibration = calibration.digest;
  job.record.float_val = calibration.float_val;
  job.record.float_test = calibration.float_test;
  Save(job, change);
}

void Coordinator::ApplyCalibration(const OpenTask& task, const CalibrateResult& result,
                                   const Delivery& delivery, PendingChange& change) {
  const CalibrateTask& order = std::get<CalibrateTask>(task.task);
  for (auto& [id, job] : jobs_) {
    const bool waits = job.record.state == JobState::kPreparing &&
                       job.record.package == order.model && job.record.dataset == order.dataset;
    if (waits && job.dataset.input_non_negative != result.input_non_negative) {
      EndJob(job, JobState::kFailed,
             "the worker and the server disagree on whether inputs can be negative", change);
      AdvanceAll(change);
      return;
    }
  }
  JobSpec spec;
  spec.dataset = order.dataset;
  spec.calibration_samples = order.train_samples;
  spec.seed = order.seed;
  spec.metric = order.metric;
  const CalibrationRecord record{CalibrationKey(order.model, spec), result.calibration,
                                 result.float_val, result.float_test};
  calibrations_[record.key] = record;
  change.Add(
      [record, bytes = delivery.blob_bytes, now = clock_.Now()](StoreTransaction& transaction) {
        transaction.AddBlob(record.digest, bytes, now);
        transaction.AddCalibration(record);
      });
  AdvanceAll(change);
}

void Coordinator::ApplyReconstruction(const OpenTask& task, const ReconstructResult& result,
                                      const Delivery& delivery, PendingChange& change) {
  const std::string key = ReconstructionKey(std::get<ReconstructTask>(task.task));
  reconstructions_[key] = result.reconstruction;
  change.Add([key, digest = result.reconstruction, bytes = delivery.blob_bytes,
              now = clock_.Now()](StoreTransaction& transaction) {
    transaction.AddBlob(digest, bytes, now);
    transaction.AddReconstruction(key, digest);
  });
  AdvanceAll(change);
}

void Coordinator::ApplyProfile(const LatencyTable& measured, PendingChange& change) {
  const std::string& key = measured.profile_key;
  auto merged = std::make_shared<LatencyTable>();
  if (const auto known = tables_.find(key); known != tables_.end()) *merged = *known->second;
  merged->profile_key = key;
  merged->Merge(measured);
  tables_[key] = merged;
  change.Add([merged, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.PutLatencyTable(merged->profile_key, Serialize(*merged),
                                static_cast<int64_t>(merged->steps.size()), now);
  });
  AdvanceAll(change);
}

void Coordinator::ApplySearch(const OpenTask& task, const EvaluateResult& result,
                              PendingChange& change) {
  const auto found = jobs_.find(task.job);
  if (found == jobs_.end() || HasEnded(found->second.record.state)) return;
  Job& job = found->second;
  double units = 0.0;
  std::chrono::milliseconds spent{0};
  for (size_t i = 0; i < task.trials.size(); ++i) {
    const SchemeResult& scheme = result.schemes[i];
    spent += scheme.evaluation;
    if (!scheme.error.empty()) {
      FailTrial(job, task.trials[i], scheme.error, change);
      continue;
    }
    const EvaluationRecord evaluation = EvaluationOf(job, task.trials[i], Split::kVal, scheme);
    RecordTrial(job, task.trials[i], evaluation, scheme.gave_up, change);
    if (!scheme.gave_up) Remember(evaluation, change);
    const Trial& trial = job.trials[static_cast<size_t>(task.trials[i] - 1)].trial;
    units += trial.is_probe()
                 ? static_cast<double>(trial.samples) / static_cast<double>(job.dataset.val_samples)
                 : 1.0;
  }
  ++job.results;
  if (units > 0) job.evaluation_ms = static_cast<double>(spent.count()) / units;
  job.recent.emplace_back(clock_.Now(), units);
  if (job.recent.size() > kRecentResults) job.recent.pop_front();
  ResolveValueLimit(job, change);
  Advance(job, change);
}

void Coordinator::RecordTrial(Job& job, int64_t number, const EvaluationRecord& evaluation,
                              bool gave_up, PendingChange& change) {
  TrialRecord& record = job.trials[static_cast<size_t>(number - 1)];
  record.trial.state = TrialState::kFinished;
  record.trial.val = evaluation.score;
  record.trial.gave_up = gave_up;
  record.trial.divergence = evaluation.divergence;
  record.trial.quantized_digest = evaluation.quantized.hex();
  job.failures_in_a_row = 0;
  change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.UpdateTrial(id, record, now);
  });
}

// The test score of a trial whose model was quantized to the same integers.
bool Coordinator::RecordTest(Job& job, int64_t number, const EvaluationRecord& evaluation,
                             PendingChange& change) {
  TrialRecord& record = job.trials[static_cast<size_t>(number - 1)];
  if (evaluation.quantized.hex() != record.trial.quantized_digest) return false;
  record.test = evaluation.score;
  change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.UpdateTrial(id, record, now);
  });
  return true;
}

EvaluationRecord Coordinator::EvaluationOf(const Job& job, int64_t number, Split split,
                                           const SchemeResult& result) const {
  const Trial& trial = job.trials[static_cast<size_t>(number - 1)].trial;
  const int64_t samples = split == Split::kTest ? 0 : trial.samples;
  std::string setting =
      fmt::format("{}/{}/{}/{}/{}/{}/{}", job.record.package.hex(), job.record.calibration.hex(),
                  job.record.dataset.hex(), ToString(split), samples, ToString(job.spec.metric),
                  kEvaluationVersion);
  for (const Digest& digest : ReconstructionsOf(job.record, trial)) {
    setting += fmt::format("/{}", digest.hex());
  }
  return {std::move(setting), trial.scheme, result.score, result.divergence, result.quantized};
}

void Coordinator::Remember(const EvaluationRecord& evaluation, PendingChange& change) {
  change.Add(
      [evaluation](StoreTransaction& transaction) { transaction.AddEvaluation(evaluation); });
}

// Takes the result of a trial from the store, if any job has had it; false: it must be evaluated.
bool Coordinator::TakeKnown(Job& job, int64_t number, Purpose purpose, PendingChange& change) {
  const Split split = purpose == Purpose::kTest ? Split::kTest : Split::kVal;
  const EvaluationRecord question = EvaluationOf(job, number, split, {});
  const absl::StatusOr<std::optional<EvaluationRecord>> known = store_.Read(
      [&](StoreView& view) { return view.FindEvaluation(question.setting, question.scheme); });
  // What cannot be read is evaluated again.
  if (!known.ok() || !known->has_value()) return false;
  if (purpose == Purpose::kTest) {
    return blobs_.Has((*known)->quantized) && RecordTest(job, number, **known, change);
  }
  RecordTrial(job, number, **known, false, change);
  ++job.results;
  ResolveValueLimit(job, change);
  return true;
}

// A value relative to the widest network's is known once that network has been evaluated.
void Coordinator::ResolveValueLimit(Job& job, PendingChange& change) {
  Limits& limits = job.record.limits;
  if (job.space == nullptr || !NeedsReferenceValue(job.spec.limits)) return;
  if (limits.min_accuracy || limits.max_error) return;
  const BitScheme widest = WidestScheme(*job.space);
  for (const TrialRecord& record : job.trials) {
    const Trial& trial = record.trial;
    if (trial.is_probe() || trial.state != TrialState::kFinished || trial.scheme != widest)
      continue;
    const Reference reference{.value = trial.val.value};
    const Limits resolved = ResolveLimits(job.spec.limits, job.target, reference);
    limits.min_accuracy = resolved.min_accuracy;
    limits.max_error = resolved.max_error;
    auto space = std::make_shared<SearchSpace>(*job.space);
    space->limits = job.record.limits;
    job.space = std::move(space);
    Save(job, change);
    return;
  }
}

void Coordinator::FailTrial(Job& job, int64_t number, const std::string& error,
                            PendingChange& change) {
  TrialRecord& record = job.trials[static_cast<size_t>(number - 1)];
  record.trial.state = TrialState::kFailed;
  record.trial.error = error;
  ++job.failures_in_a_row;
  ++job.results;
  change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.UpdateTrial(id, record, now);
  });
}

void Coordinator::ApplyTest(const OpenTask& task, const EvaluateResult& result,
                            PendingChange& change) {
  const auto found = jobs_.find(task.job);
  if (found == jobs_.end() || HasEnded(found->second.record.state)) return;
  Job& job = found->second;
  for (size_t i = 0; i < task.trials.size(); ++i) {
    const SchemeResult& scheme = result.schemes[i];
    const int64_t number = task.trials[i];
    if (!scheme.error.empty()) {
      job.record.warnings.push_back(fmt::format("trial {} on test: {}", number, scheme.error));
      continue;
    }
    const EvaluationRecord evaluation = EvaluationOf(job, number, Split::kTest, scheme);
    if (RecordTest(job, number, evaluation, change)) {
      Remember(evaluation, change);
      continue;
    }
    job.record.warnings.push_back(fmt::format(
        "trial {}: quantized to {} on val and to {} on test; its test score is left out", number,
        job.trials[static_cast<size_t>(number - 1)].trial.quantized_digest,
        scheme.quantized.hex()));
  }
  Advance(job, change);
}

void Coordinator::ApplyModels(const OpenTask& task, const EvaluateResult& result,
                              PendingChange& change) {
  const SchemeResult& scheme = result.schemes.front();
  const absl::StatusOr<std::optional<JobRecord>> record =
      store_.Read([&](StoreView& view) { return view.FindJob(task.job); });
  const absl::StatusOr<std::optional<TrialRecord>> trial =
      store_.Read([&](StoreView& view) { return view.FindTrial(task.job, task.trials.front()); });
  if (!record.ok() || !trial.ok() || !record->has_value() || !trial->has_value()) {
    FailArtifact(task.job, task.trials.front(), "its trial cannot be read", change);
    return;
  }
  if (!scheme.error.empty() || scheme.quantized.hex() != (*trial)->trial.quantized_digest) {
    FailArtifact(task.job, task.trials.front(),
                 scheme.error.empty()
                     ? fmt::format("quantized again to {}, the trial was {}",
                                   scheme.quantized.hex(), (*trial)->trial.quantized_digest)
                     : scheme.error,
                 change);
    return;
  }
  AddArtifactTask(**record, **trial, change);
}

void Coordinator::ApplyArtifact(const OpenTask& task, const ArtifactResult& result,
                                const Delivery& delivery, PendingChange& change) {
  const ArtifactRecord record{task.job,
                              task.trials.front(),
                              ArtifactState::kReady,
                              "",
                              result.artifact,
                              result.self_test_host,
                              result.self_test_board,
                              result.measured_count,
                              result.measured_flash_bytes,
                              result.measured_ram_bytes};
  change.Add(
      [record, bytes = delivery.blob_bytes, now = clock_.Now()](StoreTransaction& transaction) {
        transaction.AddBlob(record.digest, bytes, now);
        transaction.PutArtifact(record);
      });
}

void Coordinator::FailArtifact(const std::string& job, int64_t trial, const std::string& error,
                               PendingChange& change) {
  ArtifactRecord record;
  record.job = job;
  record.trial = trial;
  record.state = ArtifactState::kFailed;
  record.error = error;
  change.Add([record](StoreTransaction& transaction) { transaction.PutArtifact(record); });
}

void Coordinator::GiveUp(const OpenTask& task, const std::string& error, PendingChange& change) {
  spdlog::warn("task {} ({}){}{} is given up: {}", task.id, ToString(task.purpose),
               task.job.empty() ? "" : " of job ", task.job, error);
  SetTaskState(task, TaskState::kFailed, error, change);
  const auto found = jobs_.find(task.job);
  Job* job = found == jobs_.end() ? nullptr : &found->second;
  switch (task.purpose) {
    case Purpose::kCalibrate:
    case Purpose::kReconstruct:
    case Purpose::kProfile:
      if (job != nullptr && !HasEnded(job->record.state)) {
        EndJob(*job, JobState::kFailed, fmt::format("{}: {}", ToString(task.purpose), error),
               change);
      }
      // Others that waited for the same order their own.
      AdvanceAll(change);
      break;
    case Purpose::kSearch:
      if (job == nullptr || HasEnded(job->record.state)) return;
      for (const int64_t number : task.trials) FailTrial(*job, number, error, change);
      Advance(*job, change);
      break;
    case Purpose::kTrain:
      if (job != nullptr && !HasEnded(job->record.state)) {
        FailTrial(*job, task.trials.front(), error, change);
      }
      AdvanceAll(change);
      break;
    case Purpose::kTest:
      if (job == nullptr || HasEnded(job->record.state)) return;
      job->record.warnings.push_back(fmt::format("a part of the front on test: {}", error));
      Advance(*job, change);
      break;
    case Purpose::kModels:
    case Purpose::kArtifact:
      FailArtifact(task.job, task.trials.front(), error, change);
      break;
    case Purpose::kConvert:
      EndConversion(task, ConversionState::kFailed, error, {}, change);
      break;
  }
}

}  // namespace mico
