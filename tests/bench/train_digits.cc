#include "tests/bench/train_digits.h"

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <cmath>

namespace mico {
namespace {

constexpr int kEpochs = 30;
constexpr int64_t kBatch = 64;
constexpr double kRate = 0.05, kMomentum = 0.9, kDecay = 5e-4;

struct Parameter {
  at::Tensor value, velocity;
};

at::Tensor Forward(const at::Tensor& images, const std::vector<DigitsLayer>& layers,
                   const std::vector<Parameter>& parameters) {
  at::Tensor x = images;
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool last = i + 1 == layers.size();
    if (last) x = x.mean({2, 3}, /*keepdim=*/true);
    x = at::conv2d(x, parameters[2 * i].value, parameters[2 * i + 1].value, layers[i].stride,
                   last ? 0 : 1);
    if (!last) x = x.relu();
  }
  return x.flatten(1);
}

void Step(std::vector<Parameter>& parameters, double rate) {
  const at::NoGradGuard no_grad;
  for (Parameter& parameter : parameters) {
    const at::Tensor gradient = parameter.value.grad() + kDecay * parameter.value;
    parameter.velocity = kMomentum * parameter.velocity + gradient;
    parameter.value -= rate * parameter.velocity;
    parameter.value.grad().zero_();
  }
}

}  // namespace

void TrainDigits(const std::vector<float>& images, const std::vector<int64_t>& labels,
                 int64_t count, int64_t side, uint64_t seed, std::vector<DigitsLayer>& layers) {
  at::manual_seed(seed);
  const at::Tensor x =
      at::from_blob(const_cast<float*>(images.data()), {count, 1, side, side}, at::kFloat);
  const at::Tensor y = at::from_blob(const_cast<int64_t*>(labels.data()), {count}, at::kLong);
  std::vector<Parameter> parameters;
  for (const DigitsLayer& layer : layers) {
    const double fan_in = static_cast<double>(layer.in_channels * layer.kernel * layer.kernel);
    at::Tensor weights =
        at::randn({layer.out_channels, layer.in_channels, layer.kernel, layer.kernel}) *
        std::sqrt(2.0 / fan_in);
    for (const at::Tensor& value : {weights, at::zeros({layer.out_channels})}) {
      parameters.push_back({value.requires_grad_(), at::zeros_like(value)});
    }
  }
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const at::Tensor order = at::randperm(count, at::kLong);
    const double rate = kRate * 0.5 * (1 + std::cos(M_PI * epoch / kEpochs));
    for (int64_t first = 0; first + kBatch <= count; first += kBatch) {
      const at::Tensor batch = order.slice(0, first, first + kBatch);
      const at::Tensor logits = Forward(x.index_select(0, batch), layers, parameters);
      at::cross_entropy_loss(logits, y.index_select(0, batch)).backward();
      Step(parameters, rate);
    }
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    const at::Tensor weights = parameters[2 * i].value.detach().contiguous();
    const at::Tensor bias = parameters[2 * i + 1].value.detach().contiguous();
    layers[i].weights.assign(weights.data_ptr<float>(),
                             weights.data_ptr<float>() + weights.numel());
    layers[i].bias.assign(bias.data_ptr<float>(), bias.data_ptr<float>() + bias.numel());
  }
}

}  // namespace mico
