#include "worker/torch/script_reader.h"

#include <ATen/core/Tensor.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace mico {
namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;

class FileInMemory : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit FileInMemory(const std::string& file) : file_(file) {}
  size_t size() const override { return file_.size(); }
  size_t read(uint64_t position, void* buffer, size_t count, const char*) const override {
    if (position >= file_.size()) return 0;
    const size_t available = std::min<size_t>(count, file_.size() - position);
    std::memcpy(buffer, file_.data() + position, available);
    return available;
  }

 private:
  const std::string& file_;
};

// What we refuse, other than what libtorch does.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Instructions by which a file reaches for other files. They have found none, and whoever has them
// is not just a network.
void RefuseFileAccess(const std::string& function, const std::string& kind) {
  if (kind != "aten::save" && kind != "aten::from_file") return;
  throw Refusal("its " + function + "() opens files (" + kind + "); a network has no need to");
}

// "Conv2d" of "__torch__.torch.nn.modules.conv.___torch_mangle_2.Conv2d".
std::string PlainType(const c10::ClassType& type) {
  const auto& name = type.name();
  return name.has_value() ? name->name() : "Module";
}

class Reader {
 public:
  Reader(int64_t most_elements, ScriptProgram& program)
      : elements_left_(most_elements), program_(program) {}

  void Read(const torch::jit::Module& module) {
    const auto& type = *module.type();
    if (!type.getForwardHooks().empty() || !type.getForwardPreHooks().empty()) {
      throw Refusal("the network has forward hooks; needs a forward() without them");
    }
    AddModule(module._ivalue());
    // Functions call each other: reading one may add others.
    for (size_t i = 0; i < to_read_.size(); ++i) ReadFunction(*to_read_[i], i);
  }

 private:
  ScriptConstant Make(ScriptConstant::Kind kind, int64_t integer) {
    ScriptConstant constant;
    constant.kind = kind;
    constant.integer = integer;
    return constant;
  }

  ScriptConstant Other(std::string what) {
    ScriptConstant constant;
    constant.kind = ScriptConstant::Kind::kOther;
    constant.text = std::move(what);
    return constant;
  }

  ScriptConstant Convert(const c10::IValue& value) {
    using Kind = ScriptConstant::Kind;
    ScriptConstant constant;
    if (value.isNone()) return constant;
    if (value.isBool()) return Make(Kind::kBool, value.toBool() ? 1 : 0);
    if (value.isInt()) return Make(Kind::kInt, value.toInt());
    if (value.isTensor()) return ConvertTensor(value.toTensor());
    if (value.isModule()) return Make(Kind::kModule, AddModule(value.toObject()));
    if (value.isDouble()) {
      constant.kind = Kind::kFloat;
      constant.number = value.toDouble();
    } else if (value.isString()) {
      constant.kind = Kind::kText;
      constant.text = value.toStringRef();
    } else if (value.isDevice()) {
      constant.kind = Kind::kText;
      constant.text = "cpu";
    } else if (value.isList() || value.isTuple()) {
      constant.kind = Kind::kList;
      const auto items =
          value.isList() ? value.toListRef().vec() : value.toTupleRef().elements().vec();
      for (const c10::IValue& item : items) constant.items.push_back(Convert(item));
    } else {
      return Other("a value of type " + value.tagKind());
    }
    return constant;
  }

