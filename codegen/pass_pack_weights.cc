#include "absl/status/status.h"
#include "codegen/program.h"
#include "fmt/format.h"

namespace mico {
namespace {

// The kernel adds 2^(container - 1) to every element of a signed input; the bias takes it back.
std::vector<int32_t> CorrectedBias(const StepNumbers& numbers, const ConvView& conv) {
  std::vector<int32_t> bias = numbers.bias;
  const int64_t offset = int64_t{1} << (conv.input_container - 1);
  for (int64_t channel = 0; channel < conv.out_channels; ++channel) {
    int64_t sum = 0;
    for (int64_t k = 0; k < conv.reduction; ++k) {
      sum += numbers.weights[channel * conv.reduction + k];
    }
    // Modulo 2^32, as the kernel computes.
    bias[channel] = static_cast<int32_t>(static_cast<uint32_t>(bias[channel] - offset * sum));
  }
  return bias;
}

}  // namespace

absl::Status PackWeights(Program& program) {
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.step(i);
    ProgramStep& packed = program.steps[i];
    packed.bias = program.numbers(i).bias;
    if (step.kind != StepKind::kConv) continue;
    const ConvView conv = ViewConv(*program.graph, step);
    packed.weights = PackFor(packed.kernel.packing, conv, program.numbers(i).weights);
    if (packed.kernel.offsets_signed_input) packed.bias = CorrectedBias(program.numbers(i), conv);
    const auto bytes = static_cast<int64_t>(4 * packed.weights.size());
    if (bytes != packed.kernel.weight_bytes) {
      return absl::InternalError(fmt::format("step '{}': {} bytes of weights, planned were {}",
                                             step.name, bytes, packed.kernel.weight_bytes));
    }
  }
  return absl::OkStatus();
}

}  // namespace mico
