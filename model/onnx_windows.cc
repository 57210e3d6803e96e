// Conv and the pools: operators that slide a window over rows and columns, or over the length of a
// signal, which is the columns of a single row.

#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

using Axis = LayoutView::Axis;
using Dims = std::vector<int64_t>;

// One axis of a window.
struct WindowAxis {
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t before = 0, after = 0;
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
};

struct Window {
  WindowAxis rows, columns;
  Padding padding() const {
    return {
        .top = rows.before, .left = columns.before, .bottom = rows.after, .right = columns.after};
  }
};

// `count` numbers, all `otherwise` where the file has none.
absl::StatusOr<Dims> ReadExtents(const OnnxNode& node, std::string_view attribute, size_t count,
                                 int64_t otherwise, int64_t least) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  const Dims extents = node.Ints(attribute, Dims(count, otherwise));
  if (extents.size() != count) {
    return Malformed(fmt::format("{} has {} numbers; needs {}", attribute, extents.size(), count));
  }
  for (const int64_t extent : extents) {
    // A negative padding crops; the other attributes are malformed when they are that small.
    if (extent < least && attribute == "pads") return Unsupported("negative pads");
    if (extent < least || extent >= kLimit) {
      return Malformed(fmt::format("{} has {}; needs {} to 2^31 - 1", attribute, extent, least));
    }
  }
  return extents;
}

// The window's axes as the file has them: rows and columns, or the length.
absl::StatusOr<std::vector<WindowAxis>> ReadAxes(const OnnxNode& node, const Dims& kernel) {
  const size_t count = kernel.size();
  MICO_ASSIGN_OR_RETURN(const Dims strides, ReadExtents(node, "strides", count, 1, 1));
  MICO_ASSIGN_OR_RETURN(const Dims dilations, ReadExtents(node, "dilations", count, 1, 1));
  MICO_ASSIGN_OR_RETURN(const Dims pads, ReadExtents(node, "pads", 2 * count, 0, 0));
  std::vector<WindowAxis> axes;
  for (size_t i = 0; i < count; ++i) {
    axes.push_back({kernel[i], strides[i], dilations[i], pads[i], pads[count + i]});
  }
  return axes;
}

// The window over rows and columns of the value behind `input`, which has an axis for each of the
// kernel's extents.
absl::StatusOr<Window> ReadWindow(const OnnxNode& node, const Dims& kernel,
                                  const LayoutView& input) {
  MICO_ASSIGN_OR_RETURN(const std::vector<WindowAxis> axes, ReadAxes(node, kernel));
  if (axes.size() + 2 != input.rank()) {
    return Malformed(
        fmt::format("a window over {} axes of {}", axes.size(), DimsToString(input.dims())));
  }
  if (axes.size() == 2) return Window{.rows = axes[0], .columns = axes[1]};
  if (input.LengthAxis() == LayoutView::Axis::kRow) return Window{.rows = axes[0]};
  return Window{.columns = axes[0]};
}

// How many axes the node's window has, as far as its attributes say; 2 where they do not.
absl::StatusOr<size_t> CountAxes(const OnnxNode& node) {
  size_t count = 2;
  if (node.Has("pads")) count = node.Ints("pads", {}).size() / 2;
  for (const char* attribute : {"dilations", "strides", "kernel_shape"}) {
    if (node.Has(attribute)) count = node.Ints(attribute, {}).size();
  }
  if (count == 1 || count == 2) return count;
  return Unsupported(fmt::format(
      "a window over {} axes; only rows and columns, or a length, are supported", count));
}

absl::Status CheckAutoPad(const OnnxNode& node) {
  const std::string mode = node.Text("auto_pad", "NOTSET");
  for (const std::string_view known : {"", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}) {
    if (mode == known) return absl::OkStatus();
  }
  return Malformed(fmt::format("auto_pad is '{}'", PlainName(mode)));
}

// auto_pad SAME keeps ceil(input / stride) positions; the odd element goes after or before.
void ResolveAutoPad(const std::string& mode, int64_t input, WindowAxis& axis) {
  if (mode == "VALID") axis.before = axis.after = 0;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") return;
  const int64_t positions = (input + axis.stride - 1) / axis.stride;
  const int64_t total = std::max<int64_t>(0, (positions - 1) * axis.stride + axis.reach() - input);
  axis.before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
  axis.after = total - axis.before;
}

