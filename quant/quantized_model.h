#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "quant/quantized_graph.h"
#include "quant/requantize.h"
#include "quant/shared_weights.h"

namespace mico {

// The integers of one step. Which fields are used depends on its kind.
struct StepNumbers {
  // kConv: [out][kernel_h][kernel_w][in / groups], in the range of the weight width (1 bit: -1,
  // +1).
  SharedWeights weights;
  // Requantization: kConv one per output channel; kRequantize one; kAveragePool one per distinct
  // divisor (see `divisors`). `bias` already contains the rounding term (quant/requantize.h).
  std::vector<int32_t> bias;
  std::vector<FixedPointScale> scales;
  // kAveragePool: the distinct numbers of summed elements, ascending, parallel to `scales`.
  std::vector<int32_t> divisors;
  // kAdd: y = clamp((a * multiplier_a + b * multiplier_b + 2^(shift - 1)) >> shift), in int32.
  int32_t multiplier_a = 0, multiplier_b = 0;
  int shift = 0;
  // Clamp of the result (kConv, kAdd, kAveragePool, kRequantize), and of kRelu.
  int32_t lowest = 0, highest = 0;

  friend bool operator==(const StepNumbers&, const StepNumbers&) = default;
};

// What a trial evaluated: structure, integers, scales. Immutable; named by the digest of its
// serialized form; the artifact is generated from it and from nothing else.
struct QuantizedModel {
  QuantizedGraph graph;
  std::vector<StepNumbers> numbers;  // parallel to graph.steps
  std::vector<double> scales;        // parallel to graph.tensors: real = integer * scale

  double input_scale() const { return scales[graph.input]; }
  // Of the output that is scored, the first.
  double output_scale() const { return scales[graph.scored_tensor()]; }
};

// Post-training quantization as a pure function: the same inputs give the same bytes anywhere.
// Weights: per output channel, symmetric, clipped for least squared error. ResourceExhausted with
// the layer's name and the bound if an accumulator could leave int32.
absl::StatusOr<QuantizedModel> Quantize(const ModelPackage& package, const Calibration& calibration,
                                        const BitScheme& scheme);
// The largest |accumulator| that kConv step `step` could reach, bias and rounding term included,
// and the same without them (what a convolution alone reaches): numerics.md, "Overflow".
struct AccumulatorBound {
  int64_t products = 0;
  int64_t total = 0;
};
AccumulatorBound BoundAccumulator(const QuantizedModel& model, int step);

// Checks structure and every number's range. Readers of a model from outside call it (Parse does).
absl::Status Validate(const QuantizedModel& model);

// docs/formats/quantized-model.md. Weights are packed at their width.
std::string Serialize(const QuantizedModel& model);
absl::StatusOr<QuantizedModel> ParseQuantizedModel(std::string_view bytes);
Digest DigestOf(const QuantizedModel& model);

}  // namespace mico
