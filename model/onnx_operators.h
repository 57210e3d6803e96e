#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/draft.h"
#include "model/layout_view.h"
#include "model/onnx_arguments.h"
#include "model/onnx_node.h"

namespace mico {

// What a node reads. Parallel to its inputs: a view where the input is computed from the network's
// input, a constant where it is known, neither where it is left out.
struct OnnxInputs {
  std::vector<std::optional<LayoutView>> views;
  Constants constants;
  // The batch to which the file fixes the network's input. Views have a batch of 1 all the same.
  int64_t batch = 1;

  size_t size() const { return views.size(); }
  bool HasView(size_t index) const { return index < size() && views[index].has_value(); }
  bool HasConstant(size_t index) const { return index < size() && constants[index] != nullptr; }
};

// One operator of the file that computes with the network's data.
struct OnnxOperator {
  std::string_view type;
  // What can be said without the inputs; may be null. It runs even behind nodes that are not
  // supported, so that one error lists them all.
  absl::Status (*check)(const OnnxNode& node);
  // Appends what the node does to the draft, and returns how the file sees the result. The first
  // input is a view, unless the operator is one of several inputs: Add, MatMul, Concat, ...
  absl::StatusOr<LayoutView> (*import)(const OnnxNode& node, const OnnxInputs& inputs,
                                       Draft& draft);
};

// Null if we have none of that type.
const OnnxOperator* FindOnnxOperator(std::string_view type);

// Whether the operator changes only how a tensor is seen, never its values.
bool IsLayoutOperator(std::string_view type);

// Every type in the table, in alphabetical order.
std::vector<std::string_view> OnnxOperatorTypes();

// The operators, by file: onnx_windows.cc, onnx_linear.cc, onnx_elementwise.cc,
// onnx_activations.cc, onnx_layout.cc.
absl::Status CheckConv(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportConv(const OnnxNode&, const OnnxInputs&, Draft&);
absl::Status CheckPool(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportMaxPool(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportAveragePool(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportGlobalAveragePool(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportReduceMean(const OnnxNode&, const OnnxInputs&, Draft&);

absl::Status CheckGemm(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportGemm(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportMatMul(const OnnxNode&, const OnnxInputs&, Draft&);

absl::StatusOr<LayoutView> ImportAdd(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportSub(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportMul(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportDiv(const OnnxNode&, const OnnxInputs&, Draft&);
absl::Status CheckBatchNormalization(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportBatchNormalization(const OnnxNode&, const OnnxInputs&, Draft&);

absl::StatusOr<LayoutView> ImportRelu(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportClip(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportMax(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportMin(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportSoftmax(const OnnxNode&, const OnnxInputs&, Draft&);

absl::StatusOr<LayoutView> ImportReshape(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportTranspose(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportIdentity(const OnnxNode&, const OnnxInputs&, Draft&);
absl::Status CheckCast(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportDropout(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportConcat(const OnnxNode&, const OnnxInputs&, Draft&);
absl::StatusOr<LayoutView> ImportSlice(const OnnxNode&, const OnnxInputs&, Draft&);
absl::Status CheckPad(const OnnxNode& node);
absl::StatusOr<LayoutView> ImportPad(const OnnxNode&, const OnnxInputs&, Draft&);

}  // namespace mico
