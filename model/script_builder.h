#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/draft.h"
#include "model/onnx_wire.pb.h"
#include "model/script_value.h"

namespace mico {

// A step said in ONNX's words, which the importers of model/onnx_operators.h understand: so both
// kinds of files end in the same normal form.
class OnnxStep {
 public:
  explicit OnnxStep(std::string_view type) { proto_.set_op_type(std::string(type)); }

  // Null: left out.
  OnnxStep& Input(ScriptTensorPointer tensor);
  OnnxStep& Input(const std::vector<int64_t>& integers);  // a constant of one dimension
  OnnxStep& Input(float number);                          // a constant scalar
  OnnxStep& Int(std::string_view name, int64_t value);
  OnnxStep& Ints(std::string_view name, const std::vector<int64_t>& values);
  OnnxStep& Float(std::string_view name, double value);
  OnnxStep& Text(std::string_view name, std::string_view value);

 private:
  friend class ScriptBuilder;
  onnx_wire::NodeProto proto_;
  std::vector<ScriptTensorPointer> inputs_;
};

// Appends steps to a draft.
class ScriptBuilder {
 public:
  explicit ScriptBuilder(std::string name) : draft_(std::move(name)) {}

  Draft& draft() { return draft_; }

  // Adds the network's input as the script sees it: batch, which is 1, and `dims`, 1 to 3 of them.
  ScriptTensorPointer AddInput(const std::vector<int64_t>& dims);

  // What the step computes; `name` is made unique. Computed here if all inputs are constants.
  // Unimplemented: not supported, for a list of such reasons. Other errors end the import.
  absl::StatusOr<ScriptTensorPointer> Do(const OnnxStep& step, std::string_view name);

 private:
  absl::StatusOr<ScriptTensorPointer> Fold(const OnnxStep& step, std::string_view name);
  std::string UniqueName(std::string_view name);

  Draft draft_;
  std::set<std::string> names_;
  std::map<std::string, int> copies_;
  int64_t folded_elements_ = 0;
};

ScriptTensorPointer MakeScriptTensor(ConstantTensor constant);

}  // namespace mico
