#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "proto/messages.h"
#include "quant/calibration.h"
#include "target/cost.h"
#include "target/target.h"
#include "tests/bench/latency_bench_schemes.h"

namespace mico {

// A network with all that quantizing it needs.
struct CalibratedNetwork {
  ModelPackage package;
  Dataset dataset;
  Calibration calibration;
};

// Imports, loads and calibrates on all of train, as a job does.
absl::StatusOr<CalibratedNetwork> LoadNetwork(const std::filesystem::path& onnx,
                                              const std::filesystem::path& npz);

// What one step cost: by the profile, and in a run of the whole network whose steps were timed.
struct StepCount {
  std::string name;
  std::string signature;
  int64_t predicted = 0;
  int64_t measured = 0;
};

struct SchemeCost {
  Cost predicted;
  ArtifactResult measured;
  std::vector<StepCount> steps;  // empty unless asked for
};

// Profiles the signatures that the schemes need on the target's board, predicts every scheme's cost
// from the profile alone, then builds every scheme's artifact, runs it and reads the linked
// program. Parallel to `schemes`.
absl::StatusOr<std::vector<SchemeCost>> MeasureSchemes(const CalibratedNetwork& network,
                                                       const TargetFile& file,
                                                       std::span<const LabelledScheme> schemes,
                                                       bool with_steps);

}  // namespace mico