// With ceil_mode a last window may begin inside the input and end beyond the padding: more padding
// behind says the same. Returns how much was added.
int64_t ResolveCeilMode(int64_t input, WindowAxis& axis) {
  const int64_t padded = input + axis.before + axis.after;
  if (padded < axis.reach()) return 0;
  int64_t positions = (padded - axis.reach() + axis.stride - 1) / axis.stride + 1;
  if ((positions - 1) * axis.stride >= input + axis.before) --positions;
  const int64_t needed = (positions - 1) * axis.stride + axis.reach();
  const int64_t added = std::max<int64_t>(0, needed - padded);
  axis.after += added;
  return added;
}

// PyTorch writes ceil_mode of an average pool as padding behind, and more of it than its windows
// reach, up to a whole kernel. What no window reaches is taken away again.
void TrimPadding(int64_t input, WindowAxis& axis) {
  const int64_t padded = input + axis.before + axis.after;
  if (axis.after < axis.kernel || padded < axis.reach()) return;
  const int64_t last = (padded - axis.reach()) / axis.stride * axis.stride;
  axis.after = std::max<int64_t>(0, last + axis.reach() - input - axis.before);
}

absl::StatusOr<LayoutView> NeedSpace(const OnnxInputs& inputs) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  const LayoutView& view = *inputs.views[0];
  if (view.IsImage() || view.IsSignal()) return view;
  return Unsupported(fmt::format(
      "reads {} in another order than batch, channels, rows, columns or batch, channels, length",
      DimsToString(view.dims())));
}

// How the file sees a value that a window over `input` wrote.
LayoutView SameSpace(const LayoutView& input, int value, const Shape& shape) {
  return input.IsImage() ? LayoutView::Image(value, shape) : LayoutView::Signal(value, shape);
}

absl::StatusOr<std::vector<float>> ConvBias(const OnnxNode& node, const OnnxInputs& inputs,
                                            int64_t channels) {
  if (!node.has_input(2)) return std::vector<float>(channels, 0.0f);
  if (!inputs.HasConstant(2)) return Unsupported("its bias is computed, not constant");
  const ConstantTensor& bias = *inputs.constants[2];
  if (!bias.is_float || bias.size() != channels) {
    return Malformed(fmt::format("its bias has {} floats; needs {}", bias.size(), channels));
  }
  return bias.floats;
}

absl::Status CheckConvWeights(const OnnxNode& node, const ConstantTensor& weights,
                              const LayoutView& view, int64_t groups) {
  const Shape& input = view.shape();
  if (!weights.is_float) return Malformed("its weights are not floats");
  if (weights.dims.size() != view.rank()) {
    return Malformed(fmt::format("its weights are {}, it reads {}", DimsToString(weights.dims),
                                 DimsToString(view.dims())));
  }
  const Dims kernel(weights.dims.begin() + 2, weights.dims.end());
  if (weights.size() == 0 || node.Ints("kernel_shape", kernel) != kernel) {
    return Malformed(
        fmt::format("its weights {} do not match its kernel_shape", DimsToString(weights.dims)));
  }
  if (groups < 1 || weights.dims[0] % groups != 0 || input.channels % groups != 0 ||
      input.channels / groups != weights.dims[1]) {
    return Malformed(fmt::format("its weights {} do not match {} input channels in {} groups",
                                 DimsToString(weights.dims), input.channels, groups));
  }
  return absl::OkStatus();
}

// A pool as the normal form says it: zeros around its input, if there must be some that count, and
// then the pool.
struct PoolPlan {
  Padding zeros;
  PoolAttributes pool;
};

