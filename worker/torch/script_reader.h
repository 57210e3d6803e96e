#pragma once

#include <string>

#include "model/script_program.h"

// The second door to libtorch, for mico-torchscript alone. C++17 for the reason that convolution.h
// gives.
namespace mico {

// Takes a TorchScript file apart. Loading it may run code of the file: only ever inside of
// worker/sandbox.h. Parameters may have `most_elements` numbers in all.
//
// True: `program` holds it, its modules set to evaluation. False: `error` says why not, in
// libtorch's words or ours.
bool ReadScript(const std::string& file, int64_t most_elements, ScriptProgram& program,
                std::string& error);

}  // namespace mico
