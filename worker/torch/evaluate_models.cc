#include "worker/torch/evaluate_models.h"

#include <algorithm>
#include <deque>
#include <numeric>

#include "absl/synchronization/mutex.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "worker/integers/answers.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/integers/plan_runner.h"
#include "worker/integers/read_integers.h"
#include "worker/torch/answer_key.h"
#include "worker/torch/oracle_check.h"
#include "worker/torch/racing.h"

namespace mico {
namespace {

// Decides the order in which a race sees the samples: data sets are often sorted by class.
constexpr uint64_t kRaceSeed = 1;

// One model and what is known of its outputs so far. Threads write to different samples.
struct Judgement {
  Judgement(SchemeOutcome& outcome_of, size_t samples)
      : outcome(outcome_of), divergences(samples), contributions(samples) {}

  SchemeOutcome& outcome;
  std::vector<double> divergences, contributions;  // per sample of those chosen
  std::vector<int64_t> to_verify;                  // ascending; the same numbers
};

class Evaluation {
 public:
  explicit Evaluation(const EvaluationSetting& setting)
      : setting_(setting),
        key_(setting.request.metric, setting.dataset, setting.request.split, setting.indices),
        memory_bytes_(setting.activation_memory_bytes) {
    if (CountsAnswers(setting.request.metric)) {
      const size_t samples = std::max<size_t>(setting.indices.size(), 1);
      distributions_.emplace(setting.reference, setting.reference.size() / samples);
    }
    order_.resize(setting.indices.size());
    std::iota(order_.begin(), order_.end(), 0);
    if (!setting.request.floor.has_value()) return;
    Random random(kRaceSeed);
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.Below(i)]);
  }

  absl::Status Run(std::span<SchemeOutcome> outcomes, const KeepGoing& keep_going) {
    for (SchemeOutcome& outcome : outcomes) {
      if (outcome.status.ok()) judgements_.emplace_back(outcome, order_.size());
    }
    std::vector<Judgement*> racing;
    for (Judgement& judgement : judgements_) racing.push_back(&judgement);
    const auto samples = static_cast<int64_t>(order_.size());
    const std::vector<int64_t> looks =
        setting_.request.floor.has_value() ? Looks(samples) : std::vector<int64_t>{samples};
    ChooseSamplesToVerify(looks.front());
    int64_t seen = 0;
    for (const int64_t look : looks) {
      const auto share = [&](int64_t of) {
        return static_cast<double>(of) / static_cast<double>(std::max<int64_t>(samples, 1));
      };
      MICO_RETURN_IF_ERROR(
          RunTogether(racing, seen, look, Part(keep_going, share(seen), share(look))));
      seen = look;
      GiveUpTheHopeless(racing, seen);
    }
    for (Judgement* judgement : racing) Finish(*judgement, seen);
    return absl::OkStatus();
  }

 private:
  void ChooseSamplesToVerify(int64_t first_look) {
    for (Judgement& judgement : judgements_) {
      for (const int64_t place : SamplesToVerify(judgement.outcome.model_digest, first_look,
                                                 setting_.request.verify_images)) {
        judgement.to_verify.push_back(order_[place]);
      }
      std::sort(judgement.to_verify.begin(), judgement.to_verify.end());
    }
  }

  // Samples order_[first, last) through all models.
  absl::Status RunTogether(std::span<Judgement* const> judgements, int64_t first, int64_t last,
                           const KeepGoing& keep_going) {
    if (judgements.empty() || first == last) return absl::OkStatus();
    std::vector<const QuantizedModel*> models;
    for (const Judgement* judgement : judgements) models.push_back(&judgement->outcome.model);
    const EvaluationPlan plan = PlanEvaluation(models, WantedTensors::kScored);
    const int threads = setting_.threads;
    int64_t batch = ChooseBatch(plan, last - first, threads, memory_bytes_);
    if (setting_.most_samples > 0) batch = std::min(batch, setting_.most_samples);
    if (batch < 1 && judgements.size() > 1) {
      const size_t half = judgements.size() / 2;
      MICO_RETURN_IF_ERROR(
          RunTogether(judgements.first(half), first, last, Part(keep_going, 0.0, 0.5)));
      return RunTogether(judgements.subspan(half), first, last, Part(keep_going, 0.5, 1.0));
    }
    absl::Status status =
        RunPlan(judgements, models, plan, first, last, std::max<int64_t>(batch, 1), keep_going);
    const bool can_shrink = batch > 1 || judgements.size() > 1;
    if (!absl::IsResourceExhausted(status) || !can_shrink) return status;
    // The machine has less than was promised: what is done again gives the same.
    memory_bytes_ =
        std::min(memory_bytes_, plan.peak_bytes * threads * std::max<int64_t>(batch, 1)) / 2;
    return RunTogether(judgements, first, last, keep_going);
  }

