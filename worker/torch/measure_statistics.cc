#include "worker/torch/measure_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "quant/quantized_graph.h"
#include "worker/torch/float_network.h"
#include "worker/torch/run_over.h"
#include "worker/torch/statistics.h"

namespace mico {
namespace {

// A network whose values are looked at on the way.
struct VisitedNetwork {
  FloatNetwork network;
  FloatNetwork::Visit visit;
  std::vector<BatchTensor> Run(const BatchTensor& input) const { return network.Run(input, visit); }
};

absl::Status Ignore(Batch, const std::vector<BatchTensor>&) { return absl::OkStatus(); }

// The values whose statistics decide scales.
std::vector<int> ProducersOf(const Graph& graph, bool input_non_negative) {
  std::vector<int> producers;
  for (const std::vector<int>& group : GroupValues(graph, input_non_negative).producers) {
    producers.insert(producers.end(), group.begin(), group.end());
  }
  return producers;
}

absl::StatusOr<std::vector<TensorStatistics>> Ranges(
    const Crew& crew, const ModelPackage& package, const Dataset& dataset,
    std::span<const int64_t> indices, const std::vector<int>& producers,
    const std::function<bool(double)>& keep_going) {
  const Graph& graph = package.graph;
  std::vector<TensorStatistics> statistics(graph.values.size());
  for (TensorStatistics& values : statistics) {
    values.least = std::numeric_limits<double>::infinity();
    values.most = -values.least;
  }
  std::vector<bool> is_producer(graph.values.size(), false);
  for (const int value : producers) is_producer[value] = true;
  absl::Mutex mutex;
  const Shape& input = package.graph.values[package.graph.input].shape;
  const SampleReader reader(dataset, Split::kTrain, input);
  const auto widen = [&](int value, const BatchTensor& tensor) {
    if (!is_producer[value]) return;
    const TensorRange seen = RangeOfValues(tensor.span());
    absl::MutexLock lock(&mutex);
    statistics[value].least = std::min<double>(statistics[value].least, seen.least);
    statistics[value].most = std::max<double>(statistics[value].most, seen.most);
  };
  MICO_RETURN_IF_ERROR(RunOver(crew, VisitedNetwork{FloatNetwork(package), widen}, reader, input,
                               indices, Ignore, keep_going));
  for (const int value : producers) {
    if (std::isfinite(statistics[value].least) && std::isfinite(statistics[value].most)) continue;
    return absl::InvalidArgumentError(
        fmt::format("value '{}' is not finite for some sample of train; needed finite activations",
                    graph.values[value].name));
  }
  return statistics;
}

// The values that a layer reads.
std::vector<int> LayerInputs(const Graph& graph) {
  std::vector<int> inputs;
  for (const int layer : graph.QuantizedLayers()) inputs.push_back(graph.nodes[layer].inputs[0]);
  return inputs;
}

// Sums of one value's channels, exact in integers: additions may come in any order. A value cannot
// be larger than what its group's producers showed, but moved copies are not looked at on their
// own, hence one unit for all.
class ChannelSums {
 public:
  ChannelSums(const Shape& shape, double most_magnitude)
      : positions_(shape.height * shape.width),
        unit_(std::max(most_magnitude, kLeastMagnitude) / kUnits),
        sums_(shape.channels) {}

  void Add(const BatchTensor& tensor) {
    const int64_t channels = tensor.shape.channels;
    std::vector<double> of_sample(channels);
    std::vector<int64_t> sums(channels);
    for (int64_t sample = 0; sample < tensor.count; ++sample) {
      std::fill(of_sample.begin(), of_sample.end(), 0.0);
      const float* values = tensor.At(sample, 0, 0);
      for (int64_t i = 0; i < positions_; ++i, values += channels) {
        for (int64_t c = 0; c < channels; ++c) of_sample[c] += values[c];
      }
      for (int64_t c = 0; c < channels; ++c) {
        sums[c] += std::llround(of_sample[c] / static_cast<double>(positions_) / unit_);
      }
    }
    absl::MutexLock lock(&mutex_);
    for (int64_t c = 0; c < channels; ++c) sums_[c] += sums[c];
  }

