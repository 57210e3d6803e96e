// Operators that treat every element by itself: additions, batch norm, activations.

#include <cmath>
#include <limits>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;

absl::StatusOr<LayoutView> AppendAffine(const OnnxNode& node, const LayoutView& input,
                                        LayerWeights affine, Draft& draft) {
  const int64_t channels = input.shape().channels;
  MICO_ASSIGN_OR_RETURN(
      const int value,
      draft.Append(
          {.node = {.name = node.name(),
                    .type = node.type(),
                    .op = OpKind::kConv,
                    .inputs = {input.value()},
                    .attributes = ConvAttributes{.groups = channels, .out_channels = channels}},
           .weights = std::move(affine),
           .is_affine = true}));
  return input.Of(value);
}

absl::StatusOr<LayoutView> AppendRelu(const OnnxNode& node, const OnnxInputs& inputs,
                                      std::optional<float> upper, Draft& draft) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  const LayoutView& input = *inputs.views[0];
  MICO_ASSIGN_OR_RETURN(const int value,
                        draft.Append({.node = {.name = node.name(),
                                               .type = node.type(),
                                               .op = OpKind::kRelu,
                                               .inputs = {input.value()},
                                               .activation = {.relu = true, .upper = upper}}}));
  return input.Of(value);
}

// The value of `constant` for each channel of `view`, broadcast by ONNX's rules.
absl::StatusOr<std::vector<float>> PerChannel(const ConstantTensor& constant,
                                              const LayoutView& view) {
  if (!constant.is_float) return Malformed("adds integers to floats");
  const std::vector<int64_t> dims = view.dims();
  const std::string mismatch =
      fmt::format("adds a constant {} to {}; only one value for each channel is supported",
                  DimsToString(constant.dims), DimsToString(dims));
  if (constant.size() == 1 && constant.dims.size() <= dims.size()) {
    // The only place where a few bytes of the file become as many numbers as they say.
    constexpr int64_t kMostChannels = int64_t{1} << 24;
    if (view.shape().channels > kMostChannels) {
      return absl::ResourceExhaustedError(
          fmt::format("adds to {} channels; at most {}", view.shape().channels, kMostChannels));
    }
    return std::vector<float>(view.shape().channels, constant.floats[0]);
  }
  for (size_t i = 0; i < constant.dims.size(); ++i) {
    if (constant.dims[i] == 1) continue;
    if (constant.dims.size() > dims.size()) return Unsupported(mismatch);
    const size_t dim = dims.size() - constant.dims.size() + i;
    const bool is_channel = view.LongAxes(dim) == std::vector<Axis>{Axis::kChannel};
    if (!is_channel || constant.dims[i] != dims[dim]) return Unsupported(mismatch);
  }
  // All other extents are 1, so the values lie one for each channel.
  if (constant.size() != view.shape().channels) return Unsupported(mismatch);
  return constant.floats;
}

absl::StatusOr<LayoutView> AddConstant(const OnnxNode& node, const LayoutView& view,
                                       const ConstantTensor& constant, Draft& draft) {
  MICO_ASSIGN_OR_RETURN(std::vector<float> offsets, PerChannel(constant, view));
  std::vector<float> ones(offsets.size(), 1.0f);
  return AppendAffine(node, view, {std::move(ones), std::move(offsets)}, draft);
}

// The four vectors of a batch norm.
absl::StatusOr<std::vector<float>> NormVector(const OnnxInputs& inputs, size_t index,
                                              std::string_view name, int64_t channels) {
  if (!inputs.HasConstant(index)) {
    return Unsupported(fmt::format("its {} is not constant", name));
  }
  const ConstantTensor& vector = *inputs.constants[index];
  if (!vector.is_float || vector.size() != channels) {
    return Malformed(fmt::format("its {} has {} values; needs {}", name, vector.size(), channels));
  }
  return vector.floats;
}

}  // namespace

absl::StatusOr<LayoutView> ImportAdd(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  if (inputs.size() != 2) return Malformed(fmt::format("{} inputs; needs 2", inputs.size()));
  if (inputs.HasConstant(0))
    return AddConstant(node, *inputs.views[1], *inputs.constants[0], draft);
  if (inputs.HasConstant(1))
    return AddConstant(node, *inputs.views[0], *inputs.constants[1], draft);
  if (!inputs.HasView(0) || !inputs.HasView(1)) return Malformed("an input is left out");
  const LayoutView& a = *inputs.views[0];
  const LayoutView& b = *inputs.views[1];
  if (a.dims() != b.dims() || a.shape() != b.shape() || a.Order() != b.Order()) {
    return Unsupported(fmt::format("adds {} and {}; only equal shapes are supported",
                                   DimsToString(a.dims()), DimsToString(b.dims())));
  }
  MICO_ASSIGN_OR_RETURN(const int value,
                        draft.Append({.node = {.name = node.name(),
                                               .type = node.type(),
                                               .op = OpKind::kAdd,
                                               .inputs = {a.value(), b.value()}}}));
  return a.Of(value);
}

absl::Status CheckBatchNormalization(const OnnxNode& node) {
  if (node.Int("training_mode", 0) != 0) return Unsupported("training_mode");
  if (node.Int("spatial", 1) != 1) return Unsupported("spatial=0");
  return absl::OkStatus();
}

absl::StatusOr<LayoutView> ImportBatchNormalization(const OnnxNode& node, const OnnxInputs& inputs,
                                                    Draft& draft) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  const LayoutView& input = *inputs.views[0];
  const int64_t channels = input.shape().channels;
  const bool by_channel = input.rank() >= 2 && input.dims()[1] == channels &&
                          (channels == 1 || input.LongAxes(1) == std::vector<Axis>{Axis::kChannel});
  if (!by_channel) {
    return Unsupported(
        fmt::format("normalises {} along another axis than channels", DimsToString(input.dims())));
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<float> scale, NormVector(inputs, 1, "scale", channels));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> offset, NormVector(inputs, 2, "offset", channels));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> mean, NormVector(inputs, 3, "mean", channels));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> variance,
                        NormVector(inputs, 4, "variance", channels));

  LayerWeights affine;
  for (int64_t c = 0; c < channels; ++c) {
    const double spread = static_cast<double>(variance[c]) + node.Float("epsilon", 1e-5f);
    if (!(spread > 0)) return Malformed(fmt::format("its variance {} is negative", variance[c]));
    const double factor = scale[c] / std::sqrt(spread);
    affine.weights.push_back(static_cast<float>(factor));
    affine.bias.push_back(static_cast<float>(offset[c] - mean[c] * factor));
  }
  return AppendAffine(node, input, std::move(affine), draft);
}

absl::StatusOr<LayoutView> ImportRelu(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  return AppendRelu(node, inputs, std::nullopt, draft);
}

absl::StatusOr<LayoutView> ImportClip(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const std::optional<float> low,
                        FloatArgument(node, inputs.constants, "min", 1, 11));
  MICO_ASSIGN_OR_RETURN(const std::optional<float> high,
                        FloatArgument(node, inputs.constants, "max", 2, 11));
  if (low != 0.0f || (high.has_value() && !(*high > 0))) {
    return Unsupported(
        fmt::format("clips to [{}, {}]; only a lower limit of 0 and an upper one "
                    "above it are supported",
                    low.value_or(-std::numeric_limits<float>::infinity()),
                    high.value_or(std::numeric_limits<float>::infinity())));
  }
  // The largest float is how exporters write "no limit".
  const bool limited = high.has_value() && *high < std::numeric_limits<float>::max();
  return AppendRelu(node, inputs, limited ? high : std::nullopt, draft);
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
