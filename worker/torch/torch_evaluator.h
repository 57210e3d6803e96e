#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/evaluator.h"

namespace mico {

struct TorchEvaluatorOptions {
  // Threads that work on samples side by side; 0: one for each core this process may use.
  int threads = 0;
  // Samples that go through the float network together on one thread. Small enough that a layer's
  // activations stay in the second-level cache.
  int64_t batch_size = 16;
  // The same for the integers, at most; 0: as many as the cache likes.
  int64_t integer_batch_size = 0;
  // What the tensors of an evaluation may take, on all threads together: it decides how many
  // samples go together and how much of the work of many schemes is shared, never the result.
  int64_t activation_memory_bytes = int64_t{512} << 20;
  // Schemes that may share work, at most; 0: as many as have room.
  int64_t schemes_together = 0;
  // Between checkpoints of a training.
  double seconds_between_checkpoints = 60.0;
};

// The evaluator on libtorch. No torch type is visible here, and no exception comes out.
class TorchEvaluator : public Evaluator {
 public:
  // Runs a self-test: Internal if the vector loops of this machine do not give exact integers.
  static absl::StatusOr<std::unique_ptr<TorchEvaluator>> Create(
      const TorchEvaluatorOptions& options = {});
  ~TorchEvaluator() override;

  absl::StatusOr<CalibrationOutcome> Calibrate(const ModelPackage& package, const Dataset& dataset,
                                               int64_t train_samples, uint64_t seed, Metric metric,
                                               const KeepGoing& keep_going) override;
  absl::StatusOr<Reconstruction> Reconstruct(const ModelPackage& package,
                                             const Calibration& calibration, const Dataset& dataset,
                                             const LayerBits& bits, int64_t train_samples,
                                             uint64_t seed, const KeepGoing& keep_going) override;
  absl::StatusOr<TrainingOutcome> Train(const ModelPackage& package, const Calibration& calibration,
                                        const Dataset& dataset, const TrainingRequest& request,
                                        const SaveCheckpoint& save,
                                        const KeepGoing& keep_going) override;
  absl::StatusOr<std::vector<SchemeOutcome>> Evaluate(const ModelPackage& package,
                                                      const Calibration& calibration,
                                                      const Dataset& dataset,
                                                      const EvaluationRequest& request,
                                                      const KeepGoing& keep_going) override;

  // The float network's outputs, parallel to graph.outputs, for samples [first, first + count) of a
  // split: each output sample after sample, NHWC.
  absl::StatusOr<std::vector<std::vector<float>>> FloatForward(const ModelPackage& package,
                                                               const Dataset& dataset, Split split,
                                                               int64_t first, int64_t count);
  // The same for one prepared sample.
  absl::StatusOr<std::vector<std::vector<float>>> FloatForward(const ModelPackage& package,
                                                               std::span<const float> prepared);
  // The integer network's outputs in the same order; those of a sample are the oracle's.
  absl::StatusOr<std::vector<std::vector<int32_t>>> IntegerForward(const QuantizedModel& model,
                                                                   const Dataset& dataset,
                                                                   Split split, int64_t first,
                                                                   int64_t count);

 private:
  struct State;
  explicit TorchEvaluator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mico
