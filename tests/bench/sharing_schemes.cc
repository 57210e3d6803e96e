#include "tests/bench/sharing_schemes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/status_macros.h"

namespace mico {
namespace {

const std::vector<int> kWidths{8, 4, 2};
// Images that the strategy's own evaluations see.
constexpr int64_t kImages = 500;

std::vector<BitScheme> SchemesOf(const Proposal& proposal) {
  std::vector<BitScheme> schemes;
  for (const Candidate& candidate : proposal.candidates) schemes.push_back(candidate.scheme);
  return schemes;
}

struct Partial {
  double loss = 0.0;
  BitScheme scheme;
};
void KeepBest(std::vector<Partial>& partials, size_t count) {
  std::stable_sort(partials.begin(), partials.end(),
                   [](const Partial& a, const Partial& b) { return a.loss < b.loss; });
  if (partials.size() > count) partials.resize(count);
}
BitScheme WidestOf(const SearchSpace& space) {
  return BitScheme(std::vector<LayerBits>(space.weight_bits.size(), LayerBits{8, 8}));
}
BitScheme With(BitScheme scheme, size_t layer, LayerBits bits) {
  scheme.mutable_layers()[layer] = bits;
  return scheme;
}
std::vector<LayerBits> OptionsOf(const SearchSpace& space, size_t layer, const BitScheme& fixed) {
  if (layer < fixed.size()) return {fixed[layer]};
  std::vector<LayerBits> options;
  for (const int w : space.weight_bits[layer]) {
    for (const int a : space.input_bits[layer]) options.push_back({w, a});
  }
  return options;
}

}  // namespace

std::vector<BitScheme> AllSchemes(size_t layers) {
  std::vector<BitScheme> schemes{BitScheme()};
  for (size_t layer = 0; layer < layers; ++layer) {
    std::vector<BitScheme> longer;
    for (const BitScheme& scheme : schemes) {
      for (const int w : kWidths) {
        for (const int a : kWidths) {
          longer.push_back(scheme);
          longer.back().mutable_layers().push_back({w, a});
        }
      }
    }
    schemes = std::move(longer);
  }
  return schemes;
}

SearchSpace SpaceOf(const BenchNetwork& network, int64_t val_samples) {
  SearchSpace space;
  space.input_layers = InputLayers(network.package.graph);
  for (const bool reads_input : space.input_layers) {
    space.weight_bits.push_back(kWidths);
    space.input_bits.push_back(reads_input ? std::vector<int>{8} : kWidths);
  }
  space.val_samples = val_samples;
  const Graph& graph = network.package.graph;
  std::vector<int64_t> macs;
  for (const int node : graph.QuantizedLayers())
    macs.push_back(CountMacs(graph, graph.nodes[node]));
  // Products of bits: a device without kernels of its own, for the shape of a front alone.
  space.cost = [macs](const BitScheme& scheme) -> absl::StatusOr<Cost> {
    Cost cost;
    for (size_t i = 0; i < macs.size(); ++i) {
      cost.latency_cycles += macs[i] * (scheme[i].weight_bits + scheme[i].input_bits);
    }
    return cost;
  };
  return space;
}

StrategyRounds::StrategyRounds(TorchEvaluator& evaluator, const BenchNetwork& network,
                               const SearchSpace& space)
    : evaluator_(evaluator), network_(network), space_(space) {
  history_.budget = 1e6;
}

Proposal StrategyRounds::Propose() const {
  Random random(history_.trials.size());
  return (*MakeStrategy("sensitivity"))->Propose(space_, history_, 1000, random);
}

absl::StatusOr<std::vector<BitScheme>> StrategyRounds::Probes() {
  std::vector<BitScheme> probes;
  while (true) {
    const Proposal proposal = Propose();
    const bool probing = std::any_of(proposal.candidates.begin(), proposal.candidates.end(),
                                     [](const Candidate& c) { return c.samples != 0; });
    if (!probing && !probes.empty()) return probes;
    for (const Candidate& candidate : proposal.candidates) {
      if (candidate.samples != 0) probes.push_back(candidate.scheme);
    }
    MICO_RETURN_IF_ERROR(Record(proposal));
  }
}

absl::StatusOr<std::vector<BitScheme>> StrategyRounds::Front(size_t count) {
  std::vector<BitScheme> front;
  while (front.size() < count) {
    const Proposal proposal = Propose();
    if (proposal.candidates.empty()) break;
    for (const BitScheme& scheme : SchemesOf(proposal)) front.push_back(scheme);
    MICO_RETURN_IF_ERROR(Record(proposal));
  }
  return front;
}

absl::Status StrategyRounds::Record(const Proposal& proposal) {
  const std::vector<BitScheme> schemes = SchemesOf(proposal);
  if (schemes.empty()) return absl::InternalError("the strategy proposed nothing");
  MICO_ASSIGN_OR_RETURN(
      const auto outcomes,
      evaluator_.Evaluate(network_.package, network_.calibration, network_.dataset,
                          {.schemes = schemes, .samples = kImages}, nullptr));
  for (size_t i = 0; i < schemes.size(); ++i) {
    MICO_RETURN_IF_ERROR(outcomes[i].status);
    Trial& trial = history_.trials.emplace_back();
    trial.number = static_cast<int64_t>(history_.trials.size());
    trial.scheme = schemes[i];
    trial.samples = proposal.candidates[i].samples;
    trial.label = proposal.candidates[i].label;
    trial.state = TrialState::kFinished;
    trial.val = outcomes[i].score;
    trial.divergence = outcomes[i].divergence;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BitScheme>> Neighbours(const SearchSpace& space,
                                                  const SearchHistory& history, size_t count,
                                                  const BitScheme& fixed) {
  const BitScheme widest = WidestOf(space);
  MICO_ASSIGN_OR_RETURN(const Cost most, space.cost(widest));
  const double limit = 0.7 * static_cast<double>(most.latency_cycles);
  std::map<BitScheme, double> losses;
  for (const Trial& trial : history.trials) {
    if (trial.is_probe()) losses[trial.scheme] = trial.divergence;
  }
  std::map<int64_t, std::vector<Partial>> sums;
  sums[0] = {{0.0, widest}};
  for (size_t layer = 0; layer < widest.size(); ++layer) {
    std::map<int64_t, std::vector<Partial>> longer;
    for (const auto& [steps, partials] : sums) {
      for (const LayerBits bits : OptionsOf(space, layer, fixed)) {
        const BitScheme changed = With(widest, layer, bits);
        MICO_ASSIGN_OR_RETURN(const Cost cost, space.cost(changed));
        const double saved = static_cast<double>(most.latency_cycles - cost.latency_cycles);
        const double loss = losses[With(widest, layer, {bits.weight_bits, 8})] +
                            losses[With(widest, layer, {8, bits.input_bits})];
        auto& place = longer[steps + std::llround(1000 * saved / limit)];
        for (const Partial& partial : partials) {
          place.push_back({partial.loss + loss, With(partial.scheme, layer, bits)});
        }
      }
    }
    for (auto& [steps, partials] : longer) KeepBest(partials, count);
    sums = std::move(longer);
  }
  std::vector<Partial> near;
  for (const auto& [steps, partials] : sums) {
    for (const Partial& partial : partials) {
      MICO_ASSIGN_OR_RETURN(const Cost cost, space.cost(partial.scheme));
      const double share = static_cast<double>(cost.latency_cycles) / limit;
      if (share > 0.98 && share <= 1.0) near.push_back(partial);
    }
  }
  KeepBest(near, count);
  if (near.size() < count) return absl::InternalError("too few neighbours");
  std::vector<BitScheme> schemes;
  schemes.reserve(near.size());
  for (const Partial& partial : near) schemes.push_back(partial.scheme);
  return schemes;
}

}  // namespace mico
