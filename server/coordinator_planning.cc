#include <algorithm>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "server/coordinator.h"
#include "server/limits.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

constexpr uint64_t kTrialsStride = 0x9E3779B97F4A7C15;
// Trials that a proposal may bring beyond what the workers need now: one for so many in the
// history, but never more than one transaction should carry.
constexpr size_t kHistoryPerTrial = 8;
constexpr int kMostTrialsAhead = 4096;
// Commas and line ends structure what we store of it.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// As it is stored: whoever gets the task adds the lease.
std::string PayloadOf(const Task& task) {
  return SerializeDeterministically(ToProto(TaskOrder{"", "", 0, task}));
}

bool IsOpen(const Job& job) { return !HasEnded(job.record.state); }

bool AnyInFlight(const SearchHistory& history) {
  return std::any_of(history.trials.begin(), history.trials.end(), [](const Trial& trial) {
    return trial.state == TrialState::kWaiting || trial.state == TrialState::kRunning;
  });
}

}  // namespace

void Coordinator::Save(Job& job, PendingChange& change) {
  ++job.version;
  for (std::string& warning : job.record.warnings) warning = OneLine(std::move(warning));
  change.Add(
      [record = job.record](StoreTransaction& transaction) { transaction.UpdateJob(record); });
}

void Coordinator::AddTask(OpenTask task, PendingChange& change) {
  task.id = ++last_task_id_;
  const TaskRecord record{task.id,
                          task.job,
                          std::string(ToString(task.purpose)),
                          PayloadOf(task.task),
                          task.trials,
                          TaskState::kWaiting,
                          0,
                          ""};
  change.Add([record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.AddTask(record, now);
  });
  queue_.Add({task.id, task.job, 0, IsUrgent(task.purpose)});
  if (IsOwn(task.purpose)) jobs_.at(task.job).own_tasks.insert(task.id);
  tasks_[task.id] = std::move(task);
}

void Coordinator::SavePayload(const OpenTask& task, PendingChange& change) {
  change.Add([id = task.id, payload = PayloadOf(task.task)](StoreTransaction& transaction) {
    transaction.UpdateTaskPayload(id, payload);
  });
}

void Coordinator::SetTaskState(const OpenTask& task, TaskState state, const std::string& error,
                               PendingChange& change) {
  TaskRecord record;
  record.id = task.id;
  record.state = state;
  record.attempts = task.attempts;
  record.error = error;
  change.Add([record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.UpdateTask(record, now);
  });
  const auto job = jobs_.find(task.job);
  if (job != jobs_.end()) ++job->second.version;
  if (state == TaskState::kWaiting || state == TaskState::kLeased) return;
  if (job != jobs_.end()) job->second.own_tasks.erase(task.id);
  if (const auto* train = std::get_if<TrainTask>(&task.task)) {
    DropCheckpoint(task.id, train->checkpoint, change);
  }
  tasks_.erase(record.id);  // `task` may live there
}

void Coordinator::AdvanceAll(PendingChange& change) {
  for (auto& [id, job] : jobs_) {
    if (IsOpen(job)) Advance(job, change);
  }
}

// Does everything that needs no thinking. What does is left to a plan.
void Coordinator::Advance(Job& job, PendingChange& change) {
  switch (job.record.state) {
    case JobState::kPreparing:
      OrderCalibration(job, change);
      OrderReconstructions(job, change);
      OrderProfile(job, change);
      OrderTrainings(job, change);
      break;
    case JobState::kSearching:
      OrderTrainings(job, change);
      if (job.failures_in_a_row >= options_.most_failures_in_a_row) {
        EndJob(job, JobState::kFailed,
               fmt::format("{} trials in a row failed, the last one: {}", job.failures_in_a_row,
                           job.trials.back().trial.error),
               change);
      } else if (!job.record.stop_reason.empty() && job.own_tasks.empty() &&
                 job.waits_for_training.empty()) {
        if (!Promote(job, change)) StartFinishing(job, change);
      }
      break;
    case JobState::kFinishing:
      if (job.own_tasks.empty()) Finish(job, change);
      break;
    default:
      break;
  }
  ++job.version;
}

void Coordinator::StartFinishing(Job& job, PendingChange& change) {
  const std::vector<int> front = FrontOf(job.trials, job.record.limits);
  if (front.empty()) {
    EndJob(job, JobState::kFailed, NothingFits(job.trials, job.record.limits), change);
    return;
  }
  std::set<int64_t> numbers;
  for (const int index : front) {
    numbers.insert(job.trials[static_cast<size_t>(index)].trial.number);
  }
  for (const TrialRecord& record : job.trials) {
    const Trial& trial = record.trial;
    if (!trial.label.empty() && trial.state == TrialState::kFinished && !trial.is_probe()) {
      numbers.insert(trial.number);
    }
  }
  job.record.state = JobState::kFinishing;
  Save(job, change);
  OrderEvaluations(job, {numbers.begin(), numbers.end()}, Purpose::kTest, change);
  if (job.own_tasks.empty()) Finish(job, change);
}

