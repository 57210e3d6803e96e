#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "model/layout_view.h"
#include "model/onnx_tensor.h"

namespace mico {

// What several tensors share that are views of each other. An operator that changes one of them in
// place makes the others stale.
struct ScriptStorage {
  int64_t changes = 0;
};

// A tensor of the script: something computed from the network's input, or a constant. Two values of
// the script that are the same tensor share the object, so both see what is done to it in place.
struct ScriptTensorValue {
  std::variant<LayoutView, ConstantPointer> content;
  std::shared_ptr<ScriptStorage> storage = std::make_shared<ScriptStorage>();
  int64_t changes_seen = 0;   // of the storage, when the content was made
  std::string after_softmax;  // the node whose scores these are; empty: of none

  const LayoutView* view() const { return std::get_if<LayoutView>(&content); }
  const ConstantPointer* constant() const { return std::get_if<ConstantPointer>(&content); }
  std::vector<int64_t> dims() const {
    return view() != nullptr ? view()->dims() : (*constant())->dims;
  }
  bool IsStale() const { return changes_seen != storage->changes; }
};

struct ScriptNone {};
// The result of something that is not supported and has been reported.
struct ScriptMissing {};
// Something that cannot be used; whoever reads it says why.
struct ScriptOther {
  std::string what;
};
struct ScriptModuleValue {
  int module = 0;
  std::string path;  // "layer1.0.conv1"; empty for the network itself
};
struct ScriptFunctionValue {
  int function = 0;
};

struct ScriptList;

using ScriptTensorPointer = std::shared_ptr<ScriptTensorValue>;
using ScriptValue = std::variant<ScriptNone, ScriptMissing, ScriptOther, bool, int64_t, double,
                                 std::string, ScriptTensorPointer, std::shared_ptr<ScriptList>,
                                 ScriptModuleValue, ScriptFunctionValue>;

// Lists and tuples. Lists change in place, so they are shared.
struct ScriptList {
  std::vector<ScriptValue> items;
  bool is_attribute = false;  // what changes it would be seen by the next call
};

inline ScriptValue MakeScriptList(std::vector<ScriptValue> items) {
  return std::make_shared<ScriptList>(ScriptList{std::move(items)});
}

// "a tensor", "int", "None": for errors.
std::string DescribeScriptValue(const ScriptValue& value);

// Whether the value, or something in it, is missing.
bool IsMissing(const ScriptValue& value);

}  // namespace mico
