#pragma once

#include <vector>

#include "absl/status/statusor.h"

namespace mico::onnx_wire {
class GraphProto;
}

namespace mico {

// The nodes that the graph's outputs depend on, as indices, each after those it reads from and
// otherwise in the order of the file. InvalidArgument: a tensor is written twice or by nobody, or
// nodes read each other in a circle.
absl::StatusOr<std::vector<int>> OrderLiveNodes(const onnx_wire::GraphProto& graph);

}  // namespace mico
