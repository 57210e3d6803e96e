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

  // KL(softmax(logits) || softmax(scale * integers)) in nats, in double, not below 0, of samples
  // `places`; `integers` are theirs in this order, [place][width]. Each goes to its place of `out`.
  // The same bits whatever stands beside a sample.
  void Compare(std::span<const int64_t> places, const int16_t* integers, double scale,
               std::span<double> out) const;

 private:
  const int64_t width_;
  std::vector<double> probabilities_;  // [sample][width]
  std::vector<double> negative_entropies_;
};

}  // namespace mico
