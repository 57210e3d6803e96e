#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/graph.h"
#include "model/model_package.h"

namespace mico {

struct DraftNode {
  Node node;
  LayerWeights weights;  // kConv only
  // A factor and an offset per channel (batch norm, a constant added), written as a 1x1 depthwise
  // convolution until FoldAffine has had its turn. Where the file has flattened an image there may
  // be one for each element instead: such a node must be folded, the normal form has none like it.
  bool is_affine = false;

  bool IsAffineByElement() const {
    return is_affine && static_cast<int64_t>(weights.bias.size()) > node.conv().out_channels;
  }
};

// Gives an affine node `count` factors and offsets, a multiple of those it has: each that often.
void SpreadOver(LayerWeights& affine, size_t count);

// A network on its way to the normal form. Nodes are in execution order and values are written
// once, but some may be dead and the values have no names yet.
class Draft {
 public:
  explicit Draft(std::string name) : name_(std::move(name)) {}

  // Adds the input; its value's index.
  int AddInput(std::string name, const Shape& shape);

  // Adds a node behind the others and the value it writes, whose index it returns. The shape is
  // inferred (for Slice from `declared`); a name that is taken is made longer. ResourceExhausted
  // beyond 2^27 weights in all.
  absl::StatusOr<int> Append(DraftNode node, const Shape& declared = {});

  void AddOutput(std::string name, int value) { outputs_.push_back({std::move(name), value}); }
  const std::vector<GraphOutput>& outputs() const { return outputs_; }
  int input() const { return input_; }
  const Shape& shape(int value) const { return shapes_[value]; }
  std::vector<DraftNode>& nodes() { return nodes_; }
  const std::vector<DraftNode>& nodes() const { return nodes_; }

  // How many inputs read each value; every output of the network counts as one more.
  std::vector<int> CountReaders() const;
  // For each value the index of the node that writes it, -1 for none.
  std::vector<int> FindWriters() const;
  // The index of the node that writes `value`, -1 for none: only before the first pass, while each
  // node writes a later value than the one before it.
  int FindWriter(int value) const;
  // Erases the nodes marked in `erased`, which is parallel to nodes().
  void Erase(const std::vector<bool>& erased);

  // Drops unused values, names every value after the node that writes it, checks everything.
  absl::StatusOr<ModelPackage> Finish() &&;

 private:
  std::string name_;
  std::string input_name_;
  std::vector<Shape> shapes_;
  std::vector<DraftNode> nodes_;
  std::set<std::string> names_;
  int input_ = 0;
  std::vector<GraphOutput> outputs_;
  int64_t weight_count_ = 0;
};

// Passes, each in a file of its own.

// Afterwards an affine node is part of the convolutions before it, if it is the only reader of what
// they compute, or of the convolution behind it, if that is its only reader and pads no zeros that
// the offset would change. Between them may lie what keeps affine maps as they are: pools, slices,
// concats, paddings, additions. A node that finds no such convolution stays a 1x1 depthwise layer.
void FoldAffine(Draft& draft);

// Afterwards a ReLU that was the only reader of a convolution, addition or other ReLU is part of
// it.
void FuseActivations(Draft& draft);

// Afterwards two slices in a row, the second the only reader of the first, are one.
void MergeSlices(Draft& draft);

// Afterwards every node contributes to an output.
void RemoveDeadNodes(Draft& draft);

}  // namespace mico
