#include <set>

#include "codegen/embedded_files.h"
#include "codegen/emitters.h"
#include "fmt/format.h"

namespace mico {

std::vector<GeneratedFile> EmitKernels(const std::vector<KernelInstance>& kernels,
                                       const std::string& folder) {
  std::set<std::string_view> templates;
  std::vector<GeneratedFile> files;
  files.push_back({fmt::format("{}/mico_kernel.h", folder),
                   std::string(Embedded("kernels/include/mico_kernel.h"))});
  for (const KernelInstance& kernel : kernels) {
    for (const std::string_view path : IncludedTemplates(kernel)) templates.insert(path);
    files.push_back({fmt::format("{}/{}.c", folder, kernel.name), KernelSource(kernel)});
  }
  for (const std::string_view path : templates) {
    files.push_back({fmt::format("{}/{}", folder, path),
                     std::string(Embedded(fmt::format("kernels/{}", path)))});
  }
  return files;
}

}  // namespace mico
