#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/script_builder.h"
#include "model/script_value.h"

namespace mico {

// One instruction of the script with its arguments, in the order of its schema. Those left out at
// the end are None. Errors are completed with the instruction and where it stands by the importer.
class ScriptCall {
 public:
  ScriptCall(std::string_view kind, std::string name, std::vector<ScriptValue> arguments,
             ScriptBuilder& builder)
      : kind_(kind), name_(std::move(name)), arguments_(std::move(arguments)), builder_(builder) {}

  std::string_view kind() const { return kind_; }
  size_t size() const { return arguments_.size(); }
  const ScriptValue& operator[](size_t index) const;
  bool IsNone(size_t index) const;
  bool IsTensor(size_t index) const;

  // A tensor that may be read. Unimplemented: a view of it was changed in place since.
  absl::StatusOr<ScriptTensorPointer> Tensor(size_t index) const;
  // As Tensor, but null for None.
  absl::StatusOr<ScriptTensorPointer> OptionalTensor(size_t index) const;
  // A tensor, or a number as a constant of float.
  absl::StatusOr<ScriptTensorPointer> Operand(size_t index) const;
  absl::StatusOr<int64_t> Int(size_t index) const;
  absl::StatusOr<double> Float(size_t index) const;
  absl::StatusOr<bool> Bool(size_t index) const;
  absl::StatusOr<std::string> Text(size_t index) const;
  absl::StatusOr<std::shared_ptr<ScriptList>> List(size_t index) const;
  // Unimplemented: an element type is given, and it is not float.
  absl::Status NeedFloatType(size_t index) const;
  // A list of integers; a single one stands for `count` of them, if that is not 0.
  absl::StatusOr<std::vector<int64_t>> Ints(size_t index, size_t count = 0) const;

  absl::StatusOr<ScriptTensorPointer> Do(const OnnxStep& step) { return builder_.Do(step, name_); }

 private:
  absl::Status WrongType(size_t index, std::string_view needed) const;

  std::string_view kind_;
  std::string name_;
  std::vector<ScriptValue> arguments_;
  ScriptBuilder& builder_;
};

struct ScriptOperator {
  std::string_view kind;
  absl::StatusOr<ScriptValue> (*apply)(ScriptCall& call);
};

// Null if we have none of that kind. "aten::relu_" is found as "aten::relu"; the importer puts the
// result in place of the first argument.
const ScriptOperator* FindScriptOperator(std::string_view kind);
bool WorksInPlace(std::string_view kind);

// Every kind in the table, in alphabetical order.
std::vector<std::string_view> ScriptOperatorKinds();

// The operators, by file: script_windows.cc, script_arithmetic.cc, script_layout.cc,
// script_scalars.cc.
absl::StatusOr<ScriptValue> ApplyConvolution(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyMaxPool(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyAveragePool(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyAdaptiveAveragePool(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyMean(ScriptCall& call);

absl::StatusOr<ScriptValue> ApplyLinear(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyAddmm(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyMatmul(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyArithmetic(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyBatchNorm(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyRelu(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyRelu6(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyClamp(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyBound(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySoftmax(ScriptCall& call);

absl::StatusOr<ScriptValue> ApplyReshape(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyFlatten(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySqueeze(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyTranspose(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyIdentity(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyClone(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyTo(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyDropout(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyConcat(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySlice(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySelect(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySplit(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyPad(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplySize(ScriptCall& call);

absl::StatusOr<ScriptValue> ApplyNumber(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyComparison(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyLogic(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyIs(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyFirst(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyNothing(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyLen(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyGetItem(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyAppend(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyFacts(ScriptCall& call);
absl::StatusOr<ScriptValue> ApplyFill(ScriptCall& call);

}  // namespace mico
