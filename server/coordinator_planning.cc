#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/convert.h"
#include "quant/evaluation_version.h"
#include "quant/quantized_graph.h"
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
// Of train, that integers are learned from.
constexpr int64_t kReconstructionSamples = 1024;
// Wider weights than these gain nothing from learned rounding (docs/benchmarks.md).
constexpr int kWidestReconstructed = 4;

// Commas and line ends structure what we store of it.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

bool IsOpen(const Job& job) { return !HasEnded(job.record.state); }

bool AnyInFlight(const SearchHistory& history) {
  return std::any_of(history.trials.begin(), history.trials.end(), [](const Trial& trial) {
    return trial.state == TrialState::kWaiting || trial.state == TrialState::kRunning;
  });
}

}  // namespace

std::string CalibrationKey(const Digest& package, const JobSpec& spec) {
  // What calibrations contain has changed once (docs/formats/calibration.md): older ones are not
  // found again.
  std::string key = fmt::format("{}/{}/{}/{}/2", package.hex(), spec.dataset.hex(),
                                spec.calibration_samples, spec.seed);
  // As it was before there were several metrics.
  if (spec.metric == Metric::kTop1) return key;
  return fmt::format("{}/{}", key, ToString(spec.metric));
}

std::string ReconstructionKey(const ReconstructTask& task) {
  // The last part is the recipe's version: of what a worker does with these.
  return fmt::format("{}/{}/{}/w{}a{}/{}/{}/1", task.calibration.hex(), task.model.hex(),
                     task.dataset.hex(), task.bits.weight_bits, task.bits.input_bits,
                     task.train_samples, task.seed);
}

std::vector<ReconstructTask> ReconstructionsFor(const JobRecord& record, const JobSpec& spec,
                                                const Problem& problem) {
  std::vector<ReconstructTask> tasks;
  if (spec.ptq != PtqMode::kReconstruct || record.calibration.empty()) return tasks;
  const std::vector<int> least = LeastInputBits(problem.graph, problem.input_non_negative);
  for (const int weight_bits : problem.target.weight_bits) {
    if (weight_bits > kWidestReconstructed) continue;
    for (const int input_bits : problem.target.activation_bits) {
      // The uniform network of the pair must exist.
      if (std::any_of(least.begin(), least.end(), [&](int bits) { return bits > input_bits; })) {
        continue;
      }
      tasks.push_back({record.package,
                       record.dataset,
                       record.calibration,
                       {weight_bits, input_bits},
                       kReconstructionSamples,
                       spec.seed});
    }
  }
  return tasks;
}

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
                          SerializeDeterministically(ToProto(TaskOrder{"", "", 0, task.task})),
                          task.trials,
                          TaskState::kWaiting,
                          0,
                          ""};
  change.Add([record, now = clock_.Now()](StoreTransaction& transaction) {
    transaction.AddTask(record, now);
  });
  queue_.Add({task.id, task.job, 0, IsUrgent(task.purpose)});
  if (task.purpose == Purpose::kSearch || task.purpose == Purpose::kTest) {
    jobs_.at(task.job).own_tasks.insert(task.id);
  }
  tasks_[task.id] = std::move(task);
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
      break;
    case JobState::kSearching:
      if (job.failures_in_a_row >= options_.most_failures_in_a_row) {
        EndJob(job, JobState::kFailed,
               fmt::format("{} trials in a row failed, the last one: {}", job.failures_in_a_row,
                           job.trials.back().trial.error),
               change);
      } else if (!job.record.stop_reason.empty() && job.own_tasks.empty()) {
        StartFinishing(job, change);
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

void Coordinator::OrderCalibration(Job& job, PendingChange& change) {
  if (!job.record.calibration.empty()) return;
  const auto known = calibrations_.find(CalibrationKey(job.record.package, job.spec));
  if (known != calibrations_.end()) {
    SetCalibration(job, known->second, change);
    return;
  }
  const CalibrateTask wanted{job.record.package, job.record.dataset, job.spec.calibration_samples,
                             job.spec.seed, job.spec.metric};
  for (const auto& [id, task] : tasks_) {
    const auto* calibrate = std::get_if<CalibrateTask>(&task.task);
    if (calibrate != nullptr && *calibrate == wanted) return;
  }
  AddTask({0, job.record.id, Purpose::kCalibrate, wanted, {}, 0}, change);
}

void Coordinator::OrderReconstructions(Job& job, PendingChange& change) {
  if (!job.record.reconstructions.empty()) return;
  std::vector<Digest> known;
  const std::vector<ReconstructTask> wanted =
      ReconstructionsFor(job.record, job.spec, *job.problem);
  for (const ReconstructTask& task : wanted) {
    const auto found = reconstructions_.find(ReconstructionKey(task));
    if (found != reconstructions_.end()) {
      known.push_back(found->second);
      continue;
    }
    const bool is_ordered = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
      const auto* open = std::get_if<ReconstructTask>(&entry.second.task);
      return open != nullptr && *open == task;
    });
    if (!is_ordered) AddTask({0, job.record.id, Purpose::kReconstruct, task, {}, 0}, change);
  }
  if (wanted.empty() || known.size() < wanted.size()) return;
  job.record.reconstructions = std::move(known);
  Save(job, change);
}

