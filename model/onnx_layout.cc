// Operators that only move values: most vanish into the view, Concat, Slice and Pad stay.

#include <algorithm>
#include <numeric>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;

// The view of `value` that a file has which saw an input of the same rank: an image, a signal, or
// features.
LayoutView SameKind(const LayoutView& input, int value, const Shape& shape) {
  if (input.IsImage()) return LayoutView::Image(value, shape);
  if (input.IsSignal()) return LayoutView::Signal(value, shape);
  return LayoutView::Features(value, shape, input.rank());
}

absl::StatusOr<LayoutView> NeedView(const OnnxInputs& inputs) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  return *inputs.views[0];
}

// Whether every dimension is one axis of the value.
bool HasPlainAxes(const LayoutView& view) {
  for (size_t dim = 0; dim < view.rank(); ++dim) {
    if (!view.AxisOf(dim).has_value()) return false;
  }
  return true;
}

absl::Status NotPlain(const LayoutView& view) {
  return Unsupported(
      fmt::format("reads {}, which is neither batch, channels, rows, columns nor batch, channels, "
                  "length nor a vector of features",
                  DimsToString(view.dims())));
}

bool TakesAll(const AxisSlice& slice, int64_t extent) {
  return slice.start == 0 && slice.step == 1 && slice.count == extent;
}

// Puts one axis of a slice where the normal form has it.
absl::Status SetAxis(const AxisSlice& from, Axis axis, SliceAttributes& slice, Shape& size) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  // A single element is reached by any step.
  const int64_t step = from.count == 1 ? 1 : from.step;
  if (step < 0) return Unsupported("a negative step");
  if (from.count < 1 || step >= kLimit) return Unsupported("takes nothing");
  switch (axis) {
    case Axis::kBatch:
      break;
    case Axis::kChannel:
      slice.start_channel = from.start, slice.step_channel = step, size.channels = from.count;
      break;
    case Axis::kRow:
      slice.start_row = from.start, slice.step_row = step, size.height = from.count;
      break;
    case Axis::kColumn:
      slice.start_column = from.start, slice.step_column = step, size.width = from.count;
      break;
  }
  return absl::OkStatus();
}

// Padding as ONNX writes it, all begins and then all ends, for every dimension of `rank`.
absl::StatusOr<std::vector<int64_t>> ReadPads(const OnnxNode& node, const Constants& constants,
                                              size_t rank) {
  MICO_ASSIGN_OR_RETURN(const auto pads, IntegersArgument(node, constants, "pads", 1, 11));
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (node.opset() >= 18) {
    MICO_ASSIGN_OR_RETURN(const auto given, IntegersArgument(node, constants, "axes", 3, 18));
    if (given.has_value()) axes = *given;
  }
  if (!pads.has_value() || pads->size() != 2 * axes.size()) {
    return Malformed(
        fmt::format("{} pads for {} axes", pads.has_value() ? pads->size() : 0, axes.size()));
  }
  std::vector<int64_t> all(2 * rank, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    MICO_ASSIGN_OR_RETURN(const int64_t axis, NormaliseAxis(axes[i], rank));
    all[axis] = (*pads)[i];
    all[axis + rank] = (*pads)[axes.size() + i];
  }
  return all;
}

// What is taken of one sample. Where the file fixes the batch, all of it must be taken.
absl::StatusOr<std::vector<AxisSlice>> ReadSlicesOfSample(const OnnxNode& node,
                                                          const OnnxInputs& inputs) {
  const LayoutView& input = *inputs.views[0];
  std::vector<int64_t> dims = input.dims();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1 && input.HasBatch(i)) dims[i] = inputs.batch;
  }
  MICO_ASSIGN_OR_RETURN(std::vector<AxisSlice> slices, ReadSlices(node, inputs.constants, dims));
  for (size_t i = 0; inputs.batch > 1 && i < dims.size(); ++i) {
    if (!input.HasBatch(i) || dims[i] != inputs.batch) continue;
    if (!TakesAll(slices[i], dims[i])) return Unsupported("takes a part of the batch");
    slices[i] = {.start = 0, .step = 1, .count = 1};
  }
  return slices;
}

