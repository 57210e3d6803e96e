#include "codegen/program.h"

#include <algorithm>

#include "fmt/format.h"

namespace mico {

std::vector<KernelInstance> Program::Kernels() const {
  std::vector<KernelInstance> kernels;
  for (const ProgramStep& step : steps) kernels.push_back(step.kernel.kernel);
  std::sort(kernels.begin(), kernels.end(),
            [](const KernelInstance& a, const KernelInstance& b) { return a.name < b.name; });
  kernels.erase(std::unique(kernels.begin(), kernels.end()), kernels.end());
  return kernels;
}

absl::Status RunPasses(std::span<const Pass> passes, Program& program) {
  for (const Pass& pass : passes) {
    const absl::Status status = pass.run(program);
    if (status.ok()) continue;
    // Other errors are the caller's: they name a layer already.
    if (status.code() != absl::StatusCode::kInternal) return status;
    return absl::InternalError(fmt::format("{}: {}", pass.name, std::string(status.message())));
  }
  return absl::OkStatus();
}

}  // namespace mico
