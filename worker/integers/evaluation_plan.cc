#include "worker/integers/evaluation_plan.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "absl/types/span.h"
#include "worker/integers/integer_batch.h"

namespace mico {
namespace {

// A computation before it is known who shares it.
struct Computation {
  Operation::Kind kind = Operation::Kind::kStep;
  int model = 0, step = 0;
  std::vector<int> inputs;
  int64_t bytes = 0;  // of the output, of one sample
  int readers = 0;    // distinct computations that read it
};

constexpr size_t kHashedBytes = 64;

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A model's steps as values of the plan.
struct NumberedModel {
  std::vector<int> value_of_tensor;
  std::vector<int> sequence;  // in the order of the steps: what neighbours have in common
};

// Finds equal computations: values are numbered as they are first seen.
class Computations {
 public:
  explicit Computations(std::span<const QuantizedModel* const> models) : models_(models) {}

  // The model as computations: one for each step that `is_needed`, two for a convolution.
  NumberedModel Number(int model, const std::vector<bool>& is_needed) {
    const QuantizedGraph& graph = models_[model]->graph;
    NumberedModel numbered;
    numbered.value_of_tensor.assign(graph.tensors.size(), -1);
    const auto take = [&](int tensor, int value) {
      numbered.value_of_tensor[tensor] = value;
      numbered.sequence.push_back(value);
    };
    take(graph.input, Find({.kind = Operation::Kind::kInput, .model = model}));
    for (size_t i = 0; i < graph.steps.size(); ++i) {
      if (!is_needed[i]) continue;
      const Step& step = graph.steps[i];
      const int index = static_cast<int>(i);
      std::vector<int> inputs;
      for (const int tensor : step.inputs) inputs.push_back(numbered.value_of_tensor[tensor]);
      Operation::Kind kind = Operation::Kind::kStep;
      if (step.kind == StepKind::kConv) {
        inputs = {Find({Operation::Kind::kSums, model, index, std::move(inputs)})};
        numbered.sequence.push_back(inputs.front());
        kind = Operation::Kind::kRequantize;
      }
      take(step.output, Find({kind, model, index, std::move(inputs)}));
    }
    return numbered;
  }

  const std::vector<Computation>& all() const { return all_; }

 private:
  int Find(Computation computation) {
    std::vector<int>& alike = by_hash_[HashOf(computation)];
    for (const int known : alike) {
      if (IsSame(all_[known], computation)) return known;
    }
    const int value = static_cast<int>(all_.size());
    alike.push_back(value);
    computation.bytes = BytesOfOutput(computation);
    for (const int input : computation.inputs) ++all_[input].readers;
    all_.push_back(std::move(computation));
    return value;
  }

  const Step& StepOf(const Computation& c) const { return models_[c.model]->graph.steps[c.step]; }
  const StepNumbers& NumbersOf(const Computation& c) const {
    return models_[c.model]->numbers[c.step];
  }
  const QuantizedTensor& OutputOf(const Computation& c) const {
    const QuantizedGraph& graph = models_[c.model]->graph;
    return graph
        .tensors[c.kind == Operation::Kind::kInput ? graph.input : graph.steps[c.step].output];
  }

  int64_t BytesOfOutput(const Computation& c) const {
    const QuantizedTensor& tensor = OutputOf(c);
    const TensorType type = c.kind == Operation::Kind::kSums ? kSums : tensor.type;
    return tensor.shape.elements() * IntegerBatch::BytesOf(type);
  }

  size_t HashOf(const Computation& c) const {
    if (c.kind == Operation::Kind::kInput) {
      return absl::HashOf(c.kind, models_[c.model]->input_scale(), OutputOf(c).type.bits);
    }
    const StepNumbers& numbers = NumbersOf(c);
    const auto inputs = absl::MakeConstSpan(c.inputs);
    if (c.kind == Operation::Kind::kSums) {
      // Equal ends of different weights are rare, and whole ones are compared anyway.
      const std::string_view weights(reinterpret_cast<const char*>(numbers.weights.data()),
                                     numbers.weights.size());
      const size_t end = std::min(weights.size(), kHashedBytes);
      return absl::HashOf(c.kind, inputs, weights.substr(0, end),
                          weights.substr(weights.size() - end));
    }
    return absl::HashOf(c.kind, inputs, StepOf(c).kind, OutputOf(c).type.bits, numbers.multiplier_a,
                        BytesOf(numbers.bias), numbers.highest);
  }

  bool IsSame(const Computation& a, const Computation& b) const {
    if (a.kind != b.kind || a.inputs != b.inputs) return false;
    if (a.kind == Operation::Kind::kInput) {
      return OutputOf(a).type == OutputOf(b).type && OutputOf(a).shape == OutputOf(b).shape &&
             models_[a.model]->input_scale() == models_[b.model]->input_scale();
    }
    const Step& mine = StepOf(a);
    const Step& other = StepOf(b);
    if (mine.kind != other.kind || OutputOf(a).shape != OutputOf(b).shape) return false;
    const StepNumbers& numbers = NumbersOf(a);
    const StepNumbers& others = NumbersOf(b);
    if (a.kind == Operation::Kind::kSums) {
      return mine.attributes == other.attributes && numbers.weights == others.weights;
    }
    if (OutputOf(a).type != OutputOf(b).type) return false;
    if (a.kind == Operation::Kind::kRequantize) {
      return numbers.bias == others.bias && numbers.scales == others.scales &&
             numbers.lowest == others.lowest && numbers.highest == others.highest;
    }
    return mine.attributes == other.attributes && numbers == others;
  }

