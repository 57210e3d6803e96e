#include "codegen/step_c.h"

#include "codegen/c_text.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

CConstant DefineStruct(std::string_view type, const std::string& name, const std::string& fields) {
  return {fmt::format("extern const {} {};\n", type, name),
          fmt::format("const {} {} = {{{}}};\n", type, name, fields)};
}

// One argument a line would be long, one line would be longer: broken before column 100.
std::string Call(std::string_view function, const std::vector<std::string>& arguments) {
  constexpr size_t kWidth = 100;
  std::string text = fmt::format("  {}(", function);
  const std::string indent(text.size(), ' ');
  size_t column = text.size();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t needed = arguments[i].size() + 2;
    if (i > 0 && column + needed > kWidth) {
      text += "\n" + indent;
      column = indent.size();
    } else if (i > 0) {
      text += ' ';
    }
    text += arguments[i] + (i + 1 < arguments.size() ? "," : ");\n");
    column += needed;
  }
  return text;
}

// A concatenation copies its inputs one after the other.
std::string CallConcat(const QuantizedGraph& graph, const Step& step, const StepKernel& kernel,
                       const CallOperands& operands) {
  std::string text;
  int64_t channel = 0;
  const std::string out_shape = CShape(graph.tensors[step.output].shape);
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    const Shape& shape = graph.tensors[step.inputs[i]].shape;
    text += Call(kernel.kernel.name, {fmt::format("{}", channel), CShape(shape), operands.inputs[i],
                                      out_shape, operands.output});
    channel += shape.channels;
  }
  return text;
}

}  // namespace

CConstant DefineRequant(const std::string& symbol, const RequantArrays& arrays) {
  return DefineStruct("mico_requant_t", symbol + "_requant",
                      fmt::format("{}, {}, {}, {}, {}", arrays.bias, arrays.multiplier,
                                  arrays.shift, arrays.lowest, arrays.highest));
}

CConstant DefineParameters(const Step& step, const StepKernel& kernel, const std::string& symbol) {
  const std::string name = symbol + "_params";
  switch (step.kind) {
    case StepKind::kConv: {
      if (!kernel.takes_parameters) return {};
      const ConvAttributes& conv = step.conv();
      return DefineStruct(
          "mico_conv2d_params_t", name,
          fmt::format("{}, {}, {}, {}, {}, {}, {}, {}, {}", conv.kernel_height, conv.kernel_width,
                      conv.stride_height, conv.stride_width, conv.padding.top, conv.padding.left,
                      conv.dilation_height, conv.dilation_width, conv.groups));
    }
    case StepKind::kMaxPool:
    case StepKind::kAveragePool: {
      const PoolAttributes& pool = step.pool();
      return DefineStruct(
          "mico_pool_params_t", name,
          fmt::format("{}, {}, {}, {}, {}, {}", pool.kernel_height, pool.kernel_width,
                      pool.stride_height, pool.stride_width, pool.padding.top, pool.padding.left));
    }
    case StepKind::kSlice: {
      const SliceAttributes& slice = step.slice();
      return DefineStruct(
          "mico_slice_params_t", name,
          fmt::format("{}, {}, {}, {}, {}, {}", slice.start_channel, slice.start_row,
                      slice.start_column, slice.step_channel, slice.step_row, slice.step_column));
    }
    case StepKind::kPad: {
      const PadAttributes& pad = step.pad();
      return DefineStruct(
          "mico_pad_params_t", name,
          fmt::format("{}, {}, {}", pad.channels_before, pad.padding.top, pad.padding.left));
    }
    case StepKind::kAdd:
    case StepKind::kRelu:
    case StepKind::kConcat:
    case StepKind::kRequantize:
      return {};
  }
  return {};
}

std::string CallStep(const QuantizedGraph& graph, const Step& step, const StepKernel& kernel,
                     const CallOperands& operands) {
  const std::string& function = kernel.kernel.name;
  const std::string params = fmt::format("&{}_params", operands.symbol);
  const std::string requant = fmt::format("&{}_requant", operands.symbol);
  const std::string in_shape = CShape(graph.tensors[step.inputs[0]].shape);
  const std::string out_shape = CShape(graph.tensors[step.output].shape);
  const std::string& in = operands.inputs[0];
  const std::string& out = operands.output;
  switch (step.kind) {
    case StepKind::kConv:
      return Call(function, {kernel.takes_parameters ? params : "NULL", requant, in_shape, in,
                             operands.weights, out_shape, out, operands.scratch});
    case StepKind::kAdd:
      return Call(function, {params, in_shape, in, operands.inputs[1], out});
    case StepKind::kAveragePool:
      return Call(function, {params, requant, fmt::format("&{}_divisors", operands.symbol),
                             in_shape, in, out_shape, out});
    case StepKind::kRelu:
      return Call(function, {params, in_shape, in, out});
    case StepKind::kConcat:
      return CallConcat(graph, step, kernel, operands);
    case StepKind::kMaxPool:
    case StepKind::kSlice:
    case StepKind::kPad:
      return Call(function, {params, in_shape, in, out_shape, out});
    case StepKind::kRequantize:
      return Call(function, {requant, in_shape, in, out});
  }
  return "";
}

}  // namespace mico
