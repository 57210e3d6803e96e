#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/quantized_graph.h"

namespace mico {

// All that one step's run time depends on, as canonical text, so that measurements are shared
// between layers, models and jobs:
//   "conv x=16x16x32:u8 w=s4 y=16x16x32:u4 k=3x3 s=1x1 p=1,1,1,1 d=1x1 g=1"
// Shapes are height x width x channels. The text is the whole content: a step can be rebuilt from
// it.
std::string StepSignature(const QuantizedGraph& graph, const Step& step);

// The one-step graph that a signature describes (tensors named "x", "x2", ..., "y").
// InvalidArgument for anything StepSignature would not have written; every size is bounded.
absl::StatusOr<QuantizedGraph> ParseSignature(std::string_view signature);

}  // namespace mico
