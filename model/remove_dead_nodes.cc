#include "model/draft.h"

namespace mico {

void RemoveDeadNodes(Draft& draft) {
  std::vector<DraftNode>& nodes = draft.nodes();
  std::vector<bool> needed(draft.CountReaders().size(), false);
  std::vector<bool> dead(nodes.size(), false);
  for (const GraphOutput& output : draft.outputs()) needed[output.value] = true;
  for (size_t i = nodes.size(); i > 0; --i) {
    const Node& node = nodes[i - 1].node;
    dead[i - 1] = !needed[node.output];
    if (dead[i - 1]) continue;
    for (const int input : node.inputs) needed[input] = true;
  }
  draft.Erase(dead);
}

}  // namespace mico
