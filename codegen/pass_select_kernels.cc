#include "base/status_macros.h"
#include "codegen/program.h"
#include "codegen/signature.h"
#include "quant/window.h"

namespace mico {
namespace {

// Sizes of the structs of mico_kernel.h with 32-bit pointers.
constexpr int64_t kConvParameters = 36;
constexpr int64_t kRequant = 20;
constexpr int64_t kPoolParameters = 24;
constexpr int64_t kDivisors = 8;
constexpr int64_t kAddParameters = 20;
constexpr int64_t kClamp = 8;
constexpr int64_t kSliceParameters = 24;
constexpr int64_t kPadParameters = 12;

// Bias and multiplier of four bytes, a shift of one; arrays start on words.
int64_t RequantBytes(int64_t entries) { return kRequant + 8 * entries + (entries + 3) / 4 * 4; }

// Everything constant of a step but its weights.
int64_t TableBytes(const QuantizedGraph& graph, const Step& step, const StepKernel& kernel) {
  switch (step.kind) {
    case StepKind::kConv:
      return RequantBytes(step.conv().out_channels) +
             (kernel.takes_parameters ? kConvParameters : 0);
    case StepKind::kAdd:
      return kAddParameters;
    case StepKind::kMaxPool:
      return kPoolParameters;
    case StepKind::kAveragePool: {
      const auto divisors =
          static_cast<int64_t>(PoolDivisors(step.pool(), graph.tensors[step.inputs[0]].shape,
                                            graph.tensors[step.output].shape)
                                   .size());
      return kPoolParameters + kDivisors + 4 * divisors + RequantBytes(divisors);
    }
    case StepKind::kRelu:
      return kClamp;
    case StepKind::kConcat:
      return 0;
    case StepKind::kSlice:
      return kSliceParameters;
    case StepKind::kPad:
      return kPadParameters;
    case StepKind::kRequantize:
      return RequantBytes(1);
  }
  return 0;
}

}  // namespace

absl::Status SelectKernels(Program& program) {
  const QuantizedGraph& graph = *program.graph;
  program.steps.resize(graph.steps.size());
  program.plan.steps.resize(graph.steps.size());
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    MICO_ASSIGN_OR_RETURN(StepKernel kernel, SelectKernel(graph, step, *program.target));
    program.plan.steps[i] = {.kernel = kernel.kernel.name,
                             .signature = StepSignature(graph, step),
                             .scratch_bytes = kernel.scratch_bytes,
                             .weight_bytes = kernel.weight_bytes,
                             .table_bytes = TableBytes(graph, step, kernel)};
    program.steps[i].kernel = std::move(kernel);
  }
  return absl::OkStatus();
}

}  // namespace mico
