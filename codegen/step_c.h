#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codegen/kernel_library.h"
#include "quant/quantized_model.h"

namespace mico {

// A constant of the generated program: declared in a header, defined in a source.
struct CConstant {
  std::string declaration;  // "extern const mico_clamp_t name;"
  std::string definition;
};

// Names of the arrays that a requantization reads, its clamp, and how many entries they have.
struct RequantArrays {
  std::string bias, multiplier, shift;
  int32_t lowest = 0, highest = 0;
};
CConstant DefineRequant(const std::string& symbol, const RequantArrays& arrays);

// The parameters that follow from a step's structure alone ("<symbol>_params": conv, pool, slice,
// pad); empty texts for other kinds and where the kernel takes none.
CConstant DefineParameters(const Step& step, const StepKernel& kernel, const std::string& symbol);

// Where a call finds its data: C expressions of type pointer to uint8_t.
struct CallOperands {
  std::string symbol;   // prefix of the step's constants
  std::string weights;  // of the array
  std::vector<std::string> inputs;
  std::string output;
  std::string scratch;  // "NULL" where there is none
};

// The call, or calls for a concatenation, each indented by two blanks.
std::string CallStep(const QuantizedGraph& graph, const Step& step, const StepKernel& kernel,
                     const CallOperands& operands);

}  // namespace mico