  const std::span<const QuantizedModel* const> models_;
  std::vector<Computation> all_;
  std::unordered_map<size_t, std::vector<int>> by_hash_;
};

std::vector<int> TensorsWanted(const QuantizedGraph& graph, WantedTensors wanted) {
  if (wanted == WantedTensors::kScored) return {graph.scored_tensor()};
  std::vector<int> tensors;
  if (wanted == WantedTensors::kOutputs) return LayOutOutputs(graph).tensors;
  for (const Step& step : graph.steps) tensors.push_back(step.output);
  return tensors;
}

// For each step whether a wanted tensor depends on it.
std::vector<bool> NeededSteps(const QuantizedGraph& graph, const std::vector<int>& wanted) {
  std::vector<bool> is_read(graph.tensors.size(), false);
  for (const int tensor : wanted) is_read[tensor] = true;
  std::vector<bool> is_needed(graph.steps.size(), false);
  for (size_t i = graph.steps.size(); i-- > 0;) {
    const Step& step = graph.steps[i];
    if (!is_read[step.output]) continue;
    is_needed[i] = true;
    for (const int input : step.inputs) is_read[input] = true;
  }
  return is_needed;
}

// Puts computations into the order in which they are done.
class Schedule {
 public:
  Schedule(const std::vector<Computation>& computations, EvaluationPlan& plan)
      : computations_(computations), plan_(plan), operation_of_(computations.size(), -1) {}

  void Compute(int value) {
    const Computation& computation = computations_[value];
    if (operation_of_[value] >= 0 || IsFused(computation)) return;
    Operation operation{computation.kind, computation.model, computation.step, computation.inputs,
                        value};
    if (computation.kind == Operation::Kind::kRequantize) {
      const Computation& sums = computations_[computation.inputs.front()];
      if (IsFused(sums)) {
        operation.kind = Operation::Kind::kStep;
        operation.inputs = sums.inputs;
      }
    }
    operation_of_[value] = static_cast<int>(plan_.operations.size());
    plan_.operations.push_back(std::move(operation));
  }

  void Want(Operation::Result result, int value) {
    plan_.operations[operation_of_[value]].results.push_back(result);
  }

  // Says where every value is read last, and what lies in memory meanwhile.
  void Finish() {
    std::vector<int> last_reader(computations_.size(), -1);
    for (size_t i = 0; i < plan_.operations.size(); ++i) {
      const Operation& operation = plan_.operations[i];
      last_reader[operation.output] = static_cast<int>(i);
      for (const int input : operation.inputs) last_reader[input] = static_cast<int>(i);
    }
    for (size_t value = 0; value < last_reader.size(); ++value) {
      if (last_reader[value] < 0) continue;
      plan_.operations[last_reader[value]].last_reads.push_back(static_cast<int>(value));
    }
    int64_t bytes = 0;
    for (const Operation& operation : plan_.operations) {
      bytes += computations_[operation.output].bytes;
      plan_.written_bytes += computations_[operation.output].bytes;
      plan_.peak_bytes = std::max(plan_.peak_bytes, bytes);
      for (const int value : operation.last_reads) bytes -= computations_[value].bytes;
    }
    plan_.values = static_cast<int>(computations_.size());
  }

 private:
  // Sums that one reader wants never leave the first-level cache.
  static bool IsFused(const Computation& computation) {
    return computation.kind == Operation::Kind::kSums && computation.readers == 1;
  }

  const std::vector<Computation>& computations_;
  EvaluationPlan& plan_;
  std::vector<int> operation_of_;  // per value
};

}  // namespace

EvaluationPlan PlanEvaluation(std::span<const QuantizedModel* const> models, WantedTensors wanted) {
  Computations computations(models);
  std::vector<NumberedModel> numbered;
  for (size_t i = 0; i < models.size(); ++i) {
    const QuantizedGraph& graph = models[i]->graph;
    const std::vector<bool> needed = NeededSteps(graph, TensorsWanted(graph, wanted));
    numbered.push_back(computations.Number(static_cast<int>(i), needed));
  }
  // Models with long common prefixes side by side.
  std::vector<int> order(models.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return numbered[a].sequence < numbered[b].sequence; });
  EvaluationPlan plan;
  Schedule schedule(computations.all(), plan);
  for (const int model : order) {
    for (const int value : numbered[model].sequence) schedule.Compute(value);
    for (const int tensor : TensorsWanted(models[model]->graph, wanted)) {
      schedule.Want({model, tensor}, numbered[model].value_of_tensor[tensor]);
    }
  }
  schedule.Finish();
  return plan;
}

}  // namespace mico
