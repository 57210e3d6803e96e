#include "model/onnx_node.h"

#include "fmt/format.h"

namespace mico {

std::string OnnxNode::input(int index) const {
  return index < proto_->input_size() ? proto_->input(index) : "";
}

const onnx_wire::AttributeProto* OnnxNode::Find(std::string_view attribute) const {
  for (const onnx_wire::AttributeProto& candidate : proto_->attribute()) {
    if (candidate.name() == attribute) return &candidate;
  }
  return nullptr;
}

int64_t OnnxNode::Int(std::string_view attribute, int64_t otherwise) const {
  const auto* found = Find(attribute);
  return found == nullptr ? otherwise : found->i();
}

float OnnxNode::Float(std::string_view attribute, float otherwise) const {
  const auto* found = Find(attribute);
  return found == nullptr ? otherwise : found->f();
}

std::string OnnxNode::Text(std::string_view attribute, std::string otherwise) const {
  const auto* found = Find(attribute);
  return found == nullptr ? otherwise : found->s();
}

std::vector<int64_t> OnnxNode::Ints(std::string_view attribute,
                                    std::vector<int64_t> otherwise) const {
  const auto* found = Find(attribute);
  if (found == nullptr) return otherwise;
  return {found->ints().begin(), found->ints().end()};
}

absl::Status Unsupported(std::string reason) { return absl::UnimplementedError(reason); }

absl::Status Malformed(std::string reason) { return absl::InvalidArgumentError(reason); }

absl::StatusOr<int64_t> NormaliseAxis(int64_t axis, size_t rank) {
  const int64_t extent = static_cast<int64_t>(rank);
  if (axis < -extent || axis >= extent) {
    return Malformed(fmt::format("axis {} of a tensor with {} axes", axis, rank));
  }
  return axis < 0 ? axis + extent : axis;
}

}  // namespace mico
