#include "model/draft.h"

namespace mico {
namespace {

// weights * x + bias, then factor * that + offset, all per output channel.
void Scale(LayerWeights& layer, const LayerWeights& affine) {
  const size_t channels = layer.bias.size();
  const size_t per_channel = layer.weights.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    const double factor = affine.weights[c];
    for (size_t i = c * per_channel; i < (c + 1) * per_channel; ++i) {
      layer.weights[i] = static_cast<float>(layer.weights[i] * factor);
    }
    layer.bias[c] = static_cast<float>(layer.bias[c] * factor + affine.bias[c]);
  }
}

}  // namespace

void FoldAffine(Draft& draft) {
  std::vector<DraftNode>& nodes = draft.nodes();
  const std::vector<int> readers = draft.CountReaders();
  std::vector<int> writers = draft.FindWriters();
  std::vector<bool> folded(nodes.size(), false);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].is_affine) continue;
    const int value = nodes[i].node.inputs[0];
    if (writers[value] < 0 || readers[value] != 1) continue;
    DraftNode& producer = nodes[writers[value]];
    if (producer.node.op != OpKind::kConv) continue;
    Scale(producer.weights, nodes[i].weights);
    producer.node.output = nodes[i].node.output;
    writers[producer.node.output] = writers[value];
    folded[i] = true;
  }
  draft.Erase(folded);
}

}  // namespace mico
