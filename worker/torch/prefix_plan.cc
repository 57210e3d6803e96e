#include "worker/torch/prefix_plan.h"

#include <algorithm>

namespace mico {
namespace {

bool IsSame(const QuantizedModel& a, const QuantizedModel& b, int step) {
  const Step& mine = a.graph.steps[step];
  const Step& other = b.graph.steps[step];
  const QuantizedTensor& written = a.graph.tensors[mine.output];
  const QuantizedTensor& other_written = b.graph.tensors[other.output];
  return mine.kind == other.kind && mine.inputs == other.inputs && mine.output == other.output &&
         mine.attributes == other.attributes && written.shape == other_written.shape &&
         a.numbers[step] == b.numbers[step];
}

bool ReadTheSameInput(const QuantizedModel& a, const QuantizedModel& b) {
  const QuantizedTensor& mine = a.graph.tensors[a.graph.input];
  const QuantizedTensor& other = b.graph.tensors[b.graph.input];
  return a.graph.input == b.graph.input && mine.shape == other.shape && mine.type == other.type &&
         a.input_scale() == b.input_scale();
}

// The tensors that `model` finds when it starts at `first_step`: those that its steps from there on
// read and did not write.
std::vector<bool> TensorsFound(const QuantizedModel& model, int first_step) {
  std::vector<bool> found(model.graph.tensors.size(), false);
  std::vector<bool> is_written(model.graph.tensors.size(), false);
  for (size_t i = first_step; i < model.graph.steps.size(); ++i) {
    const Step& step = model.graph.steps[i];
    for (const int input : step.inputs) found[input] = found[input] || !is_written[input];
    is_written[step.output] = true;
  }
  // An output may be shared; then it is itself what is found.
  for (const QuantizedOutput& output : model.graph.outputs) {
    if (!is_written[output.tensor]) found[output.tensor] = true;
  }
  return found;
}

}  // namespace

int SharedSteps(const QuantizedModel& a, const QuantizedModel& b) {
  if (!ReadTheSameInput(a, b)) return 0;
  const int steps = static_cast<int>(std::min(a.graph.steps.size(), b.graph.steps.size()));
  int shared = 0;
  while (shared < steps && IsSame(a, b, shared)) ++shared;
  return shared;
}

PrefixPlan PlanPrefixes(std::span<const QuantizedModel* const> models) {
  PrefixPlan plan;
  for (size_t i = 0; i < models.size(); ++i) {
    plan.first_step.push_back(i == 0 ? 0 : SharedSteps(*models[i - 1], *models[i]));
    plan.keep.emplace_back(models[i]->graph.tensors.size(), false);
  }
  // A model may find what was written several models before it, if all between kept it.
  for (size_t reader = 1; reader < models.size(); ++reader) {
    const std::vector<bool> found = TensorsFound(*models[reader], plan.first_step[reader]);
    int cut = plan.first_step[reader];
    for (size_t keeper = reader; keeper-- > 0 && cut > 0;) {
      std::vector<bool>& keep = plan.keep[keeper];
      for (size_t tensor = 0; tensor < std::min(found.size(), keep.size()); ++tensor) {
        keep[tensor] = keep[tensor] || found[tensor];
      }
      cut = std::min(cut, plan.first_step[keeper]);
    }
  }
  return plan;
}

}  // namespace mico
