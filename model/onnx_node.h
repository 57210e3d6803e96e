#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/onnx_tensor.h"
#include "model/onnx_wire.pb.h"

namespace mico {

// A node of the file and the version of the operator set it is written in: the one place where
// attributes are looked up. Does not own the node.
class OnnxNode {
 public:
  OnnxNode(const onnx_wire::NodeProto& proto, std::string name, int64_t opset)
      : proto_(&proto), name_(std::move(name)), opset_(opset) {}

  const std::string& name() const { return name_; }  // plain and unique
  std::string type() const { return PlainName(proto_->op_type()); }
  int64_t opset() const { return opset_; }
  const onnx_wire::NodeProto& proto() const { return *proto_; }

  // The name of input `index`, empty if it is left out.
  std::string input(int index) const;
  bool has_input(int index) const { return !input(index).empty(); }

  bool Has(std::string_view attribute) const { return Find(attribute) != nullptr; }
  int64_t Int(std::string_view attribute, int64_t otherwise) const;
  float Float(std::string_view attribute, float otherwise) const;
  std::string Text(std::string_view attribute, std::string otherwise) const;
  std::vector<int64_t> Ints(std::string_view attribute, std::vector<int64_t> otherwise) const;
  // Null if the node does not have it.
  const onnx_wire::AttributeProto* Find(std::string_view attribute) const;

 private:
  const onnx_wire::NodeProto* proto_;
  std::string name_;
  int64_t opset_;
};

// Errors about a node. What they say is completed with the node's name and type where they are
// collected (onnx_importer.cc).
absl::Status Unsupported(std::string reason);
absl::Status Malformed(std::string reason);

// An axis counted from the end if negative, now in [0, rank).
absl::StatusOr<int64_t> NormaliseAxis(int64_t axis, size_t rank);

}  // namespace mico
