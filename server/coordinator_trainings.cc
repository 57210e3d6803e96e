// Schemes that are trained before they are evaluated.
#include <cstdlib>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "proto/convert.h"
#include "search/promotion.h"
#include "server/coordinator.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

// How far apart schemes of one network are, in bits.
int64_t Distance(const BitScheme& a, const BitScheme& b) {
  int64_t bits = 0;
  for (size_t layer = 0; layer < a.size(); ++layer) {
    bits += std::abs(a[layer].weight_bits - b[layer].weight_bits) +
            std::abs(a[layer].input_bits - b[layer].input_bits);
  }
  return bits;
}

}  // namespace

std::string TrainingKey(const TrainTask& task) {
  const TrainingRecipe& recipe = task.recipe;
  // The number behind the seed is the recipe's version: of what a worker does with these.
  std::string key = fmt::format(
      "{}/{}/{}/{}/{}/{}/{}/{}/{}/{}/1", task.calibration.hex(), task.model.hex(),
      task.dataset.hex(), task.scheme.ToString(), ToString(task.metric), recipe.epochs,
      recipe.minutes, ToString(recipe.optimizer), ToString(recipe.augmentation), task.seed);
  for (const Digest& digest : task.reconstructions) key += fmt::format("/{}", digest.hex());
  return key;
}

TrainTask Coordinator::TrainingOf(const Job& job, const Trial& trial) {
  TrainTask task;
  task.model = job.record.package;
  task.dataset = job.record.dataset;
  task.calibration = job.record.calibration;
  task.scheme = trial.scheme;
  task.reconstructions = job.record.reconstructions;
  task.recipe = job.spec.qat.recipe;
  task.metric = job.spec.metric;
  task.seed = job.spec.seed;
  return task;
}

void Coordinator::OrderTrainings(Job& job, PendingChange& change) {
  if (job.waits_for_training.empty()) return;
  std::set<std::string> ordered;
  for (const auto& [id, task] : tasks_) {
    const auto* train = std::get_if<TrainTask>(&task.task);
    if (train != nullptr) ordered.insert(TrainingKey(*train));
  }
  std::vector<int64_t> learned;
  for (const int64_t number : std::exchange(job.waits_for_training, {})) {
    TrialRecord& record = job.trials[static_cast<size_t>(number - 1)];
    TrainTask task = TrainingOf(job, record.trial);
    const std::string key = TrainingKey(task);
    if (const std::optional<TrainingRecord> known = FindTraining(key)) {
      record.trial.learned_digest = known->reconstruction.hex();
      change.Add([id = job.record.id, record, now = clock_.Now()](StoreTransaction& transaction) {
        transaction.UpdateTrial(id, record, now);
      });
      learned.push_back(number);
    } else if (ordered.insert(key).second) {
      AddTask({0, job.record.id, Purpose::kTrain, std::move(task), {number}, 0}, change);
    } else {
      job.waits_for_training.insert(number);
    }
  }
  OrderEvaluations(job, std::move(learned), Purpose::kSearch, change);
}

std::optional<TrainingRecord> Coordinator::FindTraining(const std::string& key) {
  auto known = trainings_.find(key);
  if (known == trainings_.end()) {
    const absl::StatusOr<std::optional<TrainingRecord>> stored =
        store_.Read([&](StoreView& view) { return view.FindTraining(key); });
    // What cannot be read is trained again.
    if (!stored.ok() || !stored->has_value()) return std::nullopt;
    known = trainings_.emplace(key, **stored).first;
  }
  if (!blobs_.Has(known->second.reconstruction)) return std::nullopt;
  return known->second;
}

void Coordinator::ApplyTraining(const OpenTask& task, const TrainResult& result,
                                const Delivery& delivery, PendingChange& change) {
  const TrainingRecord record{TrainingKey(std::get<TrainTask>(task.task)), result.reconstruction,
                              result.state, result.epochs, result.duration};
  trainings_[record.key] = record;
  change.Add([record, bytes = delivery.blob_bytes, state_bytes = delivery.state_bytes,
              now = clock_.Now()](StoreTransaction& transaction) {
    transaction.AddBlob(record.reconstruction, bytes, now);
    transaction.AddBlob(record.state, state_bytes, now);
    transaction.PutTraining(record);
  });
  const auto job = jobs_.find(task.job);
  if (job != jobs_.end()) job->second.waits_for_training.insert(task.trials.front());
  AdvanceAll(change);
}

