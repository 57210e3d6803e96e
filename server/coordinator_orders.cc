// Which tasks a job needs next.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "fmt/format.h"
#include "quant/evaluation_version.h"
#include "quant/quantized_graph.h"
#include "server/coordinator.h"

namespace mico {
namespace {

// Of train, that integers are learned from.
constexpr int64_t kReconstructionSamples = 1024;
// 8-bit weights have nothing to gain from learned rounding (docs/benchmarks.md).
constexpr int kWidestReconstructed = 4;

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
  return fmt::format("{}/{}/{}/w{}a{}/{}/{}/2", task.calibration.hex(), task.model.hex(),
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
// and floors share orders, sorted so that neighbours share a prefix; each trained one has an order
// of its own, because no other scheme has its integers.
void Coordinator::OrderEvaluations(Job& job, std::vector<int64_t> numbers, Purpose purpose,
                                   PendingChange& change) {
  const bool test = purpose == Purpose::kTest;
  std::erase_if(numbers, [&](int64_t number) { return TakeKnown(job, number, purpose, change); });
  // Samples, floor, and of a trained trial its number.
  using Kind = std::tuple<int64_t, std::optional<double>, int64_t>;
  std::map<Kind, std::vector<std::pair<std::string, int64_t>>> by_kind;
  for (const int64_t number : numbers) {
    const Trial& trial = job.trials[static_cast<size_t>(number - 1)].trial;
    const int64_t alone = trial.trained ? number : 0;
    const Kind kind = test ? Kind(0, std::nullopt, alone) : Kind(trial.samples, trial.floor, alone);
    by_kind[kind].emplace_back(trial.scheme.ToString(), number);
  }
  for (auto& [kind, group] : by_kind) {
    const auto& [samples, floor, alone] = kind;
    std::sort(group.begin(), group.end());
    // Small enough that every worker gets a share.
    const size_t share = (group.size() + LiveEvaluators() - 1) / LiveEvaluators();
    const size_t size = std::clamp<size_t>(share, 1, EvaluationsPerOrder(job, samples));
    for (size_t start = 0; start < group.size(); start += size) {
      OpenTask task;
      task.job = job.record.id;
      task.purpose = purpose;
      EvaluateTask evaluate{
          job.record.package,
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
          ReconstructionsOf(job.record,
                            job.trials[static_cast<size_t>(group[start].second - 1)].trial)};
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

}  // namespace mico
