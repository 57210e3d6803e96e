#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "codegen/kernel_library.h"
#include "codegen/program_plan.h"
#include "quant/quantized_model.h"
#include "target/target.h"

namespace mico {

// One step on its way to C.
struct ProgramStep {
  StepKernel kernel;
  std::string symbol;             // prefix of its constants: "mico_model_conv1"
  std::vector<uint32_t> weights;  // as the kernel reads them
  std::vector<int32_t> bias;      // as the kernel reads it
};

// A network between the quantized model and the emitters; passes fill it in. The pointed-to things
// outlive it.
struct Program {
  const QuantizedGraph* graph = nullptr;
  const QuantizedModel* model = nullptr;  // null where only the plan is wanted
  const Target* target = nullptr;
  std::string prefix = "mico_model";  // of every symbol
  std::vector<ProgramStep> steps;     // parallel to graph->steps
  ProgramPlan plan;

  const Step& step(size_t index) const { return graph->steps[index]; }
  const QuantizedTensor& tensor(int index) const { return graph->tensors[index]; }
  const StepNumbers& numbers(size_t index) const { return model->numbers[index]; }
  // The distinct kernels, sorted by name.
  std::vector<KernelInstance> Kernels() const;
};

struct Pass {
  std::string_view name;
  absl::Status (*run)(Program& program);
};

absl::Status SelectKernels(Program& program);  // afterwards every step names a kernel and its bytes
absl::Status PackWeights(Program& program);    // every weight array is words
absl::Status PlanMemory(Program& program);     // every buffer has an offset
absl::Status NameSymbols(Program& program);    // every C identifier is final and unique

// Runs the passes in order; errors of ours carry the pass's name.
absl::Status RunPasses(std::span<const Pass> passes, Program& program);

// Every buffer of the arena starts at a multiple of this.
inline constexpr int64_t kArenaAlignment = 4;

}  // namespace mico
