#include "server/metrics.h"

#include <algorithm>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Five of five is always right.
constexpr int64_t kLeastForTop5 = 5;
// A spread takes two.
constexpr int64_t kLeastSamplesForMse = 2;

absl::Status Unsuited(Metric metric, const DatasetRecord& dataset, std::string_view found,
                      std::string_view needed) {
  return absl::InvalidArgumentError(fmt::format("data set '{}': {}; metric {} needs {}",
                                                dataset.name, found, ToString(metric), needed));
}

absl::Status CheckClasses(Metric metric, const DatasetRecord& dataset, const Graph& graph) {
  const int64_t outputs = graph.values[graph.scored_value()].shape.elements();
  if (dataset.targets->elements > 0) {
    return Unsuited(metric, dataset, fmt::format("y is {} float32", dataset.targets->elements),
                    "class labels; mse takes numbers");
  }
  if (dataset.classes > outputs) {
    return absl::InvalidArgumentError(
        fmt::format("data set '{}': labels up to {}; the network's output '{}' has {} elements",
                    dataset.name, dataset.classes - 1, graph.outputs.front().name, outputs));
  }
  if (metric != Metric::kTop5) return absl::OkStatus();
  if (dataset.classes < kLeastForTop5) {
    return Unsuited(metric, dataset, fmt::format("{} classes", dataset.classes), "at least 5");
  }
  if (outputs <= kLeastForTop5) {
    return Unsuited(metric, dataset, fmt::format("the network's output has {} elements", outputs),
                    "more than 5: of five, every answer is among the five best");
  }
  return absl::OkStatus();
}

// An autoencoder: what comes out is as much as what goes in.
absl::Status CheckReconstruction(Metric metric, const DatasetRecord& dataset, const Graph& graph) {
  const Shape& input = graph.values[graph.input].shape;
  const Shape& output = graph.values[graph.scored_value()].shape;
  if (input.elements() == output.elements()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "metric {}: the network turns {} into {}; needed: as many numbers out as in{}",
      ToString(metric), ToString(input), ToString(output),
      metric == Metric::kMse ? ", or data whose y is float32 with what the network should answer"
                             : ""));
}

absl::Status CheckMse(const DatasetRecord& dataset, const Graph& graph) {
  const TargetFacts& targets = *dataset.targets;
  const Shape& output = graph.values[graph.scored_value()].shape;
  if (targets.elements == 0) {
    MICO_RETURN_IF_ERROR(CheckReconstruction(Metric::kMse, dataset, graph));
  } else if (targets.elements != output.elements()) {
    return Unsuited(Metric::kMse, dataset,
                    fmt::format("y has {} numbers a sample", targets.elements),
                    fmt::format("as many as the network's output {} has: {}", ToString(output),
                                output.elements()));
  }
  if (std::min(dataset.val_samples, dataset.test_samples) < kLeastSamplesForMse) {
    return Unsuited(
        Metric::kMse, dataset,
        fmt::format("{} val and {} test samples", dataset.val_samples, dataset.test_samples),
        "at least 2 of each");
  }
  if (targets.val_variance <= 0.0) {
    return Unsuited(Metric::kMse, dataset, "every target of val is the same", "some that differ");
  }
  return absl::OkStatus();
}

absl::Status CheckAuc(const DatasetRecord& dataset, const Graph& graph) {
  const TargetFacts& targets = *dataset.targets;
  constexpr std::string_view kNeeded = "labels 0 (normal) and 1 (anomaly)";
  if (targets.elements > 0) {
    return Unsuited(Metric::kAuc, dataset, fmt::format("y is {} float32", targets.elements),
                    kNeeded);
  }
  if (dataset.classes > 2) {
    return Unsuited(Metric::kAuc, dataset, fmt::format("labels up to {}", dataset.classes - 1),
                    kNeeded);
  }
  MICO_RETURN_IF_ERROR(CheckReconstruction(Metric::kAuc, dataset, graph));
  const auto check = [&](std::string_view split, int64_t ones, int64_t samples) {
    if (ones > 0 && ones < samples) return absl::OkStatus();
    return Unsuited(
        Metric::kAuc, dataset,
        fmt::format("{} has {} samples labelled 0 and {} labelled 1", split, samples - ones, ones),
        "both in val and in test");
  };
  MICO_RETURN_IF_ERROR(check("val", targets.val_ones, dataset.val_samples));
  return check("test", targets.test_ones, dataset.test_samples);
}

}  // namespace

absl::Status CheckMetric(Metric metric, const DatasetRecord& dataset, const Graph& graph) {
  switch (metric) {
    case Metric::kTop1:
    case Metric::kTop5:
      return CheckClasses(metric, dataset, graph);
    case Metric::kMse:
      return CheckMse(dataset, graph);
    case Metric::kAuc:
      break;
  }
  return CheckAuc(dataset, graph);
}

ErrorScale ErrorScaleOf(Metric metric, const DatasetRecord& dataset) {
  const double classes = static_cast<double>(std::max<int64_t>(dataset.classes, 1));
  switch (metric) {
    case Metric::kTop1:
      return {1.0, 1.0 - 1.0 / classes};
    case Metric::kTop5:
      return {1.0, 1.0 - std::min(5.0, classes) / classes};
    case Metric::kMse:
      return {dataset.targets ? dataset.targets->val_variance : 1.0, 1.0};
    case Metric::kAuc:
      break;
  }
  return {1.0, 0.5};
}

}  // namespace mico
