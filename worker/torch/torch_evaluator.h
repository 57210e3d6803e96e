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
  // Samples that go through the network together on one thread. Small enough that a layer's
  // activations stay in the second-level cache.
  int64_t batch_size = 16;
};

// The evaluator on libtorch. No torch type is visible here, and no exception comes out.
class TorchEvaluator : public Evaluator {
 public:
  // Runs a self-test: Internal if convolutions on this machine do not give exact integers.
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
  using Evaluator::Evaluate;
  absl::StatusOr<std::vector<SchemeOutcome>> Evaluate(
      const ModelPackage& package, const Calibration& calibration,
      const Reconstructions& reconstructions, const Dataset& dataset, Split split, int64_t samples,
      Metric metric, std::span<const BitScheme> schemes, const KeepGoing& keep_going) override;

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
