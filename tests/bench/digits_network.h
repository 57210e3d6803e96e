#pragma once

#include "tests/bench/network_bench.h"

namespace mico {

// A convolutional network of five layers and 747,000 MACs for the 8x8 digits, trained here.
absl::StatusOr<BenchNetwork> LoadDigitsNetwork(const NetworkBenchOptions& options,
                                               TorchEvaluator& evaluator);

}  // namespace mico