void Coordinator::Finish(Job& job, PendingChange& change) {
  job.record.hypervolume =
      HypervolumeOf(job.trials, job.record.limits, job.widest_cost.latency_cycles,
                    ErrorScaleOf(job.spec.metric, job.dataset));
  for (std::string& warning : FinalWarnings(job)) job.record.warnings.push_back(std::move(warning));
  EndJob(job, JobState::kDone, "", change);
}

void Coordinator::EndJob(Job& job, JobState state, const std::string& error,
                         PendingChange& change) {
  job.record.state = state;
  job.record.error = OneLine(error);
  job.record.ended = clock_.Now();
  spdlog::info("job {}: {}{}{}", job.record.id, ToString(state), error.empty() ? "" : ": ", error);
  Save(job, change);
  std::vector<int64_t> obsolete;
  for (const auto& [id, task] : tasks_) {
    const bool artifact = task.purpose == Purpose::kModels || task.purpose == Purpose::kArtifact;
    if (task.job == job.record.id && !artifact) obsolete.push_back(id);
  }
  bool others_may_wait = false;
  for (const int64_t id : obsolete) {
    if (const std::optional<Lease> lease = queue_.Remove(id)) {
      EndLease(lease->id, LeaseState::kLost, change);
    }
    const OpenTask task = tasks_.at(id);
    others_may_wait = others_may_wait || task.purpose == Purpose::kTrain;
    SetTaskState(task, TaskState::kCancelled, "", change);
  }
  // They order their own.
  if (others_may_wait) AdvanceAll(change);
}

// Called where nobody holds a reference to a job.
void Coordinator::DropEndedJobs() {
  std::vector<std::pair<TimePoint, std::string>> ended;
  for (const auto& [id, job] : jobs_) {
    if (!IsOpen(job) && !job.planning) ended.emplace_back(job.record.ended, id);
  }
  if (ended.size() <= options_.ended_jobs_kept) return;
  std::sort(ended.begin(), ended.end());
  ended.resize(ended.size() - options_.ended_jobs_kept);
  for (const auto& [time, id] : ended) jobs_.erase(id);
}

bool Coordinator::NeedsPlan(const Job& job, bool ahead) const {
  if (job.planning) return false;
  if (job.record.state == JobState::kPreparing) {
    return !job.record.calibration.empty() && !LacksReconstructions(job) &&
           MissingSignatures(*job.problem, *tables_.at(job.target.profile_key)).empty();
  }
  if (job.record.state != JobState::kSearching || !job.record.stop_reason.empty()) return false;
  if (job.results == job.results_at_empty_plan) return false;
  auto waiting = static_cast<int64_t>(job.waits_for_training.size());
  for (const int64_t task : job.own_tasks) {
    if (queue_.LeaseOfTask(task) == nullptr) ++waiting;
  }
  return ahead ? waiting < LiveEvaluators() / 2 : waiting == 0;
}

std::optional<Coordinator::Plan> Coordinator::NextPlan(bool ahead) {
  for (auto& [id, job] : jobs_) {
    if (NeedsPlan(job, ahead)) return CopyForPlan(job);
  }
  return std::nullopt;
}

Coordinator::Plan Coordinator::CopyForPlan(Job& job) {
  job.planning = true;
  Plan plan;
  plan.job = job.record.id;
  plan.prepare = job.record.state == JobState::kPreparing;
  plan.problem = job.problem;
  plan.table = tables_.at(job.target.profile_key);
  plan.space = job.space;
  plan.spec = job.spec;
  plan.error_unit = ErrorScaleOf(job.spec.metric, job.dataset).unit;
  plan.target = job.target;
  plan.history.budget = static_cast<double>(job.spec.trials);
  plan.history.trials.reserve(job.trials.size());
  for (const TrialRecord& record : job.trials) {
    if (!IsPromoted(record.trial)) plan.history.trials.push_back(record.trial);
  }
  plan.trials = job.trials.size();
  plan.results = job.results;
  // Proposing costs time in proportion to the history: a long one is asked for a share of its
  // length, so that the cost of all proposals together stays in proportion to the job.
  const int share =
      std::min<int>(kMostTrialsAhead, static_cast<int>(job.trials.size() / kHistoryPerTrial));
  plan.count = std::max(options_.probes_per_order * LiveEvaluators(), share);
  plan.most_full_trials = std::max(options_.trials_per_order * LiveEvaluators(), share);
  return plan;
}

Coordinator::PlanResult Coordinator::RunPlan(const Plan& plan) {
  return plan.prepare ? Prepare(plan) : Propose(plan);
}

Coordinator::PlanResult Coordinator::Prepare(const Plan& plan) {
  PlanResult result;
  auto space = std::make_shared<SearchSpace>(
      MakeSpace(*plan.problem, ProfiledCost(plan.problem, *plan.table)));
  space->seed = plan.spec.seed;
  space->error_unit = plan.error_unit;
  const absl::StatusOr<Cost> widest = space->cost(WidestScheme(*space));
  if (!widest.ok()) {
    result.status = widest.status();
    return result;
  }
  result.widest_cost = *widest;
  const Reference reference{widest->latency_cycles, widest->peak_ram_bytes, widest->flash_bytes,
                            std::nullopt};
  space->limits = ResolveLimits(plan.spec.limits, plan.target, reference);
  result.status = CheckFloors(*space, space->limits, plan.target);
  result.space = std::move(space);
  return result;
}

