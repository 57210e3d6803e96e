// Operators that bound every element, and Softmax, which vanishes.

#include <cmath>
#include <limits>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;

// What a clip leaves; nothing: no limit on that side.
struct Limits {
  std::optional<float> low, high;
};

// Whether no element of the value can be negative, as far as the node that writes it tells.
bool IsBehindRelu(const Draft& draft, int value) {
  const int writer = draft.FindWriter(value);
  return writer >= 0 && draft.nodes()[writer].node.op == OpKind::kRelu;
}

absl::StatusOr<LayoutView> AppendRelu(const OnnxNode& node, const LayoutView& input,
                                      std::optional<float> upper, Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const int value,
                        draft.Append({.node = {.name = node.name(),
                                               .type = node.type(),
                                               .op = OpKind::kRelu,
                                               .inputs = {input.value()},
                                               .activation = {.relu = true, .upper = upper}}}));
  return input.Of(value);
}

absl::StatusOr<LayoutView> AppendClip(const OnnxNode& node, const LayoutView& input, Limits limits,
                                      Draft& draft) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // The largest floats are how exporters write "no limit".
  const float low = limits.low.value_or(-kInfinity), high = limits.high.value_or(kInfinity);
  const bool has_low = low > std::numeric_limits<float>::lowest();
  const bool has_high = high < std::numeric_limits<float>::max();
  if (!std::isnan(low) && !std::isnan(high)) {
    if (!has_low && !has_high) return input;
    const bool is_relu = low == 0 || (low < 0 && IsBehindRelu(draft, input.value()));
    if (is_relu && high > 0) {
      return AppendRelu(node, input, has_high ? std::optional(high) : std::nullopt, draft);
    }
  }
  return Unsupported(
      fmt::format("clips to [{}, {}]; only a lower limit of 0 (none is needed behind a ReLU) and "
                  "an upper one above it are supported",
                  low, high));
}

absl::StatusOr<LayoutView> NeedView(const OnnxInputs& inputs) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  return *inputs.views[0];
}

// Min or Max of the network's data and one constant number.
absl::StatusOr<LayoutView> ImportBound(const OnnxNode& node, const OnnxInputs& inputs, bool is_low,
                                       Draft& draft) {
  const bool data_first = inputs.HasView(0) && inputs.HasConstant(1);
  const bool data_last = inputs.HasConstant(0) && inputs.HasView(1);
  const ConstantTensor* bound = data_first  ? inputs.constants[1].get()
                                : data_last ? inputs.constants[0].get()
                                            : nullptr;
  if (inputs.size() != 2 || bound == nullptr || bound->size() != 1) {
    return Unsupported("only the network's data and one constant number are supported");
  }
  if (!bound->is_float) return Malformed("compares floats with integers");
  const LayoutView& input = *inputs.views[data_first ? 0 : 1];
  if (bound->dims.size() > input.rank()) return Unsupported("its constant has more dimensions");
  Limits limits;
  (is_low ? limits.low : limits.high) = bound->floats[0];
  return AppendClip(node, input, limits, draft);
}

}  // namespace

absl::StatusOr<LayoutView> ImportRelu(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  return AppendRelu(node, input, std::nullopt, draft);
}

absl::StatusOr<LayoutView> ImportClip(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  Limits limits;
  MICO_ASSIGN_OR_RETURN(limits.low, FloatArgument(node, inputs.constants, "min", 1, 11));
  MICO_ASSIGN_OR_RETURN(limits.high, FloatArgument(node, inputs.constants, "max", 2, 11));
  return AppendClip(node, input, limits, draft);
}

absl::StatusOr<LayoutView> ImportMax(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  return ImportBound(node, inputs, /*is_low=*/true, draft);
}

absl::StatusOr<LayoutView> ImportMin(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  return ImportBound(node, inputs, /*is_low=*/false, draft);
}

// The importer has seen to it that nothing but the network's output follows. Dropping it keeps the
// order of the classes, as long as it compares channels.
absl::StatusOr<LayoutView> ImportSoftmax(const OnnxNode& node, const OnnxInputs& inputs,
                                         Draft& draft) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  const LayoutView& input = *inputs.views[0];
  MICO_ASSIGN_OR_RETURN(const int64_t axis,
                        NormaliseAxis(node.Int("axis", node.opset() < 13 ? 1 : -1), input.rank()));
  // Before operator set 13 all axes from the given one on are compared together.
  const bool from_axis_on = node.opset() < 13;
  std::vector<Axis> compared;
  for (size_t dim = axis; dim < (from_axis_on ? input.rank() : axis + 1); ++dim) {
    for (const Axis long_axis : input.LongAxes(dim)) compared.push_back(long_axis);
  }
  if (compared == std::vector<Axis>{Axis::kChannel}) return input;
  return Unsupported("compares other elements than the channels of one position");
}

}  // namespace mico
