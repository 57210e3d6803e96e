#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_package.h"

namespace mico {

// TorchScript to the normal form; see model/torchscript_importer.h for `input_dims`. Loading a file
// may run code of the file: anywhere but in tests, inside of worker/sandbox.h.
absl::StatusOr<ModelPackage> ConvertScript(const std::string& file,
                                           const std::vector<int64_t>& input_dims);

}  // namespace mico
