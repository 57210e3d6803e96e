#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/draft.h"
#include "model/layout_view.h"

namespace mico {

// What keeps a tensor from being an output of the network; empty if nothing does.
std::string WhyNoOutput(const Draft& draft, const LayoutView& view);

// Runs the passes of model/draft.h. Afterwards the draft can be finished, unless there are reasons
// against it, a line each.
std::vector<std::string> Normalise(Draft& draft);

// The last step of every importer. InvalidArgument: no layer with weights.
absl::StatusOr<ModelPackage> FinishNormalised(Draft draft);

}  // namespace mico
