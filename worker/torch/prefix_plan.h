#pragma once

#include <span>
#include <vector>

#include "quant/quantized_model.h"

namespace mico {

// How models that run one after another on the same samples share work: a step whose predecessors
// are all equal in two neighbours gives equal tensors, so the second starts behind them.
struct PrefixPlan {
  // Parallel to the models: the first step that must be run, and for each tensor whether it is
  // still needed by a later model once this one has run.
  std::vector<int> first_step;
  std::vector<std::vector<bool>> keep;
};

// How many steps at the start of `a` and `b` do exactly the same.
int SharedSteps(const QuantizedModel& a, const QuantizedModel& b);

PrefixPlan PlanPrefixes(std::span<const QuantizedModel* const> models);

}  // namespace mico
