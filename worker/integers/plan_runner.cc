#include "worker/integers/plan_runner.h"

#include <algorithm>
#include <limits>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/integers/kernels.h"

namespace mico {
namespace {

// What an operation writes on average: with what lies beside it, it stays in the second-level
// cache.
constexpr int64_t kBatchBytes = 512 << 10;
constexpr int64_t kMostSamples = 1024;

absl::Status CheckAccumulator(const QuantizedModel& model, int step) {
  const int64_t total = BoundAccumulator(model, step).total;
  if (total <= std::numeric_limits<int32_t>::max()) return absl::OkStatus();
  return absl::InternalError(fmt::format("layer '{}': accumulator up to {}; needed an int32",
                                         model.graph.steps[step].name, total));
}

}  // namespace

absl::StatusOr<PlanRunner> PlanRunner::Prepare(std::span<const QuantizedModel* const> models,
                                               const EvaluationPlan& plan) {
  PlanRunner runner(models, plan);
  for (const Operation& operation : plan.operations) {
    MICO_RETURN_IF_ERROR(runner.PrepareOperation(operation));
  }
  return runner;
}

absl::Status PlanRunner::PrepareOperation(const Operation& operation) {
  Prepared& prepared = prepared_.emplace_back();
  if (operation.kind == Operation::Kind::kInput) return absl::OkStatus();
  const QuantizedModel& model = *models_[operation.model];
  const Step& step = model.graph.steps[operation.step];
  if (step.kind != StepKind::kConv) return absl::OkStatus();
  const StepNumbers& numbers = model.numbers[operation.step];
  const QuantizedTensor& input = model.graph.tensors[step.inputs[0]];
  const QuantizedTensor& output = model.graph.tensors[step.output];
  if (operation.kind != Operation::Kind::kRequantize) {
    prepared.convolution.emplace(step.conv(), numbers.weights, input.shape, input.type,
                                 output.shape);
  }
  if (operation.kind != Operation::Kind::kSums) {
    MICO_RETURN_IF_ERROR(CheckAccumulator(model, operation.step));
    prepared.table.emplace(numbers.bias, numbers.scales, numbers.lowest, numbers.highest,
                           output.type);
  }
  return absl::OkStatus();
}

void PlanRunner::Run(const Read& read, const Use& use) const {
  std::vector<IntegerBatch> values(plan_.values);
  for (size_t i = 0; i < plan_.operations.size(); ++i) {
    const Operation& operation = plan_.operations[i];
    values[operation.output] = operation.kind == Operation::Kind::kInput
                                   ? read(*models_[operation.model])
                                   : RunOperation(i, values);
    for (const Operation::Result& result : operation.results) {
      use(result, values[operation.output]);
    }
    for (const int value : operation.last_reads) values[value] = {};
  }
}

IntegerBatch PlanRunner::RunOperation(size_t index, const std::vector<IntegerBatch>& values) const {
  const Operation& operation = plan_.operations[index];
  const Prepared& prepared = prepared_[index];
  const IntegerBatch& input = values[operation.inputs.front()];
  const QuantizedModel& model = *models_[operation.model];
  const Step& step = model.graph.steps[operation.step];
  const TensorType type = model.graph.tensors[step.output].type;
  if (operation.kind == Operation::Kind::kSums) return prepared.convolution->Sums(input);
  if (operation.kind == Operation::Kind::kRequantize) {
    IntegerBatch output = IntegerBatch::Empty(input.count, input.shape, type);
    prepared.table->Apply(input.As<int32_t>(), input.elements(), output.As<uint8_t>());
    return output;
  }
  if (step.kind == StepKind::kConv) {
    return prepared.convolution->Run(input, *prepared.table, type);
  }
  return RunStep(operation, values);
}

IntegerBatch PlanRunner::RunStep(const Operation& operation,
                                 const std::vector<IntegerBatch>& values) const {
  const QuantizedModel& model = *models_[operation.model];
  const Step& step = model.graph.steps[operation.step];
  const StepNumbers& numbers = model.numbers[operation.step];
  const auto& [name, shape, type] = model.graph.tensors[step.output];
  const IntegerBatch& input = values[operation.inputs.front()];
  switch (step.kind) {
    case StepKind::kAdd:
      return AddIntegers(input, values[operation.inputs[1]], numbers, type);
    case StepKind::kMaxPool:
      return MaxPoolIntegers(input, step.pool(), shape);
    case StepKind::kAveragePool:
      return AveragePoolIntegers(input, step.pool(), numbers, shape, type);
    case StepKind::kRelu:
      return ClampIntegers(input, numbers, type);
    case StepKind::kConcat: {
      std::vector<IntegerBatch> inputs;
      for (const int part : operation.inputs) inputs.push_back(values[part]);
      return ConcatIntegers(inputs, shape);
    }
    case StepKind::kSlice:
      return SliceIntegers(input, step.slice(), shape);
    case StepKind::kPad:
      return PadIntegers(input, step.pad(), shape);
    case StepKind::kConv:
    case StepKind::kRequantize:
      break;
  }
  return RequantizeIntegers(input, numbers, type);
}

int64_t ChooseBatch(const EvaluationPlan& plan, int64_t samples, int threads,
                    int64_t memory_bytes) {
  const auto operations = static_cast<int64_t>(plan.operations.size());
  const int64_t in_cache = kBatchBytes * operations / std::max<int64_t>(plan.written_bytes, 1);
  const int64_t in_memory = memory_bytes / threads / std::max<int64_t>(plan.peak_bytes, 1);
  // Every thread gets some.
  const int64_t even = (samples + threads - 1) / threads;
  const int64_t wished = std::clamp<int64_t>(std::min(in_cache, even), 1, kMostSamples);
  return std::min(wished, in_memory);
}

}  // namespace mico
