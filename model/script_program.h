#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// What a TorchScript file says, in words that need no libtorch. Plain C++17, because it is filled
// where libtorch is seen (worker/torch/script_reader.cc).
namespace mico {

// A parameter, a buffer or a constant of the code.
struct ScriptTensor {
  std::vector<int64_t> dims;
  bool is_float = true;
  // The one that is_float names, in C order.
  std::vector<float> floats;
  std::vector<int64_t> integers;
  // Why its values are not here ("elements of type Half"); empty: they are.
  std::string refusal;
};

struct ScriptConstant {
  enum class Kind {
    kNone,
    kBool,      // integer
    kInt,       // integer
    kFloat,     // number
    kText,      // text
    kTensor,    // integer: index of a tensor
    kList,      // items; tuples too
    kModule,    // integer: index of a module
    kFunction,  // integer: index of a function
    kOther,     // text: what it is, for an error if somebody reads it
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0.0;
  std::string text;
  std::vector<ScriptConstant> items;
};

struct ScriptBlock;

// One instruction. Values are numbered within their function.
struct ScriptNode {
  std::string kind;  // "aten::conv2d", "prim::If"
  std::vector<int> inputs, outputs;
  std::string name;   // of the attribute or method that prim::GetAttr, SetAttr, CallMethod mean
  int64_t index = 0;  // of prim::TupleIndex where it is an attribute
  ScriptConstant constant;  // of prim::Constant
  std::vector<ScriptBlock> blocks;
};

struct ScriptBlock {
  std::vector<int> inputs;
  std::vector<ScriptNode> nodes;
  std::vector<int> outputs;
};

struct ScriptFunction {
  std::string name;
  int value_count = 0;
  ScriptBlock body;  // a method's first input is its module
};

struct ScriptModule {
  std::string type;  // of the class, without its mangling: "Conv2d"
  std::map<std::string, ScriptConstant> attributes;
  std::map<std::string, int> methods;  // indices of functions
};

struct ScriptProgram {
  std::vector<ScriptTensor> tensors;
  std::vector<ScriptFunction> functions;
  std::vector<ScriptModule> modules;  // the first is the network
};

}  // namespace mico