void Coordinator::ChooseStart(OpenTask& task, PendingChange& change) {
  auto* train = std::get_if<TrainTask>(&task.task);
  if (train == nullptr) return;
  const TrainTask before = *train;
  if (!train->checkpoint.empty() && !blobs_.Has(train->checkpoint)) {
    spdlog::warn("task {}: its checkpoint {} is missing; training begins anew", task.id,
                 train->checkpoint.hex());
    train->checkpoint = Digest();
  }
  const auto job = jobs_.find(task.job);
  if (train->checkpoint.empty() && job != jobs_.end()) {
    train->warm_start = NearestState(job->second, train->scheme);
  }
  if (*train != before) SavePayload(task, change);
}

// Of the trained scheme of the job that is nearest, of several the first; empty: there is none.
Digest Coordinator::NearestState(const Job& job, const BitScheme& scheme) {
  std::set<std::pair<int64_t, int64_t>> nearest;  // distance, number
  for (const TrialRecord& record : job.trials) {
    const Trial& trial = record.trial;
    if (trial.learned_digest.empty() || trial.scheme.size() != scheme.size()) continue;
    nearest.emplace(Distance(trial.scheme, scheme), trial.number);
  }
  for (const auto& [distance, number] : nearest) {
    const Trial& trial = job.trials[static_cast<size_t>(number - 1)].trial;
    const std::optional<TrainingRecord> known = FindTraining(TrainingKey(TrainingOf(job, trial)));
    if (known && blobs_.Has(known->state)) return known->state;
  }
  return {};
}

void Coordinator::TakeCheckpoint(const Lease& lease, const Digest& checkpoint,
                                 const Delivery& delivery, PendingChange& change) {
  OpenTask& task = tasks_.at(lease.task);
  auto* train = std::get_if<TrainTask>(&task.task);
  if (train != nullptr && train->checkpoint == checkpoint) return;
  if (train == nullptr || !delivery.checkpoint_stored) {
    spdlog::warn("task {}: worker {} names checkpoint {}, which {}; ignored", task.id, lease.worker,
                 checkpoint.hex(),
                 train == nullptr ? "no other task than training has" : "is not on this server");
    return;
  }
  const Digest superseded = std::exchange(train->checkpoint, checkpoint);
  SavePayload(task, change);
  DropCheckpoint(task.id, superseded, change);
}

void Coordinator::DropCheckpoint(int64_t task, const Digest& checkpoint, PendingChange& change) {
  if (checkpoint.empty()) return;
  for (const auto& [id, other] : tasks_) {
    const auto* train = std::get_if<TrainTask>(&other.task);
    if (id != task && train != nullptr && train->checkpoint == checkpoint) return;
  }
  change.Add([checkpoint, task](StoreTransaction& transaction) {
    transaction.ForgetCheckpoint(checkpoint, task);
  });
  change.RemoveAfterwards(checkpoint);
}

bool Coordinator::Promote(Job& job, PendingChange& change) {
  const QatSpec& qat = job.spec.qat;
  if (qat.mode != QatMode::kTop) return false;
  std::vector<Trial> trials;
  for (const TrialRecord& record : job.trials) {
    if (IsPromoted(record.trial)) return false;
    trials.push_back(record.trial);
  }
  std::vector<TrialRecord> promoted;
  for (const size_t index :
       ChoosePromising(trials, job.record.limits, static_cast<size_t>(qat.top))) {
    Trial& trial = promoted.emplace_back().trial;
    trial.scheme = trials[index].scheme;
    trial.cost = trials[index].cost;
    trial.trained = true;
    trial.trained_from = trials[index].number;
  }
  return !promoted.empty() && AddTrials(job, std::move(promoted), change);
}

}  // namespace mico
