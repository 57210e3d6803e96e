#include "model/draft.h"

#include <algorithm>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {

int Draft::AddInput(std::string name, const Shape& shape) {
  names_.insert(name);
  input_name_ = std::move(name);
  input_ = static_cast<int>(shapes_.size());
  shapes_.push_back(shape);
  return input_;
}

absl::StatusOr<int> Draft::Append(DraftNode node, const Shape& declared) {
  constexpr int64_t kMostWeights = int64_t{1} << 27;
  weight_count_ += static_cast<int64_t>(node.weights.weights.size());
  if (weight_count_ > kMostWeights) {
    return absl::ResourceExhaustedError(fmt::format("node '{}' ({}): more than {} weights in all",
                                                    node.node.name, node.node.type, kMostWeights));
  }
  std::vector<Shape> inputs;
  for (const int input : node.node.inputs) inputs.push_back(shapes_[input]);
  MICO_ASSIGN_OR_RETURN(const Shape shape, InferShape(node.node, inputs, declared));
  while (!names_.insert(node.node.name).second) node.node.name += "_";
  node.node.output = static_cast<int>(shapes_.size());
  shapes_.push_back(shape);
  nodes_.push_back(std::move(node));
  return nodes_.back().node.output;
}

std::vector<int> Draft::CountReaders() const {
  std::vector<int> readers(shapes_.size(), 0);
  for (const DraftNode& node : nodes_) {
    for (const int input : node.node.inputs) ++readers[input];
  }
  for (const GraphOutput& output : outputs_) ++readers[output.value];
  return readers;
}

std::vector<int> Draft::FindWriters() const {
  std::vector<int> writers(shapes_.size(), -1);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    writers[nodes_[i].node.output] = static_cast<int>(i);
  }
  return writers;
}

int Draft::FindWriter(int value) const {
  const auto found =
      std::lower_bound(nodes_.begin(), nodes_.end(), value,
                       [](const DraftNode& node, int wanted) { return node.node.output < wanted; });
  if (found == nodes_.end() || found->node.output != value) return -1;
  return static_cast<int>(found - nodes_.begin());
}

void Draft::Erase(const std::vector<bool>& erased) {
  std::vector<DraftNode> kept;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!erased[i]) kept.push_back(std::move(nodes_[i]));
  }
  nodes_ = std::move(kept);
}

absl::StatusOr<ModelPackage> Draft::Finish() && {
  Graph graph{.name = std::move(name_)};
  Weights weights;
  std::vector<int> renumbered(shapes_.size(), -1);
  const auto add_value = [&](int old_index, const std::string& name) {
    renumbered[old_index] = static_cast<int>(graph.values.size());
    graph.values.push_back({name, shapes_[old_index]});
    return renumbered[old_index];
  };

  graph.input = add_value(input_, input_name_);
  for (DraftNode& draft_node : nodes_) {
    Node& node = draft_node.node;
    for (int& input : node.inputs) input = renumbered[input];
    node.output = add_value(node.output, node.name);
    if (node.op == OpKind::kConv) weights.layers.push_back(std::move(draft_node.weights));
    graph.nodes.push_back(std::move(node));
  }
  graph.outputs = std::move(outputs_);
  for (GraphOutput& output : graph.outputs) output.value = renumbered[output.value];
  return MakeModelPackage(std::move(graph), std::move(weights));
}

}  // namespace mico
