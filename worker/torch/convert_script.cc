#include "worker/torch/convert_script.h"

#include <utility>

#include "model/torchscript_importer.h"
#include "worker/torch/script_reader.h"

namespace mico {

absl::StatusOr<ModelPackage> ConvertScript(const std::string& file,
                                           const std::vector<int64_t>& input_dims) {
  // What a network may have (model/draft.h), and as much again that it does not use.
  constexpr int64_t kMostElements = int64_t{1} << 28;
  ScriptProgram program;
  std::string error;
  if (!ReadScript(file, kMostElements, program, error)) {
    return absl::InvalidArgumentError(error);
  }
  return ImportTorchScript(std::move(program), input_dims);
}

}  // namespace mico
