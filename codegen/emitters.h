#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "codegen/generate_c.h"
#include "codegen/program.h"

namespace mico {

// One function for each generated file, or each group of files that are one thing. All are pure.
struct Emission {
  const Program& program;
  const ArtifactInfo& info;
};

// The comment at the top of a generated C file: what it is, and what made it.
std::string FileHeader(const ArtifactInfo& info, std::string_view what);

GeneratedFile EmitModelHeader(const Emission& emission);
GeneratedFile EmitModelSource(const Emission& emission);
GeneratedFile EmitPrepareSource(const Emission& emission);  // only for uint8 data
GeneratedFile EmitWeightsHeader(const Emission& emission);
GeneratedFile EmitWeightsSource(const Emission& emission);
GeneratedFile EmitReadme(const Emission& emission);
GeneratedFile EmitReport(const Emission& emission);
absl::StatusOr<GeneratedFile> EmitScheme(const Emission& emission);
std::vector<GeneratedFile> EmitBuildFiles(const Emission& emission);
std::vector<GeneratedFile> EmitSelfTest(const Emission& emission);

// Headers, templates and one C file for each kernel, in `folder`.
std::vector<GeneratedFile> EmitKernels(const std::vector<KernelInstance>& kernels,
                                       const std::string& folder);

}  // namespace mico
