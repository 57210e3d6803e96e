#pragma once

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
  // convolution until FoldAffine has had its turn.
  bool is_affine = false;
};

// A network on its way to the normal form. Nodes are in execution order and values are written
// once, but some may be dead and the values have no names yet.
class Draft {
 public:
  explicit Draft(std::string name) : name_(std::move(name)) {}

  // Adds the input; its value's index.
  int AddInput(std::string name, const Shape& shape);

  // Adds a node behind the others and the value it writes, whose index it returns. The shape is
  // inferred (for Slice from `declared`). ResourceExhausted beyond 2^27 weights in all.
  absl::StatusOr<int> Append(DraftNode node, const Shape& declared = {});

  void set_output(int value) { output_ = value; }
  int output() const { return output_; }
  const Shape& shape(int value) const { return shapes_[value]; }
  std::vector<DraftNode>& nodes() { return nodes_; }

  // How many inputs read each value; the network's output counts as one more.
  std::vector<int> CountReaders() const;
  // For each value the index of the node that writes it, -1 for none.
  std::vector<int> FindWriters() const;
  // Erases the nodes marked in `erased`, which is parallel to nodes().
  void Erase(const std::vector<bool>& erased);

  // Drops unused values, names every value after the node that writes it, checks everything.
  absl::StatusOr<ModelPackage> Finish() &&;

 private:
  std::string name_;
  std::string input_name_;
  std::vector<Shape> shapes_;
  std::vector<DraftNode> nodes_;
  int input_ = 0;
  int output_ = 0;
  int64_t weight_count_ = 0;
};

// Passes, each in a file of its own.

// Afterwards an affine node is part of the convolution whose only reader it was; one that had no
// such convolution before it stays a 1x1 depthwise layer.
void FoldAffine(Draft& draft);

// Afterwards a ReLU that was the only reader of a convolution, addition or other ReLU is part of
// it.
void FuseActivations(Draft& draft);

// Afterwards two slices in a row, the second the only reader of the first, are one.
void MergeSlices(Draft& draft);

// Afterwards every node contributes to the output.
void RemoveDeadNodes(Draft& draft);

}  // namespace mico
