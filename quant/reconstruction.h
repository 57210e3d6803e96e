#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_package.h"
#include "quant/bit_scheme.h"
#include "quant/calibration.h"
#include "quant/quantized_model.h"
#include "quant/weight_cache.h"

namespace mico {

// What has been learned for one layer at one pair of widths.
struct ReconstructedLayer {
  int layer = 0;
  LayerBits bits;
  std::vector<int8_t> weights;  // in the order of LayerWeights, on the grid of bits.weight_bits
  std::vector<double> scales;   // [out]: real weight = integer * scale
  std::vector<double> biases;   // [out]
};

// The scale of a group of values (quant/quantized_graph.h) at one width, as it was learned.
struct ReconstructedScale {
  int group = 0;
  int bits = 8;
  double scale = 1.0;
};

// Integers that no formula gives back: roundings, scales and biases learned against the float
// network (worker/torch/reconstruct.h), or for one scheme with labels too (worker/torch/train.h).
// Immutable; a blob of its own.
struct Reconstruction {
  std::vector<ReconstructedLayer> layers;  // ascending
  std::vector<ReconstructedScale> scales;  // groups ascending, then bits
};

// In the order in which they count; none is null.
using Reconstructions = std::span<const Reconstruction* const>;

// Quantize, with what `reconstructions` know: a layer that one of them has at the scheme's widths
// uses its integers, the first that has it; other layers are quantized as without. The scale of a
// group at a width is that of the reconstruction that its first reader of that width uses; of a
// reconstruction that all layers use every scale counts, whoever reads it. A channel whose learned
// integers could leave int32 beside its neighbours' scales is quantized as without.
//
// Pure. InvalidArgument if a reconstruction does not fit the network.
absl::StatusOr<QuantizedModel> Quantize(const ModelPackage& package, const Calibration& calibration,
                                        Reconstructions reconstructions, const BitScheme& scheme);

// The same for the cache's network, with what the cache holds already.
absl::StatusOr<QuantizedModel> Quantize(WeightCache& cache, const Calibration& calibration,
                                        Reconstructions reconstructions, const BitScheme& scheme);

// docs/formats/reconstruction.md. Weights are packed at their width.
std::string Serialize(const Reconstruction& reconstruction);
absl::StatusOr<Reconstruction> ParseReconstruction(std::string_view bytes);

}  // namespace mico
