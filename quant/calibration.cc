#include "quant/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/quantized_graph.h"

namespace mico {
namespace {

constexpr std::string_view kMagic = "MICOCAL2";
// Below this a tensor counts as all-zero: its scale would not survive the arithmetic on it.
constexpr double kLeastMagnitude = 0x1p-100;
constexpr int kThresholds = 100;
constexpr double kLeastThreshold = 0.05;
constexpr double kOutputHeadroom = 1.5;
constexpr double kOutputHighest = 32767.0;
constexpr uint64_t kGroupBytes = 10 * sizeof(double);

// A magnitude and how often values near it were seen, negative and other apart.
struct Occupied {
  double magnitude;
  double negative;
  double positive;
};

std::vector<Occupied> OccupiedBins(const TensorStatistics& statistics) {
  const double width = statistics.most_magnitude() / TensorStatistics::kBins;
  std::vector<Occupied> bins;
  for (int bin = 0; bin < TensorStatistics::kBins; ++bin) {
    if (statistics.negative[bin] == 0 && statistics.positive[bin] == 0) continue;
    bins.push_back({(bin + 0.5) * width, static_cast<double>(statistics.negative[bin]),
                    static_cast<double>(statistics.positive[bin])});
  }
  return bins;
}

// The squared error of x >= 0 on the grid 0, scale, ... highest * scale.
double SquaredError(double x, double scale, int32_t highest) {
  const double nearest = std::floor(x / scale + 0.5);
  const double error = x - scale * std::min(nearest, static_cast<double>(highest));
  return error * error;
}

double SquaredError(const std::vector<Occupied>& bins, double scale, TensorType type) {
  double error = 0.0;
  for (const Occupied& bin : bins) {
    if (bin.positive > 0) {
      error += bin.positive * SquaredError(bin.magnitude, scale, type.highest());
    }
    if (bin.negative > 0) {
      error += bin.negative * SquaredError(bin.magnitude, scale, -type.lowest());
    }
  }
  return error;
}

// Adds the counts of `from` to `sum`, whose bins are wider or equal.
void AddRebinned(const TensorStatistics& from, double magnitude, TensorStatistics& sum) {
  const double ratio = from.most_magnitude() / magnitude;
  for (int bin = 0; bin < TensorStatistics::kBins; ++bin) {
    const int target = std::min(static_cast<int>((bin + 0.5) * ratio), TensorStatistics::kBins - 1);
    sum.negative[target] += from.negative[bin];
    sum.positive[target] += from.positive[bin];
  }
}

absl::Status CheckStatistics(const TensorStatistics& statistics, const std::string& value) {
  if (!std::isfinite(statistics.least) || !std::isfinite(statistics.most) ||
      statistics.least > statistics.most) {
    return absl::InvalidArgumentError(
        fmt::format("statistics of '{}': range {} to {}; needed finite and in order", value,
                    statistics.least, statistics.most));
  }
  // Sums over the producers of a group stay far from overflow.
  constexpr int64_t kMostCount = int64_t{1} << 40;
  for (int bin = 0; bin < TensorStatistics::kBins; ++bin) {
    const auto [low, high] = std::minmax(statistics.negative[bin], statistics.positive[bin]);
    if (low < 0 || high > kMostCount) {
      return absl::InvalidArgumentError(
          fmt::format("statistics of '{}': bin {} counts {} and {}; needed 0 to 2^40", value, bin,
                      statistics.negative[bin], statistics.positive[bin]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> InputMeans(const Graph& graph, int value,
                                               std::span<const TensorStatistics> statistics) {
  const std::vector<double>& means = statistics[value].channel_means;
  const auto channels = static_cast<size_t>(graph.values[value].shape.channels);
  const bool fits = means.empty() || means.size() == channels;
  const auto is_finite = [](double mean) { return std::isfinite(mean); };
  if (fits && std::all_of(means.begin(), means.end(), is_finite)) return means;
  return absl::InvalidArgumentError(
      fmt::format("statistics of '{}': {} means; needed {}, all finite", graph.values[value].name,
                  means.size(), channels));
}

// The union of what the producers of one group wrote.
TensorStatistics Union(std::span<const TensorStatistics> statistics,
                       const std::vector<int>& producers) {
  TensorStatistics sum;
  for (const int producer : producers) {
    sum.least = std::min(sum.least, statistics[producer].least);
    sum.most = std::max(sum.most, statistics[producer].most);
  }
  if (sum.most_magnitude() < kLeastMagnitude) return sum;
  for (const int producer : producers) {
    AddRebinned(statistics[producer], sum.most_magnitude(), sum);
  }
  return sum;
}

GroupScales ScalesOf(const TensorStatistics& statistics, bool is_signed) {
  GroupScales scales;
  scales.magnitude = statistics.most_magnitude();
  for (int bits = is_signed ? 2 : 1; bits <= 8; ++bits) {
    scales.by_bits[bits] = ChooseScale(statistics, bits, is_signed);
  }
  const bool is_zero = scales.magnitude < kLeastMagnitude;
  scales.output_scale = (is_zero ? 1.0 : kOutputHeadroom * scales.magnitude) / kOutputHighest;
  return scales;
}

bool IsScale(double scale) { return std::isfinite(scale) && scale > 0.0; }

// Whether the scales of a group can be meant: a signed group has none at one bit.
bool AreScales(const GroupScales& group) {
  const double one_bit = group.by_bits[1];
  return std::isfinite(group.magnitude) && group.magnitude >= 0.0 &&
         (one_bit == 0.0 || IsScale(one_bit)) && IsScale(group.output_scale) &&
         std::all_of(group.by_bits.begin() + 2, group.by_bits.end(), IsScale);
}

}  // namespace

double TensorStatistics::most_magnitude() const {
  return std::max(std::abs(least), std::abs(most));
}

double ChooseScale(const TensorStatistics& statistics, int bits, bool is_signed) {
  const TensorType type{bits, is_signed};
  const double magnitude = statistics.most_magnitude();
  if (magnitude < kLeastMagnitude) return 1.0 / type.highest();
  const std::vector<Occupied> bins = OccupiedBins(statistics);
  double best_scale = 0.0;
  double best_error = std::numeric_limits<double>::infinity();
  for (int step = kThresholds - 1; step >= 0; --step) {
    const double part = kLeastThreshold + (1.0 - kLeastThreshold) * step / (kThresholds - 1);
    const double scale = magnitude * part / type.highest();
    const double error = SquaredError(bins, scale, type);
    if (best_scale == 0.0 || error < best_error) {
      best_scale = scale;
      best_error = error;
    }
  }
  return best_scale;
}

absl::StatusOr<Calibration> MakeCalibration(const Graph& graph, bool input_non_negative,
                                            std::span<const TensorStatistics> statistics) {
  if (statistics.size() != graph.values.size()) {
    return absl::InvalidArgumentError(fmt::format("statistics of {} values; network '{}' has {}",
                                                  statistics.size(), graph.name,
                                                  graph.values.size()));
  }
  if (input_non_negative && statistics[graph.input].least < 0) {
    return absl::InvalidArgumentError(
        fmt::format("input '{}' is said to be never negative; found {}",
                    graph.values[graph.input].name, statistics[graph.input].least));
  }
  const ValueGroups groups = GroupValues(graph, input_non_negative);
  Calibration calibration;
  calibration.input_non_negative = input_non_negative;
  for (size_t group = 0; group < groups.producers.size(); ++group) {
    for (const int value : groups.producers[group]) {
      MICO_RETURN_IF_ERROR(CheckStatistics(statistics[value], graph.values[value].name));
    }
    calibration.groups.push_back(
        ScalesOf(Union(statistics, groups.producers[group]), !groups.non_negative[group]));
  }
  for (const int layer : graph.QuantizedLayers()) {
    MICO_ASSIGN_OR_RETURN(calibration.input_means.emplace_back(),
                          InputMeans(graph, graph.nodes[layer].inputs[0], statistics));
  }
  return calibration;
}

std::string Serialize(const Calibration& calibration) {
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.U8(calibration.input_non_negative ? 1 : 0);
  writer.U64(calibration.groups.size());
  for (const GroupScales& group : calibration.groups) {
    writer.F64(group.magnitude);
    for (int bits = 1; bits <= 8; ++bits) writer.F64(group.by_bits[bits]);
    writer.F64(group.output_scale);
  }
  writer.U64(calibration.input_means.size());
  for (const std::vector<double>& means : calibration.input_means) {
    writer.U64(means.size());
    for (const double mean : means) writer.F64(mean);
  }
  return writer.Take();
}

absl::StatusOr<Calibration> ParseCalibration(std::string_view bytes) {
  ByteReader reader(bytes, "calibration");
  reader.Magic(kMagic);
  Calibration calibration;
  const uint8_t non_negative = reader.U8();
  if (non_negative > 1) reader.Fail("the sign of the input is neither 0 nor 1");
  calibration.input_non_negative = non_negative == 1;
  calibration.groups.resize(reader.Count(kGroupBytes));
  for (GroupScales& group : calibration.groups) {
    group.magnitude = reader.F64();
    for (int bits = 1; bits <= 8; ++bits) group.by_bits[bits] = reader.F64();
    group.output_scale = reader.F64();
    if (!AreScales(group)) reader.Fail("a scale is not positive and finite");
  }
  calibration.input_means.resize(reader.Count(sizeof(uint64_t)));
  for (std::vector<double>& means : calibration.input_means) {
    means.resize(reader.Count(sizeof(double)));
    for (double& mean : means) {
      mean = reader.F64();
      if (!std::isfinite(mean)) reader.Fail("a mean is not finite");
    }
  }
  MICO_RETURN_IF_ERROR(reader.Finish());
  return calibration;
}

}  // namespace mico
