#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/integers/convolution.h"
#include "worker/integers/evaluation_plan.h"
#include "worker/integers/integer_batch.h"
#include "worker/integers/requantize_table.h"

namespace mico {

// Carries out a plan, batch after batch. Gives exactly the integers of RunInteger
// (quant/interpreter.h). Thread-safe to run; models and plan must outlive it.
class PlanRunner {
 public:
  // Internal if an accumulator of a model could leave int32.
  static absl::StatusOr<PlanRunner> Prepare(std::span<const QuantizedModel* const> models,
                                            const EvaluationPlan& plan);

  // Gives the samples on the grid of a model's input.
  using Read = std::function<IntegerBatch(const QuantizedModel& model)>;
  // Gets every wanted output as soon as it is known, once for each model that asked for it.
  using Use = std::function<void(Operation::Result result, const IntegerBatch& output)>;
  // Throws std::bad_alloc.
  void Run(const Read& read, const Use& use) const;

 private:
  // What an operation needs beyond its model's numbers.
  struct Prepared {
    std::optional<IntegerConvolution> convolution;
    std::optional<RequantizeTable> table;
  };
  PlanRunner(std::span<const QuantizedModel* const> models, const EvaluationPlan& plan)
      : models_(models), plan_(plan) {}
  absl::Status PrepareOperation(const Operation& operation);
  IntegerBatch RunOperation(size_t index, const std::vector<IntegerBatch>& values) const;
  IntegerBatch RunStep(const Operation& operation, const std::vector<IntegerBatch>& values) const;

  const std::span<const QuantizedModel* const> models_;
  const EvaluationPlan& plan_;
  std::vector<Prepared> prepared_;  // parallel to the plan's operations
};

// The batch with which `plan` runs fastest on one of `threads` threads within `memory_bytes` for
// all of them, for `samples` samples; less than 1: not even one sample at a time fits.
int64_t ChooseBatch(const EvaluationPlan& plan, int64_t samples, int threads, int64_t memory_bytes);

}  // namespace mico
