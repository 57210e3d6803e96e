#include "server/problem.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "codegen/program_plan.h"
#include "fmt/format.h"
#include "quant/quantized_graph.h"

namespace mico {
namespace {

absl::StatusOr<ProgramWork> PlanWork(const Problem& problem, const BitScheme& scheme) {
  MICO_ASSIGN_OR_RETURN(const QuantizedGraph lowered,
                        LowerGraph(problem.graph, problem.input_non_negative, scheme));
  MICO_ASSIGN_OR_RETURN(const ProgramPlan plan, PlanProgram(lowered, problem.target));
  return plan.Work(lowered);
}

// A strategy asks for the same schemes again and again.
class RememberingCost {
 public:
  RememberingCost(std::shared_ptr<const Problem> problem, const LatencyTable& table)
      : problem_(std::move(problem)), latency_(table) {}

  absl::StatusOr<Cost> operator()(const BitScheme& scheme) {
    {
      absl::MutexLock lock(&mutex_);
      const auto known = known_.find(scheme);
      if (known != known_.end()) return known->second;
    }
    absl::StatusOr<Cost> cost = Compute(scheme);
    absl::MutexLock lock(&mutex_);
    if (known_.size() >= kMostRemembered) known_.clear();
    known_.emplace(scheme, cost);
    return cost;
  }

 private:
  static constexpr size_t kMostRemembered = 200'000;

  absl::StatusOr<Cost> Compute(const BitScheme& scheme) const {
    MICO_ASSIGN_OR_RETURN(const ProgramWork work, PlanWork(*problem_, scheme));
    return latency_.Predict(work);
  }

  const std::shared_ptr<const Problem> problem_;
  const ProfiledLatency latency_;
  absl::Mutex mutex_;
  std::map<BitScheme, absl::StatusOr<Cost>> known_ ABSL_GUARDED_BY(mutex_);
};

// Options of one layer in all combinations.
std::vector<LayerBits> Options(const SearchSpace& space, size_t layer) {
  std::vector<LayerBits> options;
  for (const int weight_bits : space.weight_bits[layer]) {
    for (const int input_bits : space.input_bits[layer]) {
      options.push_back({weight_bits, input_bits});
    }
  }
  return options;
}

// The k-th option of every layer, or its last.
BitScheme Diagonal(const SearchSpace& space, size_t weight_index, size_t input_index) {
  std::vector<LayerBits> layers;
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    const std::vector<int>& weights = space.weight_bits[layer];
    const std::vector<int>& inputs = space.input_bits[layer];
    layers.push_back({weights[std::min(weight_index, weights.size() - 1)],
                      inputs[std::min(input_index, inputs.size() - 1)]});
  }
  return BitScheme(std::move(layers));
}

absl::StatusOr<Floor> BestUniform(const SearchSpace& space, int64_t Cost::*member) {
  std::optional<Floor> best;
  absl::Status last_error = absl::InvalidArgumentError("the space has no scheme");
  for (size_t w = 0; w < 8; ++w) {
    for (size_t a = 0; a < 8; ++a) {
      const BitScheme scheme = Diagonal(space, w, a);
      const absl::StatusOr<Cost> cost = space.cost(scheme);
      if (!cost.ok()) {
        last_error = cost.status();
      } else if (!best || (*cost).*member < best->cost.*member) {
        best = Floor{*cost, scheme};
      }
    }
  }
  if (!best) return last_error;
  return *best;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Problem>> MakeProblem(Graph graph, bool input_non_negative,
                                                           int64_t val_samples,
                                                           const Target& target) {
  if (target.weight_bits.empty() || target.activation_bits.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("target '{}': announced without widths", target.name));
  }
  if (target.latency_model != "profiled") {
    return absl::UnimplementedError(fmt::format("target '{}': latency model '{}'; known: profiled",
                                                target.name, target.latency_model));
  }
  auto problem = std::make_shared<Problem>();
  problem->graph = std::move(graph);
  problem->input_non_negative = input_non_negative;
  problem->val_samples = val_samples;
  problem->target = target;
  MICO_ASSIGN_OR_RETURN(problem->signatures,
                        EnumerateSignatures(problem->graph, input_non_negative, target));
  return problem;
}

std::vector<std::string> LayerNames(const Graph& graph) {
  std::vector<std::string> names;
  for (const int node : graph.QuantizedLayers()) {
    std::string name = graph.nodes[node].name;
    std::replace(name.begin(), name.end(), '\n', ' ');
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> MissingSignatures(const Problem& problem, const LatencyTable& table) {
  std::vector<std::string> missing;
  for (const std::string& signature : problem.signatures) {
    if (!table.steps.contains(signature)) missing.push_back(signature);
  }
  return missing;
}

CostFunction StructuralCost(std::shared_ptr<const Problem> problem) {
  return [problem](const BitScheme& scheme) -> absl::StatusOr<Cost> {
    MICO_ASSIGN_OR_RETURN(const ProgramWork work, PlanWork(*problem, scheme));
    return Cost{0, work.peak_ram_bytes, work.constant_bytes};
  };
}

CostFunction ProfiledCost(std::shared_ptr<const Problem> problem, const LatencyTable& table) {
  auto remembering = std::make_shared<RememberingCost>(std::move(problem), table);
  return [remembering](const BitScheme& scheme) { return (*remembering)(scheme); };
}

SearchSpace MakeSpace(const Problem& problem, CostFunction cost) {
  SearchSpace space;
  space.input_layers = InputLayers(problem.graph);
  const std::vector<int> least = LeastInputBits(problem.graph, problem.input_non_negative);
  for (size_t layer = 0; layer < least.size(); ++layer) {
    space.weight_bits.push_back(problem.target.weight_bits);
    std::vector<int> inputs;
    for (const int bits : problem.target.activation_bits) {
      if (bits >= least[layer]) inputs.push_back(bits);
    }
    if (space.input_layers[layer] || inputs.empty()) inputs = {8};
    space.input_bits.push_back(std::move(inputs));
  }
  space.val_samples = problem.val_samples;
  space.cost = std::move(cost);
  return space;
}

BitScheme WidestScheme(const SearchSpace& space) { return Diagonal(space, 0, 0); }

absl::StatusOr<Floor> LeastCost(const SearchSpace& space, int64_t Cost::*member) {
  MICO_ASSIGN_OR_RETURN(Floor floor, BestUniform(space, member));
  bool lower = true;
  for (int round = 0; lower && round < 4; ++round) {
    lower = false;
    for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
      for (const LayerBits option : Options(space, layer)) {
        BitScheme scheme = floor.scheme;
        if (scheme[layer] == option) continue;
        scheme.mutable_layers()[layer] = option;
        const absl::StatusOr<Cost> cost = space.cost(scheme);
        if (!cost.ok() || (*cost).*member >= floor.cost.*member) continue;
        floor = {*cost, std::move(scheme)};
        lower = true;
      }
    }
  }
  return floor;
}

}  // namespace mico
