#include "codegen/program_plan.h"

#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "codegen/program.h"

namespace mico {

ProgramWork ProgramPlan::Work(const QuantizedGraph& graph) const {
  ProgramWork work;
  std::set<std::string> kernels;
  for (size_t i = 0; i < steps.size(); ++i) {
    work.steps.push_back({graph.steps[i].name, steps[i].signature, steps[i].kernel});
    work.constant_bytes += steps[i].weight_bytes + steps[i].table_bytes;
    kernels.insert(steps[i].kernel);
  }
  work.kernels.assign(kernels.begin(), kernels.end());
  work.peak_ram_bytes = arena_bytes + input_bytes + output_bytes;
  return work;
}

absl::StatusOr<ProgramPlan> PlanProgram(const QuantizedGraph& graph, const Target& target) {
  constexpr Pass kPlanning[] = {
      {"select-kernels", SelectKernels},
      {"plan-memory", PlanMemory},
  };
  Program program{.graph = &graph, .target = &target};
  MICO_RETURN_IF_ERROR(RunPasses(kPlanning, program));
  return std::move(program.plan);
}

}  // namespace mico
