#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_package.h"
#include "model/script_program.h"

namespace mico {

// Turns a TorchScript program into a normalised network: follows forward() from instruction to
// instruction with the shapes of the input, and translates what it does to the network's data.
// Branches and loops are followed as long as they depend on shapes and constants alone.
// `input_dims` are those of one sample as forward() sees it, without the batch: features, channels
// and length, or channels, height and width.
//
// InvalidArgument: not a program that can run on such an input. Unimplemented: it can, but with
// instructions that we do not support; the message lists every one of them by name and reason.
absl::StatusOr<ModelPackage> ImportTorchScript(ScriptProgram program,
                                               const std::vector<int64_t>& input_dims);

}  // namespace mico