absl::StatusOr<PoolPlan> ReadPool(const OnnxNode& node, const LayoutView& view, OpKind op) {
  if (!node.Has("kernel_shape")) return Malformed("has no kernel_shape");
  const Shape& input = view.shape();
  MICO_ASSIGN_OR_RETURN(const Dims kernel,
                        ReadExtents(node, "kernel_shape", view.rank() - 2, 1, 1));
  MICO_ASSIGN_OR_RETURN(Window window, ReadWindow(node, kernel, view));
  const std::string auto_pad = node.Text("auto_pad", "NOTSET");
  ResolveAutoPad(auto_pad, input.height, window.rows);
  ResolveAutoPad(auto_pad, input.width, window.columns);

  PoolPlan plan{.pool = {.kernel_height = window.rows.kernel,
                         .kernel_width = window.columns.kernel,
                         .stride_height = window.rows.stride,
                         .stride_width = window.columns.stride}};
  plan.pool.count_include_pad = op == OpKind::kAveragePool && node.Int("count_include_pad", 0) != 0;
  const Padding given = window.padding();
  if (node.Int("ceil_mode", 0) != 0) {
    const int64_t rows_added = ResolveCeilMode(input.height, window.rows);
    const int64_t columns_added = ResolveCeilMode(input.width, window.columns);
    if (rows_added + columns_added > 0 && plan.pool.count_include_pad) {
      // The padding that the file asks for counts, what a window reaches beyond it does not: so the
      // former becomes zeros in a tensor of their own.
      plan.zeros = given;
      plan.pool.count_include_pad = false;
      window.rows.before = window.columns.before = 0;
      window.rows.after = rows_added, window.columns.after = columns_added;
    }
  }
  TrimPadding(plan.zeros.top + input.height + plan.zeros.bottom, window.rows);
  TrimPadding(plan.zeros.left + input.width + plan.zeros.right, window.columns);
  plan.pool.padding = window.padding();
  const Padding& padding = plan.pool.padding;
  if (std::max(padding.top, padding.bottom) >= plan.pool.kernel_height ||
      std::max(padding.left, padding.right) >= plan.pool.kernel_width) {
    return Unsupported("padding as large as the kernel");
  }
  return plan;
}

absl::StatusOr<LayoutView> ImportPool(const OnnxNode& node, const OnnxInputs& inputs, OpKind op,
                                      Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedSpace(inputs));
  MICO_ASSIGN_OR_RETURN(const PoolPlan plan, ReadPool(node, input, op));
  int source = input.value();
  if (plan.zeros != Padding{}) {
    MICO_ASSIGN_OR_RETURN(
        source, draft.Append({.node = {.name = node.name() + ":zeros",
                                       .type = node.type(),
                                       .op = OpKind::kPad,
                                       .inputs = {source},
                                       .attributes = PadAttributes{.padding = plan.zeros}}}));
  }
  MICO_ASSIGN_OR_RETURN(const int value, draft.Append({.node = {.name = node.name(),
                                                                .type = node.type(),
                                                                .op = op,
                                                                .inputs = {source},
                                                                .attributes = plan.pool}}));
  return SameSpace(input, value, draft.shape(value));
}

// The mean over all rows, all columns or both.
absl::StatusOr<LayoutView> AverageOver(const OnnxNode& node, const LayoutView& input, bool rows,
                                       bool columns, Draft& draft) {
  const PoolAttributes whole{.kernel_height = rows ? input.shape().height : 1,
                             .kernel_width = columns ? input.shape().width : 1};
  if (whole.kernel_height == 1 && whole.kernel_width == 1) return input;
  MICO_ASSIGN_OR_RETURN(const int value, draft.Append({.node = {.name = node.name(),
                                                                .type = node.type(),
                                                                .op = OpKind::kAveragePool,
                                                                .inputs = {input.value()},
                                                                .attributes = whole}}));
  return input.Like(value, draft.shape(value));
}

}  // namespace

absl::Status CheckConv(const OnnxNode& node) {
  MICO_RETURN_IF_ERROR(CheckAutoPad(node));
  MICO_ASSIGN_OR_RETURN(const size_t axes, CountAxes(node));
  MICO_RETURN_IF_ERROR(ReadExtents(node, "kernel_shape", axes, 1, 1).status());
  return ReadAxes(node, Dims(axes, 1)).status();
}

