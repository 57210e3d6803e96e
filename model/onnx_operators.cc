#include "model/onnx_operators.h"

namespace mico {
namespace {

constexpr OnnxOperator kOperators[] = {
    {"Add", nullptr, ImportAdd},
    {"AveragePool", CheckPool, ImportAveragePool},
    {"BatchNormalization", CheckBatchNormalization, ImportBatchNormalization},
    {"Cast", CheckCast, ImportIdentity},
    {"Clip", nullptr, ImportClip},
    {"Concat", nullptr, ImportConcat},
    {"Conv", CheckConv, ImportConv},
    {"Div", nullptr, ImportDiv},
    {"Dropout", nullptr, ImportDropout},
    {"Flatten", nullptr, ImportReshape},
    {"Gemm", CheckGemm, ImportGemm},
    {"GlobalAveragePool", nullptr, ImportGlobalAveragePool},
    {"Identity", nullptr, ImportIdentity},
    {"LogSoftmax", nullptr, ImportSoftmax},
    {"MatMul", nullptr, ImportMatMul},
    {"Max", nullptr, ImportMax},
    {"MaxPool", CheckPool, ImportMaxPool},
    {"Min", nullptr, ImportMin},
    {"Mul", nullptr, ImportMul},
    {"Pad", CheckPad, ImportPad},
    {"ReduceMean", nullptr, ImportReduceMean},
    {"Relu", nullptr, ImportRelu},
    {"Reshape", nullptr, ImportReshape},
    {"Slice", nullptr, ImportSlice},
    {"Softmax", nullptr, ImportSoftmax},
    {"Squeeze", nullptr, ImportReshape},
    {"Sub", nullptr, ImportSub},
    {"Transpose", nullptr, ImportTranspose},
    {"Unsqueeze", nullptr, ImportReshape},
};

constexpr std::string_view kLayoutOperators[] = {"Cast",    "Dropout", "Flatten",   "Identity",
                                                 "Reshape", "Squeeze", "Unsqueeze", "Transpose"};

}  // namespace

const OnnxOperator* FindOnnxOperator(std::string_view type) {
  for (const OnnxOperator& candidate : kOperators) {
    if (candidate.type == type) return &candidate;
  }
  return nullptr;
}

std::vector<std::string_view> OnnxOperatorTypes() {
  std::vector<std::string_view> types;
  for (const OnnxOperator& listed : kOperators) types.push_back(listed.type);
  return types;
}

bool IsLayoutOperator(std::string_view type) {
  for (const std::string_view candidate : kLayoutOperators) {
    if (candidate == type) return true;
  }
  return false;
}

}  // namespace mico
