// Arithmetic of every element with a constant or with another tensor: additions, factors, batch
// norm.

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;

// The only places where a few bytes of the file become as many numbers as they say.
constexpr int64_t kMostNumbers = int64_t{1} << 24;

absl::StatusOr<LayoutView> AppendAffine(const OnnxNode& node, std::string name,
                                        const LayoutView& input, LayerWeights affine,
                                        Draft& draft) {
  const int64_t channels = input.shape().channels;
  MICO_ASSIGN_OR_RETURN(
      const int value,
      draft.Append(
          {.node = {.name = std::move(name),
                    .type = node.type(),
                    .op = OpKind::kConv,
                    .inputs = {input.value()},
                    .attributes = ConvAttributes{.groups = channels, .out_channels = channels}},
           .weights = std::move(affine),
           .is_affine = true}));
  return input.Of(value);
}

// Whether a constant of these dims has one number for each channel, or one for all.
bool IsByChannel(const ConstantTensor& constant, const LayoutView& view,
                 const std::vector<int64_t>& dims) {
  if (constant.size() == 1) return true;
  for (size_t i = 0; i < constant.dims.size(); ++i) {
    if (constant.dims[i] == 1) continue;
    const size_t dim = dims.size() - constant.dims.size() + i;
    if (view.LongAxes(dim) != std::vector<Axis>{Axis::kChannel}) return false;
  }
  // All other extents are 1, so the values lie one for each channel.
  return true;
}

// One number for each channel where all elements of every channel have the same.
std::vector<float> Collapse(std::vector<float> by_element, int64_t channels) {
  const size_t per_channel = by_element.size() / channels;
  std::vector<float> by_channel;
  for (size_t i = 0; i < by_element.size(); i += per_channel) by_channel.push_back(by_element[i]);
  for (size_t i = 0; i < by_element.size(); ++i) {
    if (by_element[i] != by_channel[i / per_channel]) return by_element;
  }
  return by_channel;
}

// The numbers of a constant for each element of the value, however the file turned it.
std::vector<float> ByElement(const ConstantTensor& constant, const LayoutView& view,
                             const std::vector<int64_t>& dims) {
  const std::vector<int64_t> places = FeaturePlaces(view);
  std::vector<float> by_element(places.size());
  std::vector<int64_t> index(dims.size(), 0);
  for (const int64_t place : places) {
    int64_t position = 0;
    for (size_t i = 0; i < constant.dims.size(); ++i) {
      const int64_t at = index[dims.size() - constant.dims.size() + i];
      position = position * constant.dims[i] + (constant.dims[i] == 1 ? 0 : at);
    }
    by_element[place] = constant.floats[position];
    for (size_t dim = dims.size(); dim > 0 && ++index[dim - 1] == dims[dim - 1]; --dim) {
      index[dim - 1] = 0;
    }
  }
  return by_element;
}

// The numbers of a constant, broadcast to `view` by ONNX's rules: one for each channel, or one for
// each element.
absl::StatusOr<std::vector<float>> Broadcast(const ConstantTensor& constant,
                                             const LayoutView& view) {
  if (!constant.is_float) return Malformed("mixes integers with floats");
  const std::vector<int64_t> dims = view.dims();
  bool fits = constant.dims.size() <= dims.size() && constant.size() > 0;
  for (size_t i = 0; fits && i < constant.dims.size(); ++i) {
    const int64_t extent = dims[dims.size() - constant.dims.size() + i];
    fits = constant.dims[i] == 1 || constant.dims[i] == extent;
  }
  if (!fits) {
    return Unsupported(
        fmt::format("takes a constant {} to {}; only one that broadcasts to it is "
                    "supported",
                    DimsToString(constant.dims), DimsToString(dims)));
  }
  const bool by_channel = IsByChannel(constant, view, dims);
  const int64_t numbers = by_channel ? view.shape().channels : view.shape().elements();
  if (numbers > kMostNumbers) {
    return absl::ResourceExhaustedError(fmt::format(
        "takes a constant to {} numbers; at most {} are supported", numbers, kMostNumbers));
  }
  if (!by_channel) return Collapse(ByElement(constant, view, dims), view.shape().channels);
  if (constant.size() == 1) return std::vector<float>(numbers, constant.floats[0]);
  return constant.floats;
}

// factor * x + offset, with the constant as one of the two.
using MakeAffine = LayerWeights (*)(std::vector<float> constant);

absl::StatusOr<LayoutView> WithConstant(const OnnxNode& node, const LayoutView& view,
                                        const ConstantTensor& constant, MakeAffine make,
                                        Draft& draft) {
  MICO_ASSIGN_OR_RETURN(std::vector<float> values, Broadcast(constant, view));
  return AppendAffine(node, node.name(), view, make(std::move(values)), draft);
}

LayerWeights Plus(std::vector<float> offsets) {
  const size_t count = offsets.size();
  return {std::vector<float>(count, 1.0f), std::move(offsets)};
}

LayerWeights Minus(std::vector<float> offsets) {
  for (float& offset : offsets) offset = -offset;
  return Plus(std::move(offsets));
}

LayerWeights MinusData(std::vector<float> offsets) {
  const size_t count = offsets.size();
  return {std::vector<float>(count, -1.0f), std::move(offsets)};
}

LayerWeights Times(std::vector<float> factors) {
  const size_t count = factors.size();
  return {std::move(factors), std::vector<float>(count, 0.0f)};
}

LayerWeights Over(std::vector<float> divisors) {
  for (float& divisor : divisors) divisor = 1.0f / divisor;
  return Times(std::move(divisors));
}