// Whether evaluations would have to do without some that the job wants.
bool Coordinator::LacksReconstructions(const Job& job) {
  return job.record.reconstructions.empty() &&
         !ReconstructionsFor(job.record, job.spec, *job.problem).empty();
}

void Coordinator::OrderProfile(Job& job, PendingChange& change) {
  if (job.space != nullptr) return;
  std::vector<std::string> missing =
      MissingSignatures(*job.problem, *tables_.at(job.target.profile_key));
  std::set<std::string> ordered;
  for (const auto& [id, task] : tasks_) {
    const auto* profile = std::get_if<ProfileTask>(&task.task);
    if (profile == nullptr || profile->profile_key != job.target.profile_key) continue;
    ordered.insert(profile->signatures.begin(), profile->signatures.end());
  }
  std::erase_if(missing, [&](const std::string& signature) { return ordered.contains(signature); });
  const size_t most = static_cast<size_t>(options_.signatures_per_order);
  for (size_t start = 0; start < missing.size(); start += most) {
    ProfileTask task{job.target.name, job.target.profile_key, {}};
    for (size_t i = start; i < std::min(start + most, missing.size()); ++i) {
      task.signatures.push_back(missing[i]);
    }
    AddTask({0, job.record.id, Purpose::kProfile, std::move(task), {}, 0}, change);
  }
}

size_t Coordinator::EvaluationsPerOrder(const Job& job, int64_t samples) const {
  const int usual = samples == 0 ? options_.trials_per_order : options_.probes_per_order;
  if (job.evaluation_ms <= 0) return usual;
  const double share =
      samples == 0 ? 1.0
                   : static_cast<double>(samples) / static_cast<double>(job.dataset.val_samples);
  const double fitting =
      static_cast<double>(options_.order_time.count()) / (job.evaluation_ms * share);
  return static_cast<size_t>(
      std::clamp(fitting, 1.0, static_cast<double>(options_.most_evaluations_per_order)));
}

// Whatever some job has evaluated before is taken from the store. Candidates of equal sample counts
// and floors share orders, sorted so that neighbours share a prefix.
void Coordinator::OrderEvaluations(Job& job, std::vector<int64_t> numbers, Purpose purpose,
                                   PendingChange& change) {
  const bool test = purpose == Purpose::kTest;
  std::erase_if(numbers, [&](int64_t number) { return TakeKnown(job, number, purpose, change); });
  using Kind = std::pair<int64_t, std::optional<double>>;
  std::map<Kind, std::vector<std::pair<std::string, int64_t>>> by_kind;
  for (const int64_t number : numbers) {
    const Trial& trial = job.trials[static_cast<size_t>(number - 1)].trial;
    const Kind kind = test ? Kind() : Kind(trial.samples, trial.floor);
    by_kind[kind].emplace_back(trial.scheme.ToString(), number);
  }
  for (auto& [kind, group] : by_kind) {
    const auto& [samples, floor] = kind;
    std::sort(group.begin(), group.end());
    // Small enough that every worker gets a share.
    const size_t share = (group.size() + LiveEvaluators() - 1) / LiveEvaluators();
    const size_t size = std::clamp<size_t>(share, 1, EvaluationsPerOrder(job, samples));
    for (size_t start = 0; start < group.size(); start += size) {
      OpenTask task;
      task.job = job.record.id;
      task.purpose = purpose;
      EvaluateTask evaluate{job.record.package,
                            job.record.dataset,
                            job.record.calibration,
                            test ? Split::kTest : Split::kVal,
                            samples,
                            {},
                            test,
                            job.spec.metric,
                            options_.verify_images,
                            floor,
                            kEvaluationVersion,
                            job.record.reconstructions};
      for (size_t i = start; i < std::min(start + size, group.size()); ++i) {
        task.trials.push_back(group[i].second);
        evaluate.schemes.push_back(
            job.trials[static_cast<size_t>(group[i].second - 1)].trial.scheme);
      }
      task.task = std::move(evaluate);
      AddTask(std::move(task), change);
    }
  }
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
  for (const int64_t id : obsolete) {
    if (const std::optional<Lease> lease = queue_.Remove(id)) {
      EndLease(lease->id, LeaseState::kLost, change);
    }
    const OpenTask task = tasks_.at(id);
    SetTaskState(task, TaskState::kCancelled, "", change);
  }
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
  int64_t waiting = 0;
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
  for (const TrialRecord& record : job.trials) plan.history.trials.push_back(record.trial);
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
  const bool outdated = plan.prepare ? job.record.state != JobState::kPreparing
                                     : job.record.state != JobState::kSearching ||
                                           plan.history.trials.size() != job.trials.size();
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
  std::vector<int64_t> to_evaluate;
  for (TrialRecord& record : trials) {
    record.trial.number = static_cast<int64_t>(job.trials.size()) + 1;
    if (record.trial.state == TrialState::kWaiting) to_evaluate.push_back(record.trial.number);
    if (record.trial.state == TrialState::kFailed) ++job.failures_in_a_row;
    change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
      transaction.AddTrial(id, record, now);
    });
    job.trials.push_back(std::move(record));
  }
  OrderEvaluations(job, to_evaluate, Purpose::kSearch, change);
  Advance(job, change);
  return true;
}

}  // namespace mico
