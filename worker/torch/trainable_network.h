#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "worker/torch/network_description.h"

// A network in libtorch's autograd that does in float what the integers of its quantized form do,
// up to how a requantization rounds. C++17, libtorch's types: only for the files that train.
namespace mico {

// What a layer multiplies with. Whoever trains decides how these follow from its variables.
struct LayerTensors {
  at::Tensor weights, bias;
};

// How one pass treats the grids.
struct PassOptions {
  // False: the float network, whose requantizations do nothing.
  bool quantized = true;
  // The share of the activations that keep their floats, chosen by `seed` (QDrop).
  double dropped = 0.0;
  uint64_t seed = 0;
};

class TrainableNetwork {
 public:
  // The description must outlive the network.
  explicit TrainableNetwork(const NetworkDescription& description);

  // The float weights and biases.
  const LayerTensors& layer(int index) const { return layers_[index]; }
  // exp of it is the scale, one element; changed in place by whoever trains it.
  const at::Tensor& log_scale(int index) const { return log_scales_[index]; }

  using LayerOf = std::function<LayerTensors(int layer)>;
  using LogScaleOf = std::function<at::Tensor(int scale)>;

  // Runs steps [first, last): reads and writes `tensors`, which is parallel to the description's
  // and holds [N, C, H, W] in channels-last order. Thread-safe.
  void Run(int first, int last, const LayerOf& layer_of, const LogScaleOf& log_scale_of,
           const PassOptions& options, std::vector<at::Tensor>& tensors) const;

  // A tensor's values put on its grid: what the first step reads.
  at::Tensor OnGrid(int tensor, const at::Tensor& values) const;

 private:
  at::Tensor RunStep(const TrainableStep& step, const LayerOf& layer_of,
                     const std::vector<at::Tensor>& tensors) const;
  at::Tensor Finish(const TrainableStep& step, const LogScaleOf& log_scale_of,
                    const PassOptions& options, const at::Tensor& result) const;

  const NetworkDescription& description_;
  std::vector<LayerTensors> layers_;
  std::vector<at::Tensor> log_scales_;
};

}  // namespace mico