absl::Status SetAxis(int64_t before, int64_t after, Axis axis, PadAttributes& pad) {
  if (before < 0 || after < 0) return Unsupported("a negative padding");
  switch (axis) {
    case Axis::kBatch:
      if (before + after > 0) return Unsupported("pads the batch");
      break;
    case Axis::kChannel:
      pad.channels_before = before, pad.channels_after = after;
      break;
    case Axis::kRow:
      pad.padding.top = before, pad.padding.bottom = after;
      break;
    case Axis::kColumn:
      pad.padding.left = before, pad.padding.right = after;
      break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LayoutView> ImportReshape(const OnnxNode& node, const OnnxInputs& inputs,
                                         Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> dims,
                        ReadTargetDims(node, inputs.constants, input.dims(), inputs.batch));
  return input.Reshape(dims);
}

absl::StatusOr<LayoutView> ImportTranspose(const OnnxNode& node, const OnnxInputs& inputs,
                                           Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  return input.Transpose(ReadPermutation(node, input.rank()));
}

absl::StatusOr<LayoutView> ImportIdentity(const OnnxNode& node, const OnnxInputs& inputs,
                                          Draft& draft) {
  return NeedView(inputs);
}

absl::Status CheckCast(const OnnxNode& node) {
  if (node.Int("to", 0) == onnx_wire::TensorProto::FLOAT) return absl::OkStatus();
  return Unsupported(
      fmt::format("casts to element type {}; only float is supported", node.Int("to", 0)));
}

absl::StatusOr<LayoutView> ImportDropout(const OnnxNode& node, const OnnxInputs& inputs,
                                         Draft& draft) {
  if (node.has_input(2)) {
    const bool is_off =
        inputs.HasConstant(2) && inputs.constants[2]->integers == std::vector<int64_t>{0};
    if (!is_off) return Unsupported("training_mode");
  }
  return NeedView(inputs);
}

absl::StatusOr<LayoutView> ImportConcat(const OnnxNode& node, const OnnxInputs& inputs,
                                        Draft& draft) {
  Node concat{.name = node.name(), .type = node.type(), .op = OpKind::kConcat};
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs.HasView(i)) return Unsupported("joins a constant");
    const LayoutView& view = *inputs.views[i];
    const LayoutView& first = *inputs.views[0];
    MICO_ASSIGN_OR_RETURN(const int64_t axis, NormaliseAxis(node.Int("axis", 1), view.rank()));
    if (view.AxisOf(axis) != Axis::kChannel || view.rank() != first.rank()) {
      return Unsupported(fmt::format("joins {} along axis {}; only channels are supported",
                                     DimsToString(view.dims()), axis));
    }
    concat.inputs.push_back(view.value());
  }
  if (concat.inputs.empty()) return Malformed("has no inputs");
  if (concat.inputs.size() == 1) return *inputs.views[0];
  MICO_ASSIGN_OR_RETURN(const int value, draft.Append({.node = std::move(concat)}));
  return SameKind(*inputs.views[0], value, draft.shape(value));
}

absl::StatusOr<LayoutView> ImportSlice(const OnnxNode& node, const OnnxInputs& inputs,
                                       Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  const std::vector<int64_t> dims = input.dims();
  MICO_ASSIGN_OR_RETURN(const std::vector<AxisSlice> slices, ReadSlicesOfSample(node, inputs));
  bool takes_all = true;
  for (size_t i = 0; i < dims.size(); ++i) takes_all &= TakesAll(slices[i], dims[i]);
  if (takes_all) return input;
  if (!HasPlainAxes(input)) return NotPlain(input);

  SliceAttributes slice;
  Shape size;
  for (size_t i = 0; i < dims.size(); ++i) {
    MICO_RETURN_IF_ERROR(SetAxis(slices[i], *input.AxisOf(i), slice, size));
  }
  MICO_ASSIGN_OR_RETURN(const int value, draft.Append({.node = {.name = node.name(),
                                                                .type = node.type(),
                                                                .op = OpKind::kSlice,
                                                                .inputs = {input.value()},
                                                                .attributes = slice}},
                                                      size));
  return SameKind(input, value, draft.shape(value));
}

absl::Status CheckPad(const OnnxNode& node) {
  const std::string mode = node.Text("mode", "constant");
  if (mode == "constant") return absl::OkStatus();
  return Unsupported(fmt::format("mode '{}'; only constant is supported", PlainName(mode)));
}

absl::StatusOr<LayoutView> ImportPad(const OnnxNode& node, const OnnxInputs& inputs, Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedView(inputs));
  MICO_ASSIGN_OR_RETURN(const std::optional<float> filler,
                        FloatArgument(node, inputs.constants, "value", 2, 11));
  if (filler.value_or(0.0f) != 0.0f) {
    return Unsupported(fmt::format("pads with {}; only 0 is supported", *filler));
  }
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> pads,
                        ReadPads(node, inputs.constants, input.rank()));
  if (std::ranges::all_of(pads, [](int64_t pad) { return pad == 0; })) return input;
  if (!HasPlainAxes(input)) return NotPlain(input);

  PadAttributes pad;
  for (size_t i = 0; i < input.rank(); ++i) {
    MICO_RETURN_IF_ERROR(SetAxis(pads[i], pads[i + input.rank()], *input.AxisOf(i), pad));
  }
  MICO_ASSIGN_OR_RETURN(const int value, draft.Append({.node = {.name = node.name(),
                                                                .type = node.type(),
                                                                .op = OpKind::kPad,
                                                                .inputs = {input.value()},
                                                                .attributes = pad}}));
  return SameKind(input, value, draft.shape(value));
}

}  // namespace mico
