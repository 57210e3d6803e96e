#include "worker/torch/measure_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
    const ValueRange seen = RangeOfValues(tensor.span());
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

absl::Status Count(const Crew& crew, const ModelPackage& package, const Dataset& dataset,
                   std::span<const int64_t> indices, const std::vector<int>& producers,
                   std::vector<TensorStatistics>& statistics,
                   const std::function<bool(double)>& keep_going) {
  // A lock per value: threads are rarely at the same one.
  std::vector<absl::Mutex> mutexes(statistics.size());
  std::vector<bool> is_producer(statistics.size(), false);
  for (const int value : producers) is_producer[value] = true;
  const Shape& input = package.graph.values[package.graph.input].shape;
  const SampleReader reader(dataset, Split::kTrain, input);
  const auto count = [&](int value, const BatchTensor& tensor) {
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
  MICO_RETURN_IF_ERROR(
      Count(crew, package, dataset, indices, producers, statistics, Part(keep_going, 0.4, 1.0)));
  return statistics;
}

}  // namespace mico
