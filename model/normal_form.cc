#include "model/normal_form.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "model/onnx_tensor.h"

namespace mico {

std::string WhyNoOutput(const Draft& draft, const LayoutView& view) {
  if (view.value() == draft.input()) {
    return "the network's input; needs something computed from it";
  }
  const bool is_vector = view.shape().height == 1 && view.shape().width == 1;
  if (is_vector || view.IsImage() || view.IsSignal()) return "";
  return fmt::format(
      "{}; supported are a vector, batch, channels, length and batch, channels, "
      "rows, columns",
      DimsToString(view.dims()));
}

std::vector<std::string> Normalise(Draft& draft) {
  constexpr void (*kPasses[])(Draft&) = {RemoveDeadNodes, FoldAffine, FuseActivations, MergeSlices};
  for (const auto pass : kPasses) pass(draft);
  std::vector<std::string> problems;
  for (const DraftNode& node : draft.nodes()) {
    if (!node.IsAffineByElement()) continue;
    problems.push_back(
        fmt::format("'{}' ({}): has numbers of its own for each element of {}; supported "
                    "only where nothing but one fully connected layer reads the result",
                    node.node.name, node.node.type, ToString(draft.shape(node.node.output))));
  }
  return problems;
}

absl::StatusOr<ModelPackage> FinishNormalised(Draft draft) {
  const bool has_layer =
      std::any_of(draft.nodes().begin(), draft.nodes().end(),
                  [](const DraftNode& node) { return node.node.op == OpKind::kConv; });
  if (!has_layer) {
    return absl::InvalidArgumentError("the network has no layer with weights; nothing to quantize");
  }
  return std::move(draft).Finish();
}

}  // namespace mico
