#include "worker/torch/rounded_layer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "worker/torch/fake_quantize.h"

namespace mico {
namespace {

// A variable whose rounding is 0 or 1 with the other sign, and stays so.
constexpr double kDecided = 20.0;
// Weights that lie on the grid already can still be moved.
constexpr double kLeastShare = 0.02;
// Of channels without weights: something that can be divided by.
constexpr double kLeastUnit = 1e-12;

at::Tensor PerChannel(const std::vector<double>& values) {
  const std::vector<float> floats(values.begin(), values.end());
  return at::tensor(floats).view({static_cast<int64_t>(values.size()), 1, 1, 1});
}

std::vector<double> ToDoubles(const at::Tensor& tensor) {
  const at::Tensor doubles = tensor.to(at::kDouble).contiguous();
  return {doubles.data_ptr<double>(), doubles.data_ptr<double>() + doubles.numel()};
}

}  // namespace

RoundedLayer::RoundedLayer(const TrainableLayer& layer, const LayerTensors& floats,
                           double input_reach)
    : float_bias_(floats.bias), step_(layer.weight_bits == 1 ? 2.0 : 1.0) {
  const double highest = layer.highest();
  const at::Tensor scale = PerChannel(layer.scales);
  const at::Tensor steps = floats.weights / scale;
  base_ = layer.weight_bits == 1 ? at::full_like(steps, -1.0)
                                 : steps.floor().clamp(-highest, highest - 1.0);
  const at::Tensor share = ((steps - base_) / step_).clamp(kLeastShare, 1.0 - kLeastShare);
  rounding_ = InverseRectifiedSigmoid(share);
  log_scale_ = scale.log();
  bias_unit_ = floats.weights.square().sum({1, 2, 3}).sqrt() * input_reach + kLeastUnit;
  bias_ = (at::tensor(layer.rounded_bias) - float_bias_) / bias_unit_;
}

LayerTensors RoundedLayer::Soft(const at::Tensor& rounding, const at::Tensor& log_scale,
                                const at::Tensor& bias) const {
  const at::Tensor up = fixed_.defined() ? fixed_ : RectifiedSigmoid(rounding);
  return {(base_ + up * step_) * log_scale.exp(), float_bias_ + bias * bias_unit_};
}

LayerTensors RoundedLayer::Hard() const {
  const at::Tensor up =
      fixed_.defined() ? fixed_ : RectifiedSigmoid(rounding_).ge(0.5).to(at::kFloat);
  return {(base_ + up * step_) * log_scale_.exp(), float_bias_ + bias_ * bias_unit_};
}

at::Tensor RoundedLayer::RegularizerGradient(double strength, double power) const {
  constexpr double kStretch = kRectifiedHighest - kRectifiedLowest;
  const at::Tensor sigmoid = rounding_.sigmoid();
  const at::Tensor stretched = sigmoid * kStretch + kRectifiedLowest;
  const at::Tensor open = stretched.gt(0.0).logical_and(stretched.lt(1.0)).to(at::kFloat);
  const at::Tensor centred = stretched * 2.0 - 1.0;
  return centred.abs().clamp(0.0, 1.0).pow(power - 1.0) * centred.sign() * sigmoid *
         (1.0 - sigmoid) * open * (-strength * power * 2.0 * kStretch);
}

void RoundedLayer::Decide(double share) {
  const at::Tensor doubt = 0.5 - (RectifiedSigmoid(rounding_) - 0.5).abs();
  const auto count = static_cast<int64_t>(share * static_cast<double>(doubt.numel()));
  const at::Tensor limit = std::get<0>(doubt.flatten().kthvalue(count + 1));
  rounding_.copy_(at::where(doubt.lt(limit), rounding_.sign() * kDecided, rounding_));
}

void RoundedLayer::Fix() {
  if (!fixed_.defined()) fixed_ = RectifiedSigmoid(rounding_).ge(0.5).to(at::kFloat);
}

std::vector<int8_t> RoundedLayer::Integers() const {
  const at::Tensor integers = (base_ + fixed_ * step_).contiguous(at::MemoryFormat::Contiguous);
  std::vector<int8_t> weights;
  for (int64_t i = 0; i < integers.numel(); ++i) {
    weights.push_back(static_cast<int8_t>(std::lround(integers.data_ptr<float>()[i])));
  }
  return weights;
}

std::vector<double> RoundedLayer::Scales() const { return ToDoubles(log_scale_.exp()); }

std::vector<double> RoundedLayer::Biases() const { return ToDoubles(Hard().bias); }

}  // namespace mico
