#include "worker/integers/float_distributions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "worker/integers/vector_targets.h"

namespace mico {
namespace {

// e^x in place, for x <= 0; 0 below -700. Within 1e-14 of exact, relatively: 2^n times the series
// of what remains, |r| <= ln(2) / 2.
struct ExpLoop {
  double* values;
  int64_t count;

  MICO_INLINE void operator()() const {
    constexpr double kLog2E = 1.4426950408889634, kLeast = -700.0;
    constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
    // Adding it rounds to an integer, which then stands in the lowest bits.
    constexpr double kRound = 6755399441055744.0;
    double* x = values;
    const int64_t n = count;
    MICO_IVDEP
    for (int64_t i = 0; i < n; ++i) {
      const double bounded = x[i] < kLeast ? kLeast : x[i];
      const double shifted = bounded * kLog2E + kRound;
      const double whole = shifted - kRound;
      const double r = bounded - whole * kLn2High - whole * kLn2Low;
      double series = 1.0 / 39916800;
      series = series * r + 1.0 / 3628800;
      series = series * r + 1.0 / 362880;
      series = series * r + 1.0 / 40320;
      series = series * r + 1.0 / 5040;
      series = series * r + 1.0 / 720;
      series = series * r + 1.0 / 120;
      series = series * r + 1.0 / 24;
      series = series * r + 1.0 / 6;
      series = series * r + 0.5;
      series = series * r + 1.0;
      series = series * r + 1.0;
      const auto exponent = (std::bit_cast<int64_t>(shifted) << 52) + (int64_t{1023} << 52);
      x[i] = x[i] < kLeast ? 0.0 : series * std::bit_cast<double>(exponent);
    }
  }
};

}  // namespace

FloatDistributions::FloatDistributions(std::span<const float> logits, int64_t width)
    : width_(width), probabilities_(logits.size()) {
  for (size_t first = 0; first < logits.size(); first += width) {
    const auto sample = logits.subspan(first, width);
    const double largest = *std::max_element(sample.begin(), sample.end());
    double sum = 0.0;
    for (const float logit : sample) sum += std::exp(logit - largest);
    const double norm = largest + std::log(sum);
    double negative_entropy = 0.0;
    for (int64_t i = 0; i < width; ++i) {
      const double log_probability = sample[i] - norm;
      probabilities_[first + i] = std::exp(log_probability);
      negative_entropy += probabilities_[first + i] * log_probability;
    }
    negative_entropies_.push_back(negative_entropy);
  }
}

void FloatDistributions::Compare(std::span<const int64_t> places, const int16_t* integers,
                                 double scale, std::span<double> out) const {
  thread_local std::vector<double> terms;
  const auto width = static_cast<size_t>(width_);
  terms.resize(places.size() * width);
  for (size_t i = 0; i < places.size(); ++i) {
    const int16_t* logits = integers + i * width;
    const int32_t largest = *std::max_element(logits, logits + width);
    for (size_t k = 0; k < width; ++k) terms[i * width + k] = scale * (logits[k] - largest);
  }
  // sum of p * (log p - log q), and log q = term - log(sum of e^term).
  for (size_t i = 0; i < places.size(); ++i) {
    const double* p = probabilities_.data() + places[i] * width;
    const double* term = terms.data() + i * width;
    out[places[i]] = std::inner_product(p, p + width, term, 0.0);
  }
  Dispatch(ExpLoop{terms.data(), static_cast<int64_t>(terms.size())});
  for (size_t i = 0; i < places.size(); ++i) {
    const double* term = terms.data() + i * width;
    const double norm = std::log(std::accumulate(term, term + width, 0.0));
    const double divergence = negative_entropies_[places[i]] - out[places[i]] + norm;
    out[places[i]] = std::max(divergence, 0.0);
  }
}

}  // namespace mico
