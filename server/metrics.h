#pragma once

#include "absl/status/status.h"
#include "db/records.h"
#include "model/graph.h"
#include "quant/score.h"

namespace mico {

// InvalidArgument, with what was found, if `metric` asks for other data than these or for another
// network: docs/metrics.md. `dataset.targets` is there.
absl::Status CheckMetric(Metric metric, const DatasetRecord& dataset, const Graph& graph);

// How errors (Score::error) of one metric on one data set compare with those of others.
struct ErrorScale {
  double unit = 1.0;       // SearchSpace::error_unit
  double ignorance = 1.0;  // error, in units, of an answer that knows nothing
};
ErrorScale ErrorScaleOf(Metric metric, const DatasetRecord& dataset);

}  // namespace mico