Coordinator::PlanResult Coordinator::Propose(const Plan& plan) {
  PlanResult result;
  const absl::StatusOr<std::unique_ptr<SearchStrategy>> strategy = MakeStrategy(plan.spec.strategy);
  if (!strategy.ok()) {
    result.status = strategy.status();
    return result;
  }
  const SearchSpace& space = *plan.space;
  Random random(plan.spec.seed + kTrialsStride * plan.history.trials.size());
  Proposal proposal = (*strategy)->Propose(space, plan.history, plan.count, random);
  // A relative value needs its reference, whatever the strategy thinks of it.
  const BitScheme widest = WidestScheme(space);
  const auto proposes_widest = [&widest](const Candidate& candidate) {
    return candidate.samples == 0 && candidate.scheme == widest;
  };
  if (NeedsReferenceValue(plan.spec.limits) && !plan.history.Has(widest, false) &&
      std::none_of(proposal.candidates.begin(), proposal.candidates.end(), proposes_widest)) {
    proposal.candidates.insert(proposal.candidates.begin(), {widest, 0, "uniform w8a8"});
  }
  int full_trials = 0;
  for (Candidate& candidate : proposal.candidates) {
    const bool free = candidate.label.empty() && candidate.samples == 0;
    // The rest is proposed again, by then from a longer history.
    if (free && ++full_trials > plan.most_full_trials) continue;
    TrialRecord record;
    Trial& trial = record.trial;
    trial.scheme = std::move(candidate.scheme);
    trial.samples = candidate.samples;
    trial.label = std::move(candidate.label);
    trial.floor = candidate.floor;
    trial.trained = plan.spec.qat.mode == QatMode::kAll && !trial.is_probe();
    const absl::StatusOr<Cost> cost = space.cost(trial.scheme);
    if (cost.ok()) trial.cost = *cost;
    if (!cost.ok() || (free && !space.limits.Admits(*cost))) {
      trial.state = TrialState::kFailed;
      trial.error =
          cost.ok() ? fmt::format("outside the limits: {}", DescribeViolations(trial, space.limits))
                    : std::string(cost.status().message());
    }
    result.trials.push_back(std::move(record));
  }
  if (result.trials.empty()) {
    result.finished_because = proposal.finished_because;
    if (result.finished_because.empty() && !AnyInFlight(plan.history)) {
      result.finished_because = "the strategy has nothing more to propose";
    }
  }
  return result;
}

bool Coordinator::ApplyPlan(const Plan& plan, PlanResult result, PendingChange& change) {
  const auto found = jobs_.find(plan.job);
  if (found == jobs_.end()) return false;
  Job& job = found->second;
  job.planning = false;
  // Copied before the state was read anew, or before the job was cancelled and taken up again: what
  // it says may have been done already.
  const bool outdated =
      plan.prepare ? job.record.state != JobState::kPreparing
                   : job.record.state != JobState::kSearching || plan.trials != job.trials.size();
  if (outdated) return false;
  if (!result.status.ok()) {
    EndJob(job, JobState::kFailed, std::string(result.status.message()), change);
    return true;
  }
  if (plan.prepare) {
    job.space = result.space;
    job.widest_cost = result.widest_cost;
    job.record.limits = result.space->limits;
    job.record.state = JobState::kSearching;
    Save(job, change);
    ResolveValueLimit(job, change);
    return true;
  }
  if (!result.trials.empty()) return AddTrials(job, std::move(result.trials), change);
  if (result.finished_because.empty()) {
    if (job.results == plan.results) job.results_at_empty_plan = job.results;
    return false;
  }
  job.record.stop_reason = OneLine(result.finished_because);
  Save(job, change);
  Advance(job, change);
  return true;
}

bool Coordinator::AddTrials(Job& job, std::vector<TrialRecord> trials, PendingChange& change) {
  std::vector<int64_t> waiting;
  for (TrialRecord& record : trials) {
    record.trial.number = static_cast<int64_t>(job.trials.size()) + 1;
    if (record.trial.state == TrialState::kWaiting) waiting.push_back(record.trial.number);
    if (record.trial.state == TrialState::kFailed) ++job.failures_in_a_row;
    change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
      transaction.AddTrial(id, record, now);
    });
    job.trials.push_back(std::move(record));
  }
  OrderTrials(job, waiting, change);
  Advance(job, change);
  return true;
}

void Coordinator::OrderTrials(Job& job, const std::vector<int64_t>& numbers,
                              PendingChange& change) {
  std::vector<int64_t> to_evaluate;
  for (const int64_t number : numbers) {
    if (NeedsTraining(job.trials[static_cast<size_t>(number - 1)].trial)) {
      job.waits_for_training.insert(number);
    } else {
      to_evaluate.push_back(number);
    }
  }
  OrderEvaluations(job, to_evaluate, Purpose::kSearch, change);
}

}  // namespace mico