  std::vector<double> Means(int64_t samples) {
    absl::MutexLock lock(&mutex_);
    std::vector<double> means;
    for (const int64_t sum : sums_) {
      means.push_back(static_cast<double>(sum) * unit_ /
                      static_cast<double>(std::max<int64_t>(samples, 1)));
    }
    return means;
  }

 private:
  // Room for 2^26 samples in 63 bits.
  static constexpr double kUnits = 0x1p36;
  static constexpr double kLeastMagnitude = 0x1p-100;

  const int64_t positions_;
  const double unit_;
  absl::Mutex mutex_;
  std::vector<int64_t> sums_ ABSL_GUARDED_BY(mutex_);
};

// For every value that a layer reads, sums in a unit that suits its group.
std::map<int, ChannelSums> SumsOfLayerInputs(const Graph& graph, bool input_non_negative,
                                             const std::vector<TensorStatistics>& statistics) {
  const ValueGroups groups = GroupValues(graph, input_non_negative);
  std::map<int, ChannelSums> sums;
  for (const int value : LayerInputs(graph)) {
    double most = 0.0;
    for (const int producer : groups.producers[groups.group_of_value[value]]) {
      most = std::max(most, statistics[producer].most_magnitude());
    }
    sums.try_emplace(value, graph.values[value].shape, most);
  }
  return sums;
}

absl::Status Count(const Crew& crew, const ModelPackage& package, const Dataset& dataset,
                   std::span<const int64_t> indices, const std::vector<int>& producers,
                   std::map<int, ChannelSums>& sums, std::vector<TensorStatistics>& statistics,
                   const std::function<bool(double)>& keep_going) {
  // A lock per value: threads are rarely at the same one.
  std::vector<absl::Mutex> mutexes(statistics.size());
  std::vector<bool> is_producer(statistics.size(), false);
  for (const int value : producers) is_producer[value] = true;
  const Shape& input = package.graph.values[package.graph.input].shape;
  const SampleReader reader(dataset, Split::kTrain, input);
  const auto count = [&](int value, const BatchTensor& tensor) {
    const auto read = sums.find(value);
    if (read != sums.end()) read->second.Add(tensor);
    if (!is_producer[value]) return;
    TensorStatistics mine;
    mine.least = statistics[value].least;
    mine.most = statistics[value].most;
    CountInto(mine, tensor.span());
    absl::MutexLock lock(&mutexes[value]);
    MergeCounts(statistics[value], mine);
  };
  return RunOver(crew, VisitedNetwork{FloatNetwork(package), count}, reader, input, indices, Ignore,
                 keep_going);
}

}  // namespace

absl::StatusOr<std::vector<TensorStatistics>> MeasureStatistics(
    const Crew& crew, const ModelPackage& package, const Dataset& dataset,
    std::span<const int64_t> indices, bool input_non_negative,
    const std::function<bool(double)>& keep_going) {
  const std::vector<int> producers = ProducersOf(package.graph, input_non_negative);
  MICO_ASSIGN_OR_RETURN(
      std::vector<TensorStatistics> statistics,
      Ranges(crew, package, dataset, indices, producers, Part(keep_going, 0.0, 0.4)));
  std::map<int, ChannelSums> sums =
      SumsOfLayerInputs(package.graph, input_non_negative, statistics);
  MICO_RETURN_IF_ERROR(Count(crew, package, dataset, indices, producers, sums, statistics,
                             Part(keep_going, 0.4, 1.0)));
  for (auto& [value, of_value] : sums) {
    statistics[value].channel_means = of_value.Means(static_cast<int64_t>(indices.size()));
  }
  return statistics;
}

}  // namespace mico
