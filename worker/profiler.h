#pragma once

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "target/latency_model.h"
#include "worker/compiler.h"
#include "worker/evaluator.h"
#include "worker/workbench.h"

namespace mico {

// Compiles the real kernels for every signature into micro-benchmarks, runs them on the board and
// gives the table: counts with their spread over repeated runs (the counter's own cost subtracted),
// code sizes of the kernels, and what every program costs.
//
// Signatures share programs as far as the board's memory and time limit allow. FailedPrecondition
// without a board; errors name the signature where only one is to blame.
absl::StatusOr<LatencyTable> Profile(const Workbench& workbench,
                                     std::span<const std::string> signatures,
                                     const CompilerOptions& options, const KeepGoing& keep_going);

}  // namespace mico
