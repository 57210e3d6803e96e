#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

// The arithmetic of integers inside a float network, with gradients. C++17, libtorch's types: only
// for the files that train.
namespace mico {

// How one tensor is put on its grid.
struct ActivationGrid {
  double lowest = 0.0, highest = 0.0;  // integers
  // The range of the operator's result before: ReLU's.
  double least = 0.0, most = 0.0;
  // Elements that keep their float, by chance (QDrop, Wei et al. 2022): share and seed.
  double dropped = 0.0;
  uint64_t seed = 0;
};

// clamp(round(x / scale), lowest, highest) * scale of clamp(x, least, most), scale =
// exp(log_scale). Gradients: straight through inside the grid, none outside; of the scale as in LSQ
// (Esser et al. 2020, "Learned Step Size Quantization"). `x` is channels-last.
at::Tensor FakeQuantize(const at::Tensor& x, const at::Tensor& log_scale,
                        const ActivationGrid& grid);

// Weights in steps of their grid put on it: clamp(round(x), -highest, highest), or with `one_bit`
// the sign, 0 counting as positive. Gradients are passed straight through, where x is not far
// outside.
at::Tensor RoundWeights(const at::Tensor& x, double highest, bool one_bit);

// Samples `rows` of `quantized`, some of whose elements are those of `exact`: a share of `dropped`,
// by chance. Both are channels-last, and so is the result; no gradients.
at::Tensor MixedRows(const at::Tensor& exact, const at::Tensor& quantized,
                     const std::vector<int64_t>& rows, double dropped, uint64_t seed);
// Samples `rows` alone.
at::Tensor Rows(const at::Tensor& all, const std::vector<int64_t>& rows);

// AdaRound's rectified sigmoid (Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training
// Quantization"): how far a weight is rounded up, in [0, 1]; and the variable that gives `share`.
// It is a sigmoid from the lowest to the highest of these, clamped.
constexpr double kRectifiedLowest = -0.1, kRectifiedHighest = 1.1;
at::Tensor RectifiedSigmoid(const at::Tensor& variable);
at::Tensor InverseRectifiedSigmoid(const at::Tensor& share);

}  // namespace mico
