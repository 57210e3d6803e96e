#include <algorithm>

#include "model/draft.h"

namespace mico {
namespace {

bool CanTakeActivation(OpKind op) {
  return op == OpKind::kConv || op == OpKind::kAdd || op == OpKind::kRelu;
}

// First `inner`, then `outer`: both clamp at 0 below, the smaller limit remains above.
FusedActivation Compose(const FusedActivation& inner, const FusedActivation& outer) {
  FusedActivation both = outer;
  if (inner.upper.has_value()) {
    both.upper = outer.upper.has_value() ? std::min(*inner.upper, *outer.upper) : *inner.upper;
  }
  return both;
}

}  // namespace

void FuseActivations(Draft& draft) {
  std::vector<DraftNode>& nodes = draft.nodes();
  const std::vector<int> readers = draft.CountReaders();
  std::vector<int> writers = draft.FindWriters();
  std::vector<bool> fused(nodes.size(), false);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& relu = nodes[i].node;
    if (relu.op != OpKind::kRelu) continue;
    const int value = relu.inputs[0];
    if (writers[value] < 0 || readers[value] != 1) continue;
    Node& producer = nodes[writers[value]].node;
    if (!CanTakeActivation(producer.op)) continue;
    producer.activation = Compose(producer.activation, relu.activation);
    producer.output = relu.output;
    writers[producer.output] = writers[value];
    fused[i] = true;
  }
  draft.Erase(fused);
}

}  // namespace mico
