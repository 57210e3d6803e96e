#pragma once

#include <span>
#include <vector>

#include "codegen/generate_c.h"
#include "codegen/program_plan.h"

namespace mico {

// The smallest complete program around a generated project: start-up, one inference, exit. Its size
// is what a network costs on a device; self-test inputs and texts are not in it.
std::vector<GeneratedFile> DeployedProgram(std::span<const GeneratedFile> project,
                                           const ProgramPlan& plan);

// The same without a network: what every program costs.
std::vector<GeneratedFile> EmptyProgram();

}  // namespace mico
