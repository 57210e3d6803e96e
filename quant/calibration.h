#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "model/graph.h"

namespace mico {

// How often each magnitude was seen in one tensor, over all calibration samples. Two passes: first
// the range, then the counts.
struct TensorStatistics {
  static constexpr int kBins = 2048;
  double least = 0.0, most = 0.0;
  // Bin i counts values x with i <= |x| / most_magnitude * kBins < i + 1 (the last bin includes its
  // end), negative and other values apart.
  std::array<int64_t, kBins> negative{};
  std::array<int64_t, kBins> positive{};
  // The mean of each channel; empty: not measured.
  std::vector<double> channel_means;

  double most_magnitude() const;
};

// The scale of every group of values (quant/quantized_graph.h) at every width.
struct GroupScales {
  double magnitude = 0.0;           // largest |x| seen
  std::array<double, 9> by_bits{};  // [1..8]; [0] unused. Signed groups: [1] is 0
  double output_scale = 0.0;        // at 16 bits: 1.5 * magnitude / 32767
};

// What Quantize needs to know of the data. Immutable; a blob of its own.
struct Calibration {
  bool input_non_negative = false;
  std::vector<GroupScales> groups;  // parallel to GroupValues(graph, input_non_negative)
  // For each quantized layer the mean of each channel of its input in the float network, for bias
  // correction; of a layer without any, none are known.
  std::vector<std::vector<double>> input_means;
};

// The scale with the least squared error for `bits`, over clipping thresholds between 5 % and 100 %
// of the largest magnitude (100 steps; ties to the larger). An all-zero tensor gets 1.0 / highest.
double ChooseScale(const TensorStatistics& statistics, int bits, bool is_signed);

// `statistics` parallel to graph.values; read are those of producers, and the means of what layers
// read. Pure.
absl::StatusOr<Calibration> MakeCalibration(const Graph& graph, bool input_non_negative,
                                            std::span<const TensorStatistics> statistics);

// docs/formats/calibration.md.
std::string Serialize(const Calibration& calibration);
absl::StatusOr<Calibration> ParseCalibration(std::string_view bytes);

}  // namespace mico
