#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "fmt/format.h"
#include "server/coordinator.h"

namespace mico {
namespace {

constexpr size_t kMostJobsNamed = 5;
constexpr std::string_view kStartWorker = "mico-worker --server HOST:PORT --target FILE";

const TargetHealth* HealthOf(const std::vector<TargetHealth>& all, const std::string& target) {
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const TargetHealth& health) { return health.target == target; });
  return found == all.end() ? nullptr : &*found;
}

// What waits for the same thing.
struct Waiting {
  std::set<std::string> jobs;
  int64_t tasks = 0;
};

Check DescribeWaiting(const std::string& why, const Waiting& waiting) {
  std::vector<std::string> named(waiting.jobs.begin(), waiting.jobs.end());
  const bool all_named = named.size() <= kMostJobsNamed;
  named.resize(std::min(named.size(), kMostJobsNamed));
  return {"waiting work",
          Check::State::kFault,
          fmt::format("{} task(s){}{}{} wait: {}", waiting.tasks, named.empty() ? "" : " of job ",
                      absl::StrJoin(named, ", "), all_named ? "" : ", ...", why),
          std::string(kStartWorker),
          {}};
}

}  // namespace

std::string WhyNotCompiled(const std::vector<TargetHealth>& health, const std::string& target) {
  const TargetHealth* found = HealthOf(health, target);
  return found == nullptr ? "" : found->cannot_compile;
}

std::string WhyNotRun(const std::vector<TargetHealth>& health, const std::string& target) {
  const TargetHealth* found = HealthOf(health, target);
  return found == nullptr ? "" : found->cannot_run;
}

// Empty if somebody alive can do it.
std::string Coordinator::WhyNobodyDoes(const Task& task) const {
  const auto* profile = std::get_if<ProfileTask>(&task);
  const auto* artifact = std::get_if<ArtifactTask>(&task);
  const std::string target = profile != nullptr    ? profile->target_name
                             : artifact != nullptr ? artifact->target_name
                                                   : "";
  std::string fault;
  for (const auto& [id, worker] : workers_) {
    if (!IsAlive(worker)) continue;
    if (CanDo(worker, task)) return "";
    std::string why = WhyNotCompiled(worker.target_health, target);
    if (why.empty() && profile != nullptr) why = WhyNotRun(worker.target_health, target);
    if (!why.empty()) fault = fmt::format("; worker '{}': {}", worker.record.name, why);
  }
  if (profile != nullptr) {
    return fmt::format("no worker that can measure target '{}' is connected{}", target, fault);
  }
  if (artifact != nullptr) {
    return fmt::format("no worker with target '{}' is connected{}", target, fault);
  }
  if (std::holds_alternative<ConvertTask>(task)) {
    return "no worker that reads TorchScript is connected; `mico-cli doctor` says what they lack";
  }
  return "no worker that evaluates is connected";
}

std::vector<mico::Check> Coordinator::CheckWork() {
  absl::MutexLock lock(&mutex_);
  int64_t alive = 0, evaluators = 0;
  for (const auto& [id, worker] : workers_) {
    if (!IsAlive(worker)) continue;
    ++alive;
    evaluators += worker.record.evaluates ? 1 : 0;
  }
  std::map<std::string, Waiting> waiting;
  for (const auto& [id, task] : tasks_) {
    if (queue_.LeaseOfTask(id) != nullptr) continue;
    const std::string why = WhyNobodyDoes(task.task);
    if (why.empty()) continue;
    Waiting& group = waiting[why];
    ++group.tasks;
    if (!task.job.empty()) group.jobs.insert(task.job);
  }
  std::vector<mico::Check> checks;
  mico::Check& workers = checks.emplace_back();
  workers.name = "workers";
  workers.state = evaluators > 0 ? mico::Check::State::kOk : mico::Check::State::kFault;
  workers.found = fmt::format("{} connected, {} of them evaluate", alive, evaluators);
  if (evaluators == 0) workers.remedy = kStartWorker;
  for (const auto& [why, group] : waiting) checks.push_back(DescribeWaiting(why, group));
  if (waiting.empty()) {
    checks.push_back({"waiting work",
                      mico::Check::State::kOk,
                      fmt::format("{} task(s) wait or run; somebody can do each", tasks_.size()),
                      "",
                      {}});
  }
  return checks;
}

}  // namespace mico