  ScriptConstant ConvertTensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return {};
    const auto known = tensors_.find(tensor.unsafeGetTensorImpl());
    if (known != tensors_.end()) return Make(ScriptConstant::Kind::kTensor, known->second);
    const int index = static_cast<int>(program_.tensors.size());
    tensors_[tensor.unsafeGetTensorImpl()] = index;
    program_.tensors.push_back(ReadTensor(tensor));
    return Make(ScriptConstant::Kind::kTensor, index);
  }

  ScriptTensor ReadTensor(const at::Tensor& tensor) {
    ScriptTensor read;
    const auto type = tensor.scalar_type();
    read.is_float = type == at::kFloat || type == at::kDouble;
    if (!read.is_float && type != at::kLong && type != at::kInt && type != at::kBool) {
      read.refusal = std::string("a tensor of type ") + c10::toString(type) +
                     "; supported are float, double, int, long and bool";
      return read;
    }
    if (tensor.layout() != at::kStrided || !tensor.device().is_cpu()) {
      read.refusal = "a tensor that is sparse or not in memory";
      return read;
    }
    // A few bytes of a file can describe any number of equal elements.
    if (tensor.numel() > elements_left_) {
      throw Refusal("the file has parameters of more numbers in all than are supported");
    }
    elements_left_ -= tensor.numel();
    read.dims = tensor.sizes().vec();
    if (read.is_float) {
      const at::Tensor dense = tensor.to(at::kFloat).contiguous();
      read.floats.assign(dense.data_ptr<float>(), dense.data_ptr<float>() + dense.numel());
    } else {
      const at::Tensor dense = tensor.to(at::kLong).contiguous();
      read.integers.assign(dense.data_ptr<int64_t>(), dense.data_ptr<int64_t>() + dense.numel());
    }
    return read;
  }

  int AddModule(const c10::intrusive_ptr<c10::ivalue::Object>& object) {
    const auto known = modules_.find(object.get());
    if (known != modules_.end()) return known->second;
    const int index = static_cast<int>(program_.modules.size());
    modules_[object.get()] = index;
    program_.modules.emplace_back();
    ScriptModule module;
    const auto type = object->type();
    module.type = PlainType(*type);
    for (torch::jit::Function* method : type->methods()) {
      const int function = AddFunction(*method);
      if (function >= 0) module.methods[method->name()] = function;
    }
    for (size_t i = 0; i < type->numAttributes(); ++i) {
      module.attributes[type->getAttributeName(i)] = Convert(object->getSlot(i));
    }
    for (size_t i = 0; i < type->numConstants(); ++i) {
      module.attributes[type->getConstantName(i)] = Convert(type->getConstant(i));
    }
    program_.modules[static_cast<size_t>(index)] = std::move(module);
    return index;
  }

  // -1 for those without instructions.
  int AddFunction(torch::jit::Function& function) {
    if (torch::jit::tryToGraphFunction(function) == nullptr) return -1;
    const auto known = functions_.find(&function);
    if (known != functions_.end()) return known->second;
    const int index = static_cast<int>(to_read_.size());
    functions_[&function] = index;
    to_read_.push_back(&function);
    program_.functions.emplace_back();
    return index;
  }

  void ReadFunction(torch::jit::Function& function, size_t index) {
    function.ensure_defined();
    values_.clear();
    function_ = function.name();
    ScriptFunction read;
    read.name = function.name();
    read.body = ReadBlock(*torch::jit::toGraphFunction(function).graph()->block());
    read.value_count = static_cast<int>(values_.size());
    program_.functions[index] = std::move(read);
  }

  int NumberOf(const Value* value) {
    return values_.emplace(value, static_cast<int>(values_.size())).first->second;
  }

  ScriptBlock ReadBlock(const Block& block) {
    ScriptBlock read;
    for (const Value* input : block.inputs()) read.inputs.push_back(NumberOf(input));
    for (const Node* node : block.nodes()) read.nodes.push_back(ReadNode(*node));
    for (const Value* output : block.outputs()) read.outputs.push_back(NumberOf(output));
    return read;
  }

  ScriptNode ReadNode(const Node& node) {
    ScriptNode read;
    read.kind = node.kind().toQualString();
    RefuseFileAccess(function_, read.kind);
    for (const Value* input : node.inputs()) read.inputs.push_back(NumberOf(input));
    for (const Value* output : node.outputs()) read.outputs.push_back(NumberOf(output));
    if (node.kind() == c10::prim::Constant) {
      read.constant = ReadConstant(node);
    } else if (node.hasAttribute(c10::attr::name)) {
      read.name = node.s(c10::attr::name);
    }
    for (const Block* block : node.blocks()) read.blocks.push_back(ReadBlock(*block));
    return read;
  }

  ScriptConstant ReadConstant(const Node& node) {
    if (const auto type = node.output()->type()->cast<c10::FunctionType>()) {
      const int function = AddFunction(*type->function());
      if (function < 0) return Other("a function without instructions");
      return Make(ScriptConstant::Kind::kFunction, function);
    }
    const auto value = torch::jit::toIValue(node.output());
    return value.has_value() ? Convert(*value) : Other("a constant of an unknown type");
  }

  int64_t elements_left_;
  ScriptProgram& program_;
  std::unordered_map<const void*, int> modules_, functions_, tensors_;
  std::vector<torch::jit::Function*> to_read_;
  // Of the function that is being read.
  std::string function_;
  std::unordered_map<const Value*, int> values_;
};

// libtorch's messages go on with a stack of C++; the last line before it says what is wrong.
std::string WithoutStack(const std::string& message) {
  const size_t first = std::min(message.find_first_not_of(" \n"), message.size());
  return message.substr(first, message.find("\nException raised from") - first);
}

}  // namespace

bool ReadScript(const std::string& file, int64_t most_elements, ScriptProgram& program,
                std::string& error) {
  try {
    torch::jit::Module module =
        torch::jit::import_ir_module(std::make_shared<torch::jit::CompilationUnit>(),
                                     std::make_unique<FileInMemory>(file), c10::Device(c10::kCPU));
    module.eval();
    Reader(most_elements, program).Read(module);
    return true;
  } catch (const Refusal& refusal) {
    error = refusal.what();
  } catch (const c10::Error& caught) {
    error = "libtorch cannot load the file: " + WithoutStack(caught.what_without_backtrace());
  } catch (const std::exception& caught) {
    error = "libtorch cannot load the file: " + WithoutStack(caught.what());
  } catch (...) {
    error = "the file throws something that is no exception";
  }
  return false;
}

}  // namespace mico
