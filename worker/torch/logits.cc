#include "worker/torch/logits.h"

#include <algorithm>
#include <cmath>

namespace mico {
namespace {

// log(sum(exp(logits)))
double LogSumExp(std::span<const float> logits, double scale) {
  const double largest = scale * *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(scale * logit - largest);
  return largest + std::log(sum);
}

}  // namespace

double KlDivergence(std::span<const float> reference, std::span<const float> integers,
                    double scale) {
  const double reference_norm = LogSumExp(reference, 1.0);
  const double integer_norm = LogSumExp(integers, scale);
  double divergence = 0.0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_norm;
    const double log_q = scale * integers[i] - integer_norm;
    divergence += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(divergence, 0.0);
}

}  // namespace mico
