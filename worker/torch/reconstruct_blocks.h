#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "worker/torch/network_description.h"

namespace mico {

// Steps [first, last) that are trained together: they read one tensor from before, and what they
// write is compared with the float network's.
struct TrainedBlock {
  int first = 0, last = 0;
  int input = 0;
  std::vector<int> outputs;
};

struct ReconstructOptions {
  int threads = 1;
  uint64_t seed = 1;
  int iterations = 2000;  // for each block
  int64_t batch = 32;
  // QDrop's share of activations that keep their floats.
  double dropped = 0.5;
  // How far variables could travel if Adam always went one way: the roundings', the logarithms of
  // scales, and biases in units of what a layer writes.
  double rounding_travel = 30.0, scale_travel = 1.0, bias_travel = 3.0;
  // How strongly roundings are driven to 0 and 1, against an error relative to what is written.
  double rounding_strength = 1e-4;
};

struct TrainedLayer {
  std::vector<int8_t> integers;  // in the order of TrainableLayer::weights
  std::vector<double> scales;    // [out]
  std::vector<double> bias;      // [out]
};

struct TrainedNetwork {
  bool finished = false;             // false: `keep_going` said no
  std::vector<TrainedLayer> layers;  // parallel to the description's
  std::vector<double> scales;        // parallel to the description's
  // Of each block, the squared error of what it writes relative to its square, in the quantized
  // network up to there: before and after it was trained.
  std::vector<double> errors_before, errors_after;
};

// Learns block after block, in execution order, how weights are rounded (AdaRound, Nagel et al.
// 2020), the scales of weights and of activations (LSQ, Esser et al. 2020) and biases, so that each
// block writes what it writes in the float network (BRECQ, Li et al. 2021), given what the
// quantized blocks before write, with activations quantized or not by chance (QDrop, Wei et al.
// 2022).
//
// `samples`: [count][height][width][channels] prepared inputs. `keep_going` is asked with the share
// that is done. The same seed, threads and machine give the same result. Throws what libtorch
// throws (std::exception).
TrainedNetwork ReconstructBlocks(const NetworkDescription& description,
                                 const std::vector<TrainedBlock>& blocks, const float* samples,
                                 int64_t count, const ReconstructOptions& options,
                                 const std::function<bool(double)>& keep_going);

}  // namespace mico