absl::Status NeedTwo(const OnnxInputs& inputs) {
  if (inputs.size() != 2) return Malformed(fmt::format("{} inputs; needs 2", inputs.size()));
  const auto is_given = [&](size_t i) { return inputs.HasView(i) || inputs.HasConstant(i); };
  if (!is_given(0) || !is_given(1)) return Malformed("an input is left out");
  return absl::OkStatus();
}

absl::Status NeedEqualViews(const LayoutView& a, const LayoutView& b, std::string_view verb) {
  if (a.dims() == b.dims() && a.shape() == b.shape() && a.Order() == b.Order()) {
    return absl::OkStatus();
  }
  return Unsupported(fmt::format("{} {} and {}; only equal shapes are supported", verb,
                                 DimsToString(a.dims()), DimsToString(b.dims())));
}

absl::StatusOr<LayoutView> AppendAdd(const OnnxNode& node, const LayoutView& a, const LayoutView& b,
                                     Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const int value,
                        draft.Append({.node = {.name = node.name(),
                                               .type = node.type(),
                                               .op = OpKind::kAdd,
                                               .inputs = {a.value(), b.value()}}}));
  return a.Of(value);
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

// Factors and offsets as the file has them: one for each index of the dimension behind the batch.
absl::StatusOr<LayerWeights> NormNumbers(const OnnxNode& node, const OnnxInputs& inputs,
                                         int64_t count) {
  MICO_ASSIGN_OR_RETURN(const std::vector<float> scale, NormVector(inputs, 1, "scale", count));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> offset, NormVector(inputs, 2, "offset", count));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> mean, NormVector(inputs, 3, "mean", count));
  MICO_ASSIGN_OR_RETURN(const std::vector<float> variance,
                        NormVector(inputs, 4, "variance", count));
  LayerWeights affine;
  for (int64_t c = 0; c < count; ++c) {
    const double spread = static_cast<double>(variance[c]) + node.Float("epsilon", 1e-5f);
    if (!(spread > 0)) return Malformed(fmt::format("its variance {} is negative", variance[c]));
    const double factor = scale[c] / std::sqrt(spread);
    affine.weights.push_back(static_cast<float>(factor));
    affine.bias.push_back(static_cast<float>(offset[c] - mean[c] * factor));
  }
  return affine;
}

}  // namespace

absl::StatusOr<LayoutView> ImportAdd(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  MICO_RETURN_IF_ERROR(NeedTwo(inputs));
  for (const int constant : {0, 1}) {
    if (!inputs.HasConstant(constant)) continue;
    return WithConstant(node, *inputs.views[1 - constant], *inputs.constants[constant], Plus,
                        draft);
  }
  MICO_RETURN_IF_ERROR(NeedEqualViews(*inputs.views[0], *inputs.views[1], "adds"));
  return AppendAdd(node, *inputs.views[0], *inputs.views[1], draft);
}

// a - b is a + (-1 * b); the factor usually disappears in the layer that writes b.
absl::StatusOr<LayoutView> ImportSub(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  MICO_RETURN_IF_ERROR(NeedTwo(inputs));
  if (inputs.HasConstant(0)) {
    return WithConstant(node, *inputs.views[1], *inputs.constants[0], MinusData, draft);
  }
  if (inputs.HasConstant(1)) {
    return WithConstant(node, *inputs.views[0], *inputs.constants[1], Minus, draft);
  }
  const LayoutView& a = *inputs.views[0];
  const LayoutView& b = *inputs.views[1];
  MICO_RETURN_IF_ERROR(NeedEqualViews(a, b, "subtracts"));
  const std::vector<float> ones(b.shape().channels, -1.0f);
  MICO_ASSIGN_OR_RETURN(const LayoutView negated,
                        AppendAffine(node, node.name() + ":negated", b, Times(ones), draft));
  return AppendAdd(node, a, negated, draft);
}

absl::StatusOr<LayoutView> ImportMul(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  MICO_RETURN_IF_ERROR(NeedTwo(inputs));
  for (const int constant : {0, 1}) {
    if (!inputs.HasConstant(constant)) continue;
    return WithConstant(node, *inputs.views[1 - constant], *inputs.constants[constant], Times,
                        draft);
  }
  return Unsupported("multiplies two tensors of the network; only a constant factor is supported");
}

absl::StatusOr<LayoutView> ImportDiv(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  MICO_RETURN_IF_ERROR(NeedTwo(inputs));
  if (!inputs.HasConstant(1)) {
    return Unsupported("divides by the network's data; only a constant divisor is supported");
  }
  for (const float divisor : inputs.constants[1]->floats) {
    if (divisor == 0.0f) return Malformed("divides by zero");
  }
  return WithConstant(node, *inputs.views[0], *inputs.constants[1], Over, draft);
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
  const std::vector<int64_t> dims = input.dims();
  if (dims.size() < 2) return Malformed(fmt::format("normalises {}", DimsToString(dims)));
  MICO_ASSIGN_OR_RETURN(LayerWeights affine, NormNumbers(node, inputs, dims[1]));
  // The numbers broadcast like constants of the shape [channels, 1, ...].
  std::vector<int64_t> shape(dims.size() - 1, 1);
  shape[0] = dims[1];
  ConstantTensor factors{.dims = shape, .is_float = true, .floats = std::move(affine.weights)};
  ConstantTensor offsets{.dims = shape, .is_float = true, .floats = std::move(affine.bias)};
  MICO_ASSIGN_OR_RETURN(affine.weights, Broadcast(factors, input));
  MICO_ASSIGN_OR_RETURN(affine.bias, Broadcast(offsets, input));
  SpreadOver(affine, std::max(affine.weights.size(), affine.bias.size()));
  return AppendAffine(node, node.name(), input, std::move(affine), draft);
}

}  // namespace mico
