// Convolutions, pools and means of a script.

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_node.h"
#include "model/script_operators.h"

namespace mico {
namespace {

using Dims = std::vector<int64_t>;

// PyTorch pads both sides alike; ONNX lists all begins and then all ends.
Dims BothSides(const Dims& padding) {
  Dims pads = padding;
  pads.insert(pads.end(), padding.begin(), padding.end());
  return pads;
}

// How many axes a window over `tensor` has: rows and columns, or the length.
absl::StatusOr<size_t> CountWindowAxes(const ScriptTensorValue& tensor) {
  const size_t rank = tensor.dims().size();
  if (rank == 3 || rank == 4) return rank - 2;
  return Unsupported(
      fmt::format("reads {}; supported are batch, channels, length and batch, channels, rows, "
                  "columns",
                  DimsToString(tensor.dims())));
}

absl::Status AddConvolutionPadding(const ScriptCall& call, size_t index, size_t axes,
                                   OnnxStep& step) {
  if (!std::holds_alternative<std::string>(call[index])) {
    MICO_ASSIGN_OR_RETURN(const Dims padding, call.Ints(index, axes));
    step.Ints("pads", BothSides(padding));
    return absl::OkStatus();
  }
  MICO_ASSIGN_OR_RETURN(const std::string mode, call.Text(index));
  if (mode != "same" && mode != "valid") {
    return Unsupported(fmt::format("padding '{}'", PlainName(mode)));
  }
  step.Text("auto_pad", mode == "same" ? "SAME_UPPER" : "VALID");
  return absl::OkStatus();
}

// What all pools share: kernel, strides (the kernel's extents where none are given), padding.
absl::StatusOr<OnnxStep> PoolStep(ScriptCall& call, std::string_view type, size_t axes) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const size_t window_axes, CountWindowAxes(*input));
  if (window_axes != axes) {
    return Unsupported(
        fmt::format("a window over {} axes of {}", axes, DimsToString(input->dims())));
  }
  MICO_ASSIGN_OR_RETURN(const Dims kernel, call.Ints(1, axes));
  Dims strides;
  if (!call.IsNone(2)) {
    MICO_ASSIGN_OR_RETURN(strides, call.Ints(2, axes));
  }
  if (strides.empty()) strides = kernel;
  MICO_ASSIGN_OR_RETURN(const Dims padding, call.Ints(3, axes));
  OnnxStep step(type);
  step.Input(std::move(input)).Ints("kernel_shape", kernel).Ints("strides", strides);
  step.Ints("pads", BothSides(padding));
  return step;
}

size_t AxesOf(const ScriptCall& call) {
  return call.kind().find("1d") != std::string::npos ? 1 : 2;
}

}  // namespace

// conv1d, conv2d, _convolution_mode:
//                            input weight bias stride padding dilation groups
// convolution, _convolution: input weight bias stride padding dilation transposed output_padding
//                            groups ...
absl::StatusOr<ScriptValue> ApplyConvolution(ScriptCall& call) {
  const bool is_general = call.kind().ends_with("convolution");
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer weights, call.Tensor(1));
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer bias, call.OptionalTensor(2));
  MICO_ASSIGN_OR_RETURN(const size_t axes, CountWindowAxes(*input));
  MICO_ASSIGN_OR_RETURN(const Dims strides, call.Ints(3, axes));
  MICO_ASSIGN_OR_RETURN(const Dims dilations, call.Ints(5, axes));
  if (is_general) {
    MICO_ASSIGN_OR_RETURN(const bool is_transposed, call.Bool(6));
    if (is_transposed) return Unsupported("a transposed convolution");
  }
  MICO_ASSIGN_OR_RETURN(const int64_t groups, call.Int(is_general ? 8 : 6));
  OnnxStep step("Conv");
  step.Input(std::move(input)).Input(std::move(weights)).Input(std::move(bias));
  MICO_RETURN_IF_ERROR(AddConvolutionPadding(call, 4, axes, step));
  return call.Do(step.Ints("strides", strides).Ints("dilations", dilations).Int("group", groups));
}

// input kernel stride padding dilation ceil_mode
absl::StatusOr<ScriptValue> ApplyMaxPool(ScriptCall& call) {
  const size_t axes = AxesOf(call);
  MICO_ASSIGN_OR_RETURN(OnnxStep step, PoolStep(call, "MaxPool", axes));
  MICO_ASSIGN_OR_RETURN(const Dims dilations, call.Ints(4, axes));
  MICO_ASSIGN_OR_RETURN(const bool ceil_mode, call.Bool(5));
  return call.Do(step.Ints("dilations", dilations).Int("ceil_mode", ceil_mode ? 1 : 0));
}

// input kernel stride padding ceil_mode count_include_pad divisor_override
absl::StatusOr<ScriptValue> ApplyAveragePool(ScriptCall& call) {
  if (!call.IsNone(6)) return Unsupported("divisor_override");
  MICO_ASSIGN_OR_RETURN(OnnxStep step, PoolStep(call, "AveragePool", AxesOf(call)));
  MICO_ASSIGN_OR_RETURN(const bool ceil_mode, call.Bool(4));
  MICO_ASSIGN_OR_RETURN(const bool counts_padding, call.Bool(5));
  return call.Do(
      step.Int("ceil_mode", ceil_mode ? 1 : 0).Int("count_include_pad", counts_padding ? 1 : 0));
}

// input output_size
absl::StatusOr<ScriptValue> ApplyAdaptiveAveragePool(ScriptCall& call) {
  const size_t axes = AxesOf(call);
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const size_t window_axes, CountWindowAxes(*input));
  MICO_ASSIGN_OR_RETURN(const Dims target, call.Ints(1, axes));
  const Dims dims = input->dims();
  if (window_axes != axes || target.size() != axes) {
    return Unsupported(fmt::format("a pool over {} axes of {}", axes, DimsToString(dims)));
  }
  Dims kernel;
  for (size_t i = 0; i < axes; ++i) {
    if (target[i] < 1 || dims[i + 2] % target[i] != 0) {
      return Unsupported(fmt::format("from {} to {}; supported where its windows are of equal size",
                                     DimsToString({dims.begin() + 2, dims.end()}),
                                     DimsToString(target)));
    }
    kernel.push_back(dims[i + 2] / target[i]);
  }
  OnnxStep step("AveragePool");
  if (kernel == Dims(axes, 1)) {
    OnnxStep same("Identity");
    return call.Do(same.Input(std::move(input)));
  }
  return call.Do(step.Input(std::move(input)).Ints("kernel_shape", kernel).Ints("strides", kernel));
}

// input dim keepdim dtype; without dim: input dtype
absl::StatusOr<ScriptValue> ApplyMean(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  OnnxStep step("ReduceMean");
  step.Input(std::move(input));
  if (call.size() < 4) {
    MICO_RETURN_IF_ERROR(call.NeedFloatType(1));
    return call.Do(step);
  }
  MICO_RETURN_IF_ERROR(call.NeedFloatType(3));
  Dims axes;
  if (!call.IsNone(1)) {
    MICO_ASSIGN_OR_RETURN(axes, call.Ints(1, 1));
  }
  MICO_ASSIGN_OR_RETURN(const bool keeps, call.Bool(2));
  return call.Do(step.Ints("axes", axes).Int("keepdims", keeps ? 1 : 0));
}

}  // namespace mico