  absl::Status RunPlan(std::span<Judgement* const> judgements,
                       std::span<const QuantizedModel* const> models, const EvaluationPlan& plan,
                       int64_t first, int64_t last, int64_t batch_size,
                       const KeepGoing& keep_going) {
    MICO_ASSIGN_OR_RETURN(const PlanRunner runner, PlanRunner::Prepare(models, plan));
    const auto work = [&](Batch batch) {
      const auto places = std::span(order_).subspan(first + batch.first, batch.count);
      std::vector<int64_t> indices;
      for (const int64_t place : places) indices.push_back(setting_.indices[place]);
      const auto read = [&](const QuantizedModel& model) {
        return ReadIntegers(setting_.dataset, setting_.request.split, indices, model);
      };
      const Judge judge = MakeJudge(places);
      const auto use = [&](Operation::Result result, const IntegerBatch& output) {
        Judgement& judgement = *judgements[result.model];
        judge(judgement, output);
        Verify(judgement, places, output);
      };
      runner.Run(read, use);
      return absl::OkStatus();
    };
    return ForEachBatch({setting_.threads, batch_size}, last - first, work, keep_going);
  }

  // How a batch's outputs are judged, with what is the same for all schemes.
  using Judge = std::function<void(Judgement& judgement, const IntegerBatch& output)>;
  Judge MakeJudge(std::span<const int64_t> places) {
    if (!distributions_.has_value()) {
      std::vector<std::vector<float>> targets;
      for (const int64_t place : places) targets.push_back(key_.Target(place));
      return [this, places, targets = std::move(targets)](Judgement& judgement,
                                                          const IntegerBatch& output) {
        JudgeErrors(judgement, places, targets, output);
      };
    }
    std::vector<int32_t> labels;
    for (const int64_t place : places) labels.push_back(key_.Label(place));
    const int among = key_.metric() == Metric::kTop1 ? 1 : 5;
    return [batch = AnsweredBatch(*distributions_, places, labels), among](
               Judgement& judgement, const IntegerBatch& output) {
      batch.Judge(output.As<int16_t>(), judgement.outcome.model.output_scale(), among,
                  judgement.contributions, judgement.divergences);
    };
  }

  // Against targets: outputs that are not answers.
  void JudgeErrors(Judgement& judgement, std::span<const int64_t> places,
                   const std::vector<std::vector<float>>& targets, const IntegerBatch& output) {
    const auto width = static_cast<size_t>(output.shape.elements());
    const double scale = judgement.outcome.model.output_scale();
    for (size_t i = 0; i < places.size(); ++i) {
      const int16_t* integers = output.As<int16_t>() + i * width;
      const std::vector<float> outputs(integers, integers + width);
      judgement.contributions[places[i]] =
          key_.Judge(places[i], outputs, output.shape, scale, targets[i]);
      judgement.divergences[places[i]] = MeanSquaredDifference(
          outputs, scale, std::span(setting_.reference).subspan(places[i] * width, width));
    }
  }

  void Verify(Judgement& judgement, std::span<const int64_t> places, const IntegerBatch& output) {
    for (size_t i = 0; i < places.size() && !judgement.to_verify.empty(); ++i) {
      if (!std::binary_search(judgement.to_verify.begin(), judgement.to_verify.end(), places[i])) {
        continue;
      }
      const absl::Status status = CompareWithOracle(
          judgement.outcome.model, setting_.dataset, setting_.request.split,
          setting_.indices[places[i]], ToIntegers(output, static_cast<int64_t>(i)));
      if (!status.ok()) Refuse(judgement, status);
    }
  }

  // One scheme's failure; the others go on.
  void Refuse(Judgement& judgement, const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    judgement.outcome.status.Update(status);
  }

  int64_t CorrectOf(const Judgement& judgement, int64_t seen) const {
    return std::count_if(order_.begin(), order_.begin() + seen,
                         [&](int64_t place) { return judgement.contributions[place] == 1.0; });
  }

  void GiveUpTheHopeless(std::vector<Judgement*>& racing, int64_t seen) {
    const std::optional<double> floor = setting_.request.floor;
    const auto samples = static_cast<int64_t>(order_.size());
    if (!floor.has_value() || seen == samples) return;
    std::erase_if(racing, [&](Judgement* judgement) {
      if (CanReach(*floor, CorrectOf(*judgement, seen), seen, samples)) return false;
      judgement->outcome.gave_up = true;
      Finish(*judgement, seen);
      return true;
    });
  }

  // Sums in the order of the samples, so that the result does not depend on the threads.
  void Finish(Judgement& judgement, int64_t seen) const {
    SchemeOutcome& outcome = judgement.outcome;
    outcome.score = outcome.gave_up ? CountScore(key_.metric(), CorrectOf(judgement, seen), seen)
                                    : key_.Total(judgement.contributions);
    double sum = 0.0;
    if (outcome.gave_up) {
      for (int64_t i = 0; i < seen; ++i) sum += judgement.divergences[order_[i]];
    } else {
      for (const double divergence : judgement.divergences) sum += divergence;
    }
    outcome.divergence = sum / static_cast<double>(std::max<int64_t>(seen, 1));
  }

  const EvaluationSetting& setting_;
  const AnswerKey key_;
  std::optional<FloatDistributions> distributions_;  // where answers are counted
  std::vector<int64_t> order_;  // places among the chosen samples, as they are seen
  std::deque<Judgement> judgements_;
  int64_t memory_bytes_;
  absl::Mutex mutex_;  // of the outcomes' statuses
};

}  // namespace

absl::Status EvaluateModels(const EvaluationSetting& setting, std::span<SchemeOutcome> outcomes,
                            const KeepGoing& keep_going) {
  return Evaluation(setting).Run(outcomes, keep_going);
}

}  // namespace mico
