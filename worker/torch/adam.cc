#include "worker/torch/adam.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace mico {
namespace {

constexpr double kMeanDecay = 0.9, kSquareDecay = 0.999, kLeastDivisor = 1e-8;

}  // namespace

void Adam::Add(const at::Tensor& variable, double rate) {
  entries_.push_back({variable, at::zeros_like(variable), at::zeros_like(variable), rate, 0});
}

void Adam::Step(const std::vector<at::Tensor>& gradients, const std::vector<double>& rates) {
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    const at::Tensor& gradient = gradients[i];
    if (!gradient.defined()) continue;
    ++entry.steps;
    entry.mean.mul_(kMeanDecay).add_(gradient, 1.0 - kMeanDecay);
    entry.square.mul_(kSquareDecay).addcmul_(gradient, gradient, 1.0 - kSquareDecay);
    const auto steps = static_cast<double>(entry.steps);
    const double mean_share = 1.0 - std::pow(kMeanDecay, steps);
    const double square_share = 1.0 - std::pow(kSquareDecay, steps);
    const at::Tensor divisor = (entry.square / square_share).sqrt_().add_(kLeastDivisor);
    entry.variable.addcdiv_(entry.mean, divisor, -rates[i] * entry.rate / mean_share);
  }
}

}  // namespace mico
