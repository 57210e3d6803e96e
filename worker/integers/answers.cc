#include "worker/integers/answers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

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

// ln(x) in place, for finite x >= 1. Within 1e-15: x = 2^e * m, ln(m) = 2 atanh((m-1) / (m+1)).
struct LogLoop {
  double* values;
  int64_t count;

  MICO_INLINE void operator()() const {
    constexpr double kLn2 = 0.6931471805599453, kRootHalf = 0.7071067811865476;
    double* x = values;
    const int64_t n = count;
    MICO_IVDEP
    for (int64_t i = 0; i < n; ++i) {
      // m in [sqrt(1/2), sqrt(2)).
      const double scaled = x[i] / kRootHalf;
      const int64_t exponent = (std::bit_cast<int64_t>(scaled) >> 52) - 1023;
      const double m = x[i] * std::bit_cast<double>((int64_t{1023} - exponent) << 52);
      const double s = (m - 1.0) / (m + 1.0), square = s * s;
      double series = 1.0 / 17;
      series = series * square + 1.0 / 15;
      series = series * square + 1.0 / 13;
      series = series * square + 1.0 / 11;
      series = series * square + 1.0 / 9;
      series = series * square + 1.0 / 7;
      series = series * square + 1.0 / 5;
      series = series * square + 1.0 / 3;
      series = series * square + 1.0;
      x[i] = static_cast<double>(exponent) * kLn2 + 2.0 * s * series;
    }
  }
};

// Over the outputs of all samples, [output][sample].
struct CountLoop {
  const double* outputs;
  const double* labels;
  const double* own;  // the label's output
  int64_t width, samples;
  double* before;  // how many come before the label
  double* largest;

  MICO_INLINE void operator()() const {
    const double* label = labels;
    const double* mine = own;
    double* count = before;
    double* most = largest;
    const int64_t n = samples;
    for (int64_t k = 0; k < width; ++k) {
      const double* row = outputs + k * n;
      const auto number = static_cast<double>(k);
      MICO_IVDEP
      for (int64_t i = 0; i < n; ++i) {
        const double tie = number < label[i] && row[i] == mine[i] ? 1.0 : 0.0;
        count[i] += row[i] > mine[i] ? 1.0 : tie;
        most[i] = row[i] > most[i] ? row[i] : most[i];
      }
    }
  }
};

// Outputs to terms: scale * (output - largest); and the sum of p * term.
struct TermLoop {
  double* terms;
  const double* probabilities;
  const double* largest;
  int64_t width, samples;
  double scale;
  double* products;

  MICO_INLINE void operator()() const {
    const double* most = largest;
    double* sum = products;
    const int64_t n = samples;
    const double factor = scale;
    for (int64_t k = 0; k < width; ++k) {
      double* row = terms + k * n;
      const double* p = probabilities + k * n;
      MICO_IVDEP
      for (int64_t i = 0; i < n; ++i) {
        row[i] = factor * (row[i] - most[i]);
        sum[i] += p[i] * row[i];
      }
    }
  }
};

struct SumLoop {
  const double* terms;
  int64_t width, samples;
  double* sums;

  MICO_INLINE void operator()() const {
    double* sum = sums;
    const int64_t n = samples;
    for (int64_t k = 0; k < width; ++k) {
      const double* row = terms + k * n;
      MICO_IVDEP
      for (int64_t i = 0; i < n; ++i) sum[i] += row[i];
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

AnsweredBatch::AnsweredBatch(const FloatDistributions& distributions,
                             std::span<const int64_t> places, std::span<const int32_t> labels)
    : width_(distributions.width()), places_(places), labels_(labels.begin(), labels.end()) {
  for (const int64_t place : places) {
    negative_entropies_.push_back(distributions.NegativeEntropy(place));
  }
  for (int64_t k = 0; k < width_; ++k) {
    for (const int64_t place : places) {
      probabilities_.push_back(distributions.Probability(place, k));
    }
  }
}

void AnsweredBatch::Judge(const int16_t* integers, double scale, int among, std::span<double> hits,
                          std::span<double> divergences) const {
  const auto n = static_cast<int64_t>(places_.size());
  thread_local std::vector<double> terms, own, before, largest, products, norms;
  terms.resize(n * width_);
  own.resize(n);
  before.assign(n, 0.0);
  largest.assign(n, std::numeric_limits<double>::lowest());
  products.assign(n, 0.0);
  norms.assign(n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < width_; ++k) terms[k * n + i] = integers[i * width_ + k];
    own[i] = integers[i * width_ + static_cast<int64_t>(labels_[i])];
  }
  Dispatch(CountLoop{terms.data(), labels_.data(), own.data(), width_, n, before.data(),
                     largest.data()});
  Dispatch(TermLoop{terms.data(), probabilities_.data(), largest.data(), width_, n, scale,
                    products.data()});
  Dispatch(ExpLoop{terms.data(), n * width_});
  Dispatch(SumLoop{terms.data(), width_, n, norms.data()});
  Dispatch(LogLoop{norms.data(), n});
  for (int64_t i = 0; i < n; ++i) {
    // sum of p * (log p - log q), and log q = term - log(sum of e^term).
    const double divergence = negative_entropies_[i] - products[i] + norms[i];
    hits[places_[i]] = before[i] < among ? 1.0 : 0.0;
    divergences[places_[i]] = std::max(divergence, 0.0);
  }
}

}  // namespace mico
