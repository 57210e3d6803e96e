#pragma once

#include <cstdint>

#include "tests/bench/network_bench.h"

namespace mico {

// How much two processes of one thread each do beside one of them: the images of both in the time
// of the slower one. Processes are this program with `--worker-images N`, which runs WorkAsOne.
absl::Status MeasureTwoWorkers(const NetworkBenchOptions& options, BenchReport& report);

// Says that it is ready, waits for a line, evaluates ResNet-20 on so many images, prints seconds.
absl::Status WorkAsOne(const NetworkBenchOptions& options, int64_t images);

}  // namespace mico
