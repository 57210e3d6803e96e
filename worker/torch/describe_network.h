#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "quant/quantized_model.h"
#include "worker/torch/network_description.h"
#include "worker/torch/reconstruct_blocks.h"

namespace mico {

// Where the scales of a description belong: parallel to NetworkDescription::scales.
struct ScaleOrigin {
  int group = 0;
  int bits = 8;
};

struct DescribedNetwork {
  NetworkDescription description;
  std::vector<ScaleOrigin> origins;
};

// What is trained so that `model`, made of the package and the calibration, gets better: its steps
// and grids, the package's floats. Scales of tensors narrower than 8 bits can be learned.
DescribedNetwork DescribeNetwork(const ModelPackage& package, const QuantizedModel& model,
                                 bool input_non_negative);

// The steps cut wherever one tensor alone is read later; pieces without a layer go with the next
// one. An output of the network is a target of the piece that writes it.
std::vector<TrainedBlock> FindBlocks(const QuantizedGraph& graph);

}  // namespace mico
