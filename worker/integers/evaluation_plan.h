#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/graph.h"
#include "quant/quantized_model.h"

namespace mico {

// One computation on a batch. Values are numbered over all models of a plan.
struct Operation {
  enum class Kind {
    kInput,       // the samples, on the grid of the model's input
    kSums,        // a convolution's sums of products, which several requantizations read
    kRequantize,  // those sums to the step's output
    kStep,        // a step as a whole
  };
  Kind kind = Kind::kStep;
  int model = 0, step = 0;  // the first of the equal ones; kInput: no step
  std::vector<int> inputs;  // values
  int output = 0;           // value
  // Values that nobody reads after this operation, `output` among them where nobody does.
  std::vector<int> last_reads;
  // Who asked for the output.
  struct Result {
    int model = 0;
    int tensor = 0;  // of the model's graph
  };
  std::vector<Result> results;
};

// What several models of one network compute on the same samples, each distinct computation once:
// two steps are one if they do the same to equal inputs, so what is shared is every tensor whose
// producing sub-graph has equal numbers. The sums of a layer are shared by readers at different
// widths. Operations lie in an order that is depth-first over the tree of shared prefixes: a value
// is freed as soon as no model needs it.
struct EvaluationPlan {
  std::vector<Operation> operations;
  int values = 0;
  // The most that lies in memory at one time, of one sample.
  int64_t peak_bytes = 0;
  // What all operations write, of one sample: with the batch it decides what stays in a cache.
  int64_t written_bytes = 0;
};

// Which tensors of each model are wanted.
enum class WantedTensors { kScored, kOutputs, kAll };

EvaluationPlan PlanEvaluation(std::span<const QuantizedModel* const> models, WantedTensors wanted);

}  // namespace mico
