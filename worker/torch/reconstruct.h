#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "quant/reconstruction.h"
#include "worker/torch/reconstruct_blocks.h"

namespace mico {

struct ReconstructionWish {
  LayerBits bits;
  ReconstructOptions options;
  // What samples may take on their way through the largest block. Fewer are used where more do not
  // fit, never less than one batch.
  int64_t memory_bytes = int64_t{1} << 30;
};

struct ReconstructionOutcome {
  Reconstruction reconstruction;
  // Of each block: ReconstructBlocks.
  std::vector<double> errors_before, errors_after;
};

// Learns the integers of the uniform network at `wish.bits` from samples `indices` of train, whose
// labels are not looked at. Cancelled if `keep_going` said so; Internal with what libtorch threw.
absl::StatusOr<ReconstructionOutcome> Reconstruct(const ModelPackage& package,
                                                  const Calibration& calibration,
                                                  const Dataset& dataset,
                                                  std::span<const int64_t> indices,
                                                  const ReconstructionWish& wish,
                                                  const std::function<bool(double)>& keep_going);

}  // namespace mico
