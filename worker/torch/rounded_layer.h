#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "worker/torch/network_description.h"
#include "worker/torch/trainable_network.h"

// C++17, libtorch's types: only for the files that train.
namespace mico {

// One layer whose weights are rounded down or up as is learned (AdaRound):
// weights = exp(log_scale) * (base + step * rounding), rounding from 0 to 1;
// bias = the float network's + bias * bias_unit.
class RoundedLayer {
 public:
  RoundedLayer() = default;
  // Rounds to the nearest, with the bias that goes with it. `input_reach`: about what inputs are.
  RoundedLayer(const TrainableLayer& layer, const LayerTensors& floats, double input_reach);

  // What is learned, changed in place by whoever trains. The rounding's variable is what a
  // rectified sigmoid is taken of.
  const at::Tensor& rounding() const { return rounding_; }
  const at::Tensor& log_scale() const { return log_scale_; }
  const at::Tensor& bias() const { return bias_; }

  // Begins with the float weights and the float network's bias.
  void BeginSoft() { bias_.zero_(); }
  // The layer for these values of its variables; weights lie between integers.
  LayerTensors Soft(const at::Tensor& rounding, const at::Tensor& log_scale,
                    const at::Tensor& bias) const;
  // The layer as the integers have it: roundings are what they are nearer to.
  LayerTensors Hard() const;

  // AdaRound's regularizer: d/dV of strength * (1 - |2h - 1|^power).
  at::Tensor RegularizerGradient(double strength, double power) const;
  // Fixes so large a share of the roundings for good, those that are clearest.
  void Decide(double share);
  // Fixes all of them: from now on Soft uses what they are.
  void Fix();

  // [out][in / groups][kernel_h][kernel_w], and per output channel. Fix first.
  std::vector<int8_t> Integers() const;
  std::vector<double> Scales() const;
  std::vector<double> Biases() const;

 private:
  at::Tensor float_bias_, base_, rounding_, log_scale_, bias_, bias_unit_;
  double step_ = 1.0;
  at::Tensor fixed_;  // the roundings at the end, 0 or 1
};

}  // namespace mico
