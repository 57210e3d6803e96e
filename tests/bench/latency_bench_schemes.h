#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/graph.h"
#include "quant/bit_scheme.h"

namespace mico {

// A scheme and what it is called in a table.
struct LabelledScheme {
  std::string label;
  BitScheme scheme;
};

// w8a8, w4a4, w2a2; the network's input keeps 8 bits.
std::vector<LabelledScheme> UniformSchemes(const Graph& graph);

// Three schemes as a search would find them, from sizes and places of the layers: "mixed 1" gives
// the big layers w4a8 and all others w8a8; "mixed 2" gives all but the first and the last w4a4;
// "mixed 3" is mixed 2 with w2a4 for the big ones. A layer is big that has more weights than the
// mean.
std::vector<LabelledScheme> MixedSchemes(const Graph& graph);

// "given 1", ...: as written by a user. InvalidArgument if one is no scheme of this network.
absl::StatusOr<std::vector<LabelledScheme>> GivenSchemes(const Graph& graph,
                                                         std::span<const std::string> texts);

}  // namespace mico
