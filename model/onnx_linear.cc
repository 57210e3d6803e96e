// Gemm and MatMul: fully connected layers, which become convolutions over their whole input.

#include <numeric>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_operators.h"

namespace mico {
namespace {

// The matrix of a fully connected layer: from features [in] to [out].
struct Matrix {
  const ConstantTensor& values;
  bool is_out_by_in;  // else [in][out]
  float factor;

  int64_t in() const { return values.dims[is_out_by_in ? 1 : 0]; }
  int64_t out() const { return values.dims[is_out_by_in ? 0 : 1]; }
  float at(int64_t o, int64_t i) const {
    return factor * values.floats[is_out_by_in ? o * in() + i : i * out() + o];
  }
};

absl::Status CheckMatrix(const OnnxInputs& inputs) {
  if (!inputs.HasView(0) || !inputs.HasConstant(1)) {
    return Unsupported("only data times a constant matrix is supported");
  }
  const ConstantTensor& matrix = *inputs.constants[1];
  if (!matrix.is_float || matrix.dims.size() != 2 || matrix.size() == 0) {
    return Unsupported(fmt::format("multiplies by {}; only a matrix of floats is supported",
                                   DimsToString(matrix.dims)));
  }
  return absl::OkStatus();
}

// [out][channels][rows][columns], whatever the order in which the file flattened its input.
std::vector<float> ReorderWeights(const Matrix& matrix, const std::vector<int64_t>& places) {
  std::vector<float> weights(matrix.in() * matrix.out());
  for (int64_t o = 0; o < matrix.out(); ++o) {
    for (int64_t i = 0; i < matrix.in(); ++i) {
      weights[o * matrix.in() + places[i]] = matrix.at(o, i);
    }
  }
  return weights;
}

absl::StatusOr<LayoutView> Connect(const OnnxNode& node, const LayoutView& input,
                                   const Matrix& matrix, std::vector<float> bias, Draft& draft) {
  const std::vector<int64_t> dims = input.dims();
  if (dims.empty() || dims.back() != matrix.in()) {
    return Malformed(
        fmt::format("multiplies {} by {}", DimsToString(dims), DimsToString(matrix.values.dims)));
  }
  const bool reads_all = input.shape().elements() == matrix.in();
  if (!reads_all && !input.IsChannels(dims.size() - 1)) {
    return Unsupported(
        fmt::format("multiplies {} along its last axis only; supported where that is the channels "
                    "of one position, or all of the input",
                    DimsToString(dims)));
  }
  const ConvAttributes conv{.kernel_height = reads_all ? input.shape().height : 1,
                            .kernel_width = reads_all ? input.shape().width : 1,
                            .out_channels = matrix.out()};
  // At one position the channels lie as the file has them.
  std::vector<int64_t> places(matrix.in());
  std::iota(places.begin(), places.end(), 0);
  if (reads_all) places = FeaturePlaces(input);
  MICO_ASSIGN_OR_RETURN(
      const int value,
      draft.Append({.node = {.name = node.name(),
                             .type = node.type(),
                             .op = OpKind::kConv,
                             .inputs = {input.value()},
                             .attributes = conv},
                    .weights = {ReorderWeights(matrix, places), std::move(bias)}}));
  if (!reads_all) return input.Like(value, draft.shape(value));
  return LayoutView::Features(value, draft.shape(value), input.rank());
}

absl::StatusOr<std::vector<float>> GemmBias(const OnnxNode& node, const OnnxInputs& inputs,
                                            int64_t out) {
  if (!node.has_input(2)) return std::vector<float>(out, 0.0f);
  if (!inputs.HasConstant(2)) return Unsupported("its bias is computed, not constant");
  const ConstantTensor& bias = *inputs.constants[2];
  if (!bias.is_float || (bias.size() != out && bias.size() != 1) ||
      (bias.size() == out && !bias.dims.empty() && bias.dims.back() != out)) {
    return Malformed(fmt::format("its bias is {}; needs {}", DimsToString(bias.dims), out));
  }
  std::vector<float> values(out);
  for (int64_t i = 0; i < out; ++i) {
    values[i] = node.Float("beta", 1) * bias.floats[bias.size() == 1 ? 0 : i];
  }
  return values;
}

}  // namespace

absl::Status CheckGemm(const OnnxNode& node) {
  if (node.Int("transA", 0) != 0) return Unsupported("transA; only 0 is supported");
  return absl::OkStatus();
}

absl::StatusOr<LayoutView> ImportGemm(const OnnxNode& node, const OnnxInputs& inputs,
                                      Draft& draft) {
  MICO_RETURN_IF_ERROR(CheckMatrix(inputs));
  const Matrix matrix{.values = *inputs.constants[1],
                      .is_out_by_in = node.Int("transB", 0) != 0,
                      .factor = node.Float("alpha", 1)};
  if (inputs.views[0]->rank() != 2) {
    return Malformed(
        fmt::format("reads {}; needs two dimensions", DimsToString(inputs.views[0]->dims())));
  }
  MICO_ASSIGN_OR_RETURN(std::vector<float> bias, GemmBias(node, inputs, matrix.out()));
  return Connect(node, *inputs.views[0], matrix, std::move(bias), draft);
}

absl::StatusOr<LayoutView> ImportMatMul(const OnnxNode& node, const OnnxInputs& inputs,
                                        Draft& draft) {
  MICO_RETURN_IF_ERROR(CheckMatrix(inputs));
  const Matrix matrix{.values = *inputs.constants[1], .is_out_by_in = false, .factor = 1.0f};
  return Connect(node, *inputs.views[0], matrix, std::vector<float>(matrix.out(), 0.0f), draft);
}

}  // namespace mico
