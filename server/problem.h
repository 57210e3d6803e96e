#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/graph.h"
#include "search/strategy.h"
#include "target/latency_model.h"
#include "target/target.h"

namespace mico {

// What a job is about, without its weights: which schemes exist and what each one costs. Immutable,
// thread-safe.
struct Problem {
  Graph graph;
  bool input_non_negative = false;
  int64_t val_samples = 0;
  Target target;
  std::vector<std::string> signatures;  // all that any scheme can need, sorted
};

// InvalidArgument or Unimplemented when the target has no kernels for this network.
absl::StatusOr<std::shared_ptr<const Problem>> MakeProblem(Graph graph, bool input_non_negative,
                                                           int64_t val_samples,
                                                           const Target& target);

// Names of the quantized layers, in the order of a scheme.
std::vector<std::string> LayerNames(const Graph& graph);

// Those of problem.signatures that `table` does not have.
std::vector<std::string> MissingSignatures(const Problem& problem, const LatencyTable& table);

using CostFunction = std::function<absl::StatusOr<Cost>(const BitScheme&)>;
// RAM, and the constants' part of flash: all that is known before the target is profiled.
CostFunction StructuralCost(std::shared_ptr<const Problem> problem);
// Everything. Remembers what it has computed; thread-safe.
CostFunction ProfiledCost(std::shared_ptr<const Problem> problem, const LatencyTable& table);

// Widths from the target, without limits.
SearchSpace MakeSpace(const Problem& problem, CostFunction cost);

// Every layer at its widest of the space, which is what relative limits refer to.
BitScheme WidestScheme(const SearchSpace& space);

struct Floor {
  Cost cost;
  BitScheme scheme;
};
// The least `member` of the cost that is found by going down one layer at a time from the best
// uniform network until no single change helps.
absl::StatusOr<Floor> LeastCost(const SearchSpace& space, int64_t Cost::*member);

}  // namespace mico
