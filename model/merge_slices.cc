#include "model/draft.h"

namespace mico {
namespace {

// Element i of the second is element start + i * step of the first.
SliceAttributes Compose(const SliceAttributes& first, const SliceAttributes& second) {
  return {.start_channel = first.start_channel + second.start_channel * first.step_channel,
          .start_row = first.start_row + second.start_row * first.step_row,
          .start_column = first.start_column + second.start_column * first.step_column,
          .step_channel = first.step_channel * second.step_channel,
          .step_row = first.step_row * second.step_row,
          .step_column = first.step_column * second.step_column};
}

}  // namespace

void MergeSlices(Draft& draft) {
  std::vector<DraftNode>& nodes = draft.nodes();
  const std::vector<int> readers = draft.CountReaders();
  std::vector<int> writers = draft.FindWriters();
  std::vector<bool> merged(nodes.size(), false);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& second = nodes[i].node;
    if (second.op != OpKind::kSlice) continue;
    const int value = second.inputs[0];
    if (writers[value] < 0 || readers[value] != 1) continue;
    Node& first = nodes[writers[value]].node;
    if (first.op != OpKind::kSlice) continue;
    first.attributes = Compose(first.slice(), second.slice());
    first.output = second.output;
    writers[first.output] = writers[value];
    merged[i] = true;
  }
  draft.Erase(merged);
}

}  // namespace mico
