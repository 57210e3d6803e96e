#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "worker/torch/parallel_batches.h"

namespace mico {

// Over samples `indices` of train, in the float network: ranges, then counts, of every value that
// decides a scale, and the means of what layers read. Parallel to the graph's values; the same bits
// for any number of threads. InvalidArgument with the value's name if one is
// not finite.
absl::StatusOr<std::vector<TensorStatistics>> MeasureStatistics(
    const Crew& crew, const ModelPackage& package, const Dataset& dataset,
    std::span<const int64_t> indices, bool input_non_negative,
    const std::function<bool(double)>& keep_going);

}  // namespace mico
