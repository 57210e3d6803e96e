#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "proto/messages.h"
#include "quant/quantized_model.h"
#include "worker/compiler.h"
#include "worker/workbench.h"

namespace mico {

// All that an artifact is made of; what it refers to outlives it.
struct ArtifactRequest {
  const ArtifactTask& task;
  const ModelPackage& package;
  const QuantizedModel& model;
  const Dataset& dataset;
  std::string version;  // of the generator
};

struct BuiltArtifact {
  // Equal for equal requests and targets, whatever machine made it.
  std::string tar;
  // All but the digest.
  ArtifactResult result;
};

// Generates the C project of one quantized model with self-tests from the data set's test split,
// compiles it, runs the self-test on this machine and, where the target has a board, there. What is
// measured is in the result, not in the project.
//
// A self-test that computes other integers is not an error but false in the result.
absl::StatusOr<BuiltArtifact> BuildArtifact(const ArtifactRequest& request,
                                            const Workbench& workbench,
                                            const CompilerOptions& options);

}  // namespace mico
