#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "model/model_package.h"

namespace mico {

// Turns a file from a stranger into a normalised network. Stateless, thread-safe.
class ModelImporter {
 public:
  virtual ~ModelImporter() = default;

  // InvalidArgument: not a well-formed file. Unimplemented: well-formed, but with nodes that we do
  // not support; the message lists every one of them by name, type and reason.
  virtual absl::StatusOr<ModelPackage> Import(std::string_view bytes) const = 0;
};

// ONNX, opset 8-18, self-contained (external data is refused).
class OnnxImporter : public ModelImporter {
 public:
  absl::StatusOr<ModelPackage> Import(std::string_view bytes) const override;
};

}  // namespace mico
