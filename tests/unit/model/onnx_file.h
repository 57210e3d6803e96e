#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "model/importer.h"
#include "model/onnx_wire.pb.h"

namespace mico {

// Writes small ONNX files for tests. Tensors are named in the calls; the last node's output is the
// file's output unless Output() says otherwise.
class OnnxFile {
 public:
  using Dims = std::vector<int64_t>;

  explicit OnnxFile(int64_t opset = 13) { model_.add_opset_import()->set_version(opset); }

  // Extents of -1 are symbolic.
  OnnxFile& Input(const std::string& name, const Dims& dims) {
    onnx_wire::ValueInfoProto& input = *graph().add_input();
    input.set_name(name);
    input.mutable_type()->mutable_tensor_type()->set_elem_type(onnx_wire::TensorProto::FLOAT);
    auto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (const int64_t extent : dims) {
      auto& dim = *shape.add_dim();
      if (extent < 0) dim.set_dim_param("symbolic");
      if (extent >= 0) dim.set_dim_value(extent);
    }
    return *this;
  }

  OnnxFile& Floats(const std::string& name, const Dims& dims, const std::vector<float>& values) {
    onnx_wire::TensorProto& tensor = AddTensor(name, dims, onnx_wire::TensorProto::FLOAT);
    tensor.mutable_float_data()->Add(values.begin(), values.end());
    return *this;
  }

  // 0.01, 0.02, ... with alternating signs: no two alike, so that a wrong order shows.
  OnnxFile& Ramp(const std::string& name, const Dims& dims) {
    return Floats(name, dims, RampValues(dims));
  }

  static std::vector<float> RampValues(const Dims& dims) {
    int64_t count = 1;
    for (const int64_t extent : dims) count *= extent;
    std::vector<float> values;
    for (int64_t i = 1; i <= count; ++i) {
      values.push_back(0.01f * static_cast<float>(i % 2 == 0 ? -i : i));
    }
    return values;
  }

  OnnxFile& Integers(const std::string& name, const std::vector<int64_t>& values) {
    onnx_wire::TensorProto& tensor =
        AddTensor(name, {static_cast<int64_t>(values.size())}, onnx_wire::TensorProto::INT64);
    tensor.mutable_int64_data()->Add(values.begin(), values.end());
    return *this;
  }

  // Adds a node; attributes are added to it by the calls that follow. Its name is its output.
  OnnxFile& Node(const std::string& type, const std::vector<std::string>& inputs,
                 const std::string& output) {
    node_ = graph().add_node();
    node_->set_op_type(type);
    node_->set_name(output);
    for (const std::string& input : inputs) node_->add_input(input);
    node_->add_output(output);
    output_ = output;
    return *this;
  }

  OnnxFile& Int(const std::string& name, int64_t value) {
    Attribute(name).set_i(value);
    return *this;
  }
  OnnxFile& Float(const std::string& name, float value) {
    Attribute(name).set_f(value);
    return *this;
  }
  OnnxFile& Text(const std::string& name, const std::string& value) {
    Attribute(name).set_s(value);
    return *this;
  }
  OnnxFile& Ints(const std::string& name, const Dims& values) {
    Attribute(name).mutable_ints()->Add(values.begin(), values.end());
    return *this;
  }
  OnnxFile& AlsoWrites(const std::string& output) {
    node_->add_output(output);
    return *this;
  }
  OnnxFile& Output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }

  // Whether some node is of that type.
  bool Uses(const std::string& type) {
    return std::any_of(graph().node().begin(), graph().node().end(),
                       [&](const auto& node) { return node.op_type() == type; });
  }

  onnx_wire::ModelProto& model() { return model_; }
  onnx_wire::GraphProto& graph() { return *model_.mutable_graph(); }
  onnx_wire::NodeProto& node() { return *node_; }

  std::string Bytes() {
    if (graph().output_size() == 0) Output(output_);
    return model_.SerializeAsString();
  }

  absl::StatusOr<ModelPackage> Import() { return OnnxImporter().Import(Bytes()); }

 private:
  onnx_wire::TensorProto& AddTensor(const std::string& name, const Dims& dims, int type) {
    onnx_wire::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    tensor.mutable_dims()->Add(dims.begin(), dims.end());
    return tensor;
  }
  onnx_wire::AttributeProto& Attribute(const std::string& name) {
    onnx_wire::AttributeProto& attribute = *node_->add_attribute();
    attribute.set_name(name);
    return attribute;
  }

  onnx_wire::ModelProto model_;
  onnx_wire::NodeProto* node_ = nullptr;
  std::string output_;
};

}  // namespace mico
