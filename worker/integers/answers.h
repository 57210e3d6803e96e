#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mico {

// softmax of a float network's logits for some samples, with which those of many schemes are
// compared. Immutable; thread-safe.
class FloatDistributions {
 public:
  // `logits`: `width` of each sample.
  FloatDistributions(std::span<const float> logits, int64_t width);

  int64_t width() const { return width_; }
  double Probability(int64_t sample, int64_t output) const {
    return probabilities_[sample * width_ + output];
  }
  // sum of p * log p, in nats.
  double NegativeEntropy(int64_t sample) const { return negative_entropies_[sample]; }

 private:
  const int64_t width_;
  std::vector<double> probabilities_;  // [sample][width]
  std::vector<double> negative_entropies_;
};

// Judges the answers of many schemes to the same batch of samples.
class AnsweredBatch {
 public:
  // Samples `places` of those that `distributions` knows, and their labels.
  AnsweredBatch(const FloatDistributions& distributions, std::span<const int64_t> places,
                std::span<const int32_t> labels);

  // `integers`: a scheme's outputs, [place][width], each `scale` times too small. For every place,
  // at its number:
  //   hits: 1 where the label is among the `among` largest (ties to the lower index), else 0
  //   divergences: KL(softmax(float logits) || softmax(scale * integers)) in nats, not below 0
  // The same bits whatever stands beside a sample.
  void Judge(const int16_t* integers, double scale, int among, std::span<double> hits,
             std::span<double> divergences) const;

 private:
  const int64_t width_;
  const std::span<const int64_t> places_;
  // Samples lie beside each other, so that loops over them are vector loops.
  std::vector<double> labels_, negative_entropies_;
  std::vector<double> probabilities_;  // [output][place]
};

}  // namespace mico