absl::StatusOr<LayoutView> ImportConv(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedSpace(inputs));
  if (!inputs.HasConstant(1)) return Unsupported("its weights are computed, not constant");
  const ConstantTensor& weights = *inputs.constants[1];
  const int64_t groups = node.Int("group", 1);
  MICO_RETURN_IF_ERROR(CheckConvWeights(node, weights, input, groups));
  const Dims kernel(weights.dims.begin() + 2, weights.dims.end());
  MICO_ASSIGN_OR_RETURN(Window window, ReadWindow(node, kernel, input));
  const std::string auto_pad = node.Text("auto_pad", "NOTSET");
  ResolveAutoPad(auto_pad, input.shape().height, window.rows);
  ResolveAutoPad(auto_pad, input.shape().width, window.columns);
  MICO_ASSIGN_OR_RETURN(std::vector<float> bias, ConvBias(node, inputs, weights.dims[0]));

  const ConvAttributes conv{.kernel_height = window.rows.kernel,
                            .kernel_width = window.columns.kernel,
                            .stride_height = window.rows.stride,
                            .stride_width = window.columns.stride,
                            .dilation_height = window.rows.dilation,
                            .dilation_width = window.columns.dilation,
                            .padding = window.padding(),
                            .groups = groups,
                            .out_channels = weights.dims[0]};
  MICO_ASSIGN_OR_RETURN(const int value,
                        draft.Append({.node = {.name = node.name(),
                                               .type = node.type(),
                                               .op = OpKind::kConv,
                                               .inputs = {input.value()},
                                               .attributes = conv},
                                      .weights = {weights.floats, std::move(bias)}}));
  return SameSpace(input, value, draft.shape(value));
}

absl::Status CheckPool(const OnnxNode& node) {
  MICO_RETURN_IF_ERROR(CheckAutoPad(node));
  MICO_ASSIGN_OR_RETURN(const size_t axes, CountAxes(node));
  MICO_RETURN_IF_ERROR(ReadExtents(node, "kernel_shape", axes, 1, 1).status());
  MICO_RETURN_IF_ERROR(ReadAxes(node, Dims(axes, 1)).status());
  const Dims dilations = node.Ints("dilations", Dims(axes, 1));
  if (dilations == Dims(axes, 1)) return absl::OkStatus();
  return Unsupported(fmt::format("dilations {}; only 1 is supported", DimsToString(dilations)));
}

absl::StatusOr<LayoutView> ImportMaxPool(const OnnxNode& node, const OnnxInputs& inputs,
                                         Draft& draft) {
  return ImportPool(node, inputs, OpKind::kMaxPool, draft);
}

absl::StatusOr<LayoutView> ImportAveragePool(const OnnxNode& node, const OnnxInputs& inputs,
                                             Draft& draft) {
  return ImportPool(node, inputs, OpKind::kAveragePool, draft);
}

absl::StatusOr<LayoutView> ImportGlobalAveragePool(const OnnxNode& node, const OnnxInputs& inputs,
                                                   Draft& draft) {
  MICO_ASSIGN_OR_RETURN(const LayoutView input, NeedSpace(inputs));
  return AverageOver(node, input, true, true, draft);
}

absl::StatusOr<LayoutView> ImportReduceMean(const OnnxNode& node, const OnnxInputs& inputs,
                                            Draft& draft) {
  if (!inputs.HasView(0)) return Unsupported("its first input does not depend on the network's");
  const LayoutView& input = *inputs.views[0];
  MICO_ASSIGN_OR_RETURN(const std::optional<Dims> axes,
                        IntegersArgument(node, inputs.constants, "axes", 1, 18));
  std::set<int64_t> reduced;
  for (const int64_t axis : axes.value_or(Dims{})) {
    MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, input.rank()));
    reduced.insert(position);
  }
  if (reduced.empty() && node.Int("noop_with_empty_axes", 0) != 0) return input;
  std::set<Axis> means;
  bool is_over_space = !reduced.empty();
  Dims dims = input.dims(), kept;
  for (size_t dim = 0; dim < dims.size(); ++dim) {
    const bool goes = reduced.contains(static_cast<int64_t>(dim));
    if (!goes || node.Int("keepdims", 1) != 0) kept.push_back(goes ? 1 : dims[dim]);
    if (!goes) continue;
    is_over_space &= !input.HasBatch(dim);
    for (const Axis axis : input.LongAxes(dim)) means.insert(axis);
  }
  if (!is_over_space || means.contains(Axis::kChannel)) {
    return Unsupported(
        fmt::format("only the mean over rows, columns or both is supported; takes it of {} over "
                    "other axes, or over all",
                    DimsToString(dims)));
  }
  MICO_ASSIGN_OR_RETURN(const LayoutView mean, AverageOver(node, input, means.contains(Axis::kRow),
                                                           means.contains(Axis::kColumn), draft));
  return mean.Reshape(kept);
}

}  // namespace mico
