#include "search/sensitivity_strategy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "search/proposing.h"
#include "search/uniform_strategy.h"

namespace mico {
namespace {

// At most this share of the budget goes into probes.
constexpr double kProbeShare = 0.35;
// A probe sees at least this many images, and no more than the second number: the divergence
// converges sooner than a score does.
constexpr int64_t kFewestImages = 32;
constexpr int64_t kMostImages = 512;
// An error this far above the uniform 8-bit network's is of no interest: differences up there do
// not attract evaluations.
constexpr double kErrorRange = 0.20;
// Members of one round: enough for a few workers, few enough to learn between rounds.
constexpr size_t kRoundSize = 8;
// Partial sums kept while merging layers: more than a screen could show, few enough for
// milliseconds.
constexpr size_t kMostPartialSums = 4000;
// What a gap is worth where both neighbours are equally good, so that flat parts are looked at
// in the end too.
constexpr double kFlatGap = 0.002;

BitScheme Widest(const SearchSpace& space) {
  std::vector<LayerBits> layers;
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    layers.push_back({space.weight_bits[layer].front(), space.input_bits[layer].front()});
  }
  return BitScheme(std::move(layers));
}

BitScheme With(BitScheme scheme, size_t layer, LayerBits bits) {
  scheme.mutable_layers()[layer] = bits;
  return scheme;
}

// The widest network, then every single change of it.
std::vector<BitScheme> ProbeSchemes(const SearchSpace& space) {
  const BitScheme widest = Widest(space);
  std::vector<BitScheme> schemes{widest};
  for (size_t layer = 0; layer < space.weight_bits.size(); ++layer) {
    const LayerBits bits = widest[layer];
    for (const int w : space.weight_bits[layer]) {
      if (w != bits.weight_bits) schemes.push_back(With(widest, layer, {w, bits.input_bits}));
    }
    for (const int a : space.input_bits[layer]) {
      if (a != bits.input_bits) schemes.push_back(With(widest, layer, {bits.weight_bits, a}));
    }
  }
  return schemes;
}

int64_t ImagesPerProbe(const SearchSpace& space, const SearchHistory& history, size_t probes) {
  const double affordable = kProbeShare * history.budget * static_cast<double>(space.val_samples) /
                            static_cast<double>(probes);
  const int64_t images = std::clamp(static_cast<int64_t>(affordable), kFewestImages, kMostImages);
  // One less than all of val keeps a probe a probe.
  return std::max<int64_t>(1, std::min(images, space.val_samples - 1));
}

// Divergence of every finished probe.
std::map<BitScheme, double> ProbeResults(const SearchHistory& history) {
  std::map<BitScheme, double> results;
  for (const Trial& trial : history.trials) {
    if (trial.is_probe() && trial.state == TrialState::kFinished) {
      results[trial.scheme] = trial.divergence;
    }
  }
  return results;
}

// What the additive model says of one layer: all its width pairs that have a cost and a loss.
struct LayerOptions {
  std::vector<LayerBits> bits;
  std::vector<AdditiveOption> options;
};

class AdditiveModel {
 public:
  AdditiveModel(const SearchSpace& space, const SearchHistory& history)
      : space_(space), divergence_(ProbeResults(history)), widest_(Widest(space)) {}

  // Costs are latency plus `flash_weight` counts for each byte of flash.
  std::vector<BitScheme> Front(double flash_weight) const {
    const absl::StatusOr<Cost> base = space_.cost(widest_);
    if (!base.ok() || !divergence_.contains(widest_)) return {};
    std::vector<LayerOptions> layers;
    std::vector<std::vector<AdditiveOption>> options;
    for (size_t layer = 0; layer < widest_.size(); ++layer) {
      layers.push_back(Options(layer, *base, flash_weight));
      options.push_back(layers.back().options);
    }
    std::vector<BitScheme> schemes;
    for (const AdditivePoint& point : MergeAdditive(options, kMostPartialSums).points) {
      BitScheme scheme = widest_;
      for (size_t layer = 0; layer < layers.size(); ++layer) {
        scheme.mutable_layers()[layer] = layers[layer].bits[point.choice[layer]];
      }
      schemes.push_back(std::move(scheme));
    }
    return schemes;
  }

 private:
  LayerOptions Options(size_t layer, const Cost& base, double flash_weight) const {
    LayerOptions result;
    for (const int w : space_.weight_bits[layer]) {
      for (const int a : space_.input_bits[layer]) {
        const std::optional<double> loss = Loss(layer, {w, a});
        const absl::StatusOr<Cost> cost = space_.cost(With(widest_, layer, {w, a}));
        if (!loss || !cost.ok()) continue;
        const double saved =
            static_cast<double>(cost->latency_cycles - base.latency_cycles) +
            flash_weight * static_cast<double>(cost->flash_bytes - base.flash_bytes);
        result.bits.push_back({w, a});
        result.options.push_back({std::llround(saved), *loss});
      }
    }
    return result;
  }

  // Absent when a probe of this layer failed: such a width is not chosen.
  std::optional<double> Loss(size_t layer, LayerBits bits) const {
    double loss = 0.0;
    for (const LayerBits change : {LayerBits{bits.weight_bits, widest_[layer].input_bits},
                                   LayerBits{widest_[layer].weight_bits, bits.input_bits}}) {
      const auto probe = divergence_.find(With(widest_, layer, change));
      if (probe == divergence_.end()) return std::nullopt;
      loss += std::max(0.0, probe->second - divergence_.at(widest_));
    }
    return loss;
  }

  const SearchSpace& space_;
  const std::map<BitScheme, double> divergence_;
  const BitScheme widest_;
};

// A member of the predicted front, and its error (in units of the space) once that is known.
struct Member {
  BitScheme scheme;
  Cost cost;
  bool taken = false;
  std::optional<double> error;
};

// Where a flash limit binds, members that save flash rather than time are needed too: several
// exchange rates between the two, the largest making flash the only thing that counts.
std::vector<double> FlashWeights(const SearchSpace& space, const Cost& base) {
  std::vector<double> weights{0.0};
  if (!space.limits.max_flash_bytes) return weights;
  const double rate = static_cast<double>(base.latency_cycles) /
                      static_cast<double>(std::max<int64_t>(base.flash_bytes, 1));
  for (const double share : {0.25, 1.0, 4.0, 64.0}) weights.push_back(share * rate);
  return weights;
}

// Members within the limits, ascending latency.
std::vector<Member> PredictedFront(const SearchSpace& space, const SearchHistory& history) {
  const AdditiveModel model(space, history);
  const absl::StatusOr<Cost> base = space.cost(Widest(space));
  if (!base.ok()) return {};
  std::set<BitScheme> schemes;
  for (const double weight : FlashWeights(space, *base)) {
    for (BitScheme& scheme : model.Front(weight)) schemes.insert(std::move(scheme));
  }
  std::vector<Member> members;
  for (const BitScheme& scheme : schemes) {
    const absl::StatusOr<Cost> cost = space.cost(scheme);
    if (cost.ok() && space.limits.Admits(*cost)) members.push_back({scheme, *cost, false, {}});
  }
  std::stable_sort(members.begin(), members.end(), [](const Member& a, const Member& b) {
    return a.cost.latency_cycles < b.cost.latency_cycles;
  });
  return members;
}

double ErrorOf(const Trial& trial, const SearchSpace& space) {
  return trial.val.error() / space.error_unit;
}

double ErrorCeiling(const SearchSpace& space, const SearchHistory& history) {
  const BitScheme widest = Widest(space);
  for (const Trial& trial : history.trials) {
    if (!trial.is_probe() && trial.state == TrialState::kFinished && trial.scheme == widest) {
      return ErrorOf(trial, space) + kErrorRange;
    }
  }
  return 1.0;
}

using FullTrials = std::map<BitScheme, const Trial*>;

FullTrials TrialsOnAllImages(const SearchHistory& history) {
  FullTrials full;
  for (const Trial& trial : history.trials) {
    if (!trial.is_probe()) full[trial.scheme] = &trial;
  }
  return full;
}

bool Ended(const Trial& trial) {
  return trial.state == TrialState::kFinished || trial.state == TrialState::kFailed;
}

void TakeResult(Member& member, const Trial& trial, const SearchSpace& space, double ceiling) {
  member.taken = true;
  if (trial.state == TrialState::kFinished) {
    member.error = std::min(ErrorOf(trial, space), ceiling);
  }
}

// Reference networks that lie on the predicted front are known before the first round.
void TakeReferences(std::vector<Member>& members, const FullTrials& full, const SearchSpace& space,
                    double ceiling) {
  for (Member& member : members) {
    const auto known = full.find(member.scheme);
    if (known != full.end() && !known->second->label.empty()) {
      TakeResult(member, *known->second, space, ceiling);
    }
  }
}

// Error of a taken member whose result is not there yet: as its nearest finished neighbour's, the
// cheaper one first.
double KnownOrNear(const std::vector<Member>& members, size_t index, double ceiling) {
  for (size_t distance = 0; distance < members.size(); ++distance) {
    if (index >= distance && members[index - distance].error) {
      return *members[index - distance].error;
    }
    if (index + distance < members.size() && members[index + distance].error) {
      return *members[index + distance].error;
    }
  }
  return ceiling;
}

// The free member nearest to the middle latency between two taken neighbours; absent if there is
// none.
std::optional<size_t> MiddleBetween(const std::vector<Member>& members, size_t low, size_t high) {
  const int64_t middle = (members[low].cost.latency_cycles + members[high].cost.latency_cycles) / 2;
  std::optional<size_t> nearest;
  for (size_t i = low + 1; i < high; ++i) {
    const auto distance = [&](size_t k) {
      return std::llabs(members[k].cost.latency_cycles - middle);
    };
    if (!members[i].taken && (!nearest || distance(i) < distance(*nearest))) nearest = i;
  }
  return nearest;
}

std::optional<size_t> NextMember(const std::vector<Member>& members, double ceiling) {
  const size_t last = members.size() - 1;
  const auto middle = members.begin() + static_cast<std::ptrdiff_t>(members.size() / 2);
  const bool any_taken =
      std::any_of(members.begin(), members.end(), [](const Member& m) { return m.taken; });
  if (!any_taken) return static_cast<size_t>(middle - members.begin());
  if (!members[last].taken) return last;
  if (!members[0].taken) return 0;
  const double range = static_cast<double>(
      std::max<int64_t>(members[last].cost.latency_cycles - members[0].cost.latency_cycles, 1));
  std::optional<size_t> best;
  double best_area = -1.0;
  for (size_t low = 0; low < last;) {
    size_t high = low + 1;
    while (!members[high].taken) ++high;
    const double width =
        static_cast<double>(members[high].cost.latency_cycles - members[low].cost.latency_cycles) /
        range;
    const double height =
        std::abs(KnownOrNear(members, high, ceiling) - KnownOrNear(members, low, ceiling));
    const std::optional<size_t> between = MiddleBetween(members, low, high);
    const double area = width * (height + kFlatGap);
    if (between && area > best_area) {
      best = between;
      best_area = area;
    }
    low = high;
  }
  return best;
}

// Marks the members of the next round as taken and returns them.
std::vector<size_t> NextRound(std::vector<Member>& members, double ceiling) {
  std::vector<size_t> round;
  while (round.size() < kRoundSize) {
    const std::optional<size_t> next = NextMember(members, ceiling);
    if (!next) break;
    members[*next].taken = true;
    round.push_back(*next);
  }
  return round;
}

// Members are chosen in rounds; what a round contains depends only on the results of the rounds
// before it. So the trials of a job, and with them its front, do not depend on how many workers
// there were, in which order they answered, or whether somebody was restarted. Every call replays
// the rounds from the first.
void ProposeMembers(const SearchSpace& space, const SearchHistory& history,
                    ProposalBuilder& proposal) {
  std::vector<Member> members = PredictedFront(space, history);
  if (members.empty()) return;
  const double ceiling = ErrorCeiling(space, history);
  const FullTrials full = TrialsOnAllImages(history);
  TakeReferences(members, full, space, ceiling);
  while (true) {
    const std::vector<size_t> round = NextRound(members, ceiling);
    bool complete = !round.empty();
    for (const size_t member : round) {
      const auto known = full.find(members[member].scheme);
      if (known == full.end()) proposal.Add({members[member].scheme, 0, ""});
      if (known == full.end() || !Ended(*known->second)) {
        complete = false;
      } else {
        TakeResult(members[member], *known->second, space, ceiling);
      }
    }
    if (!complete) return;
  }
}

// Everything that the predicted front is made of is known: reference networks and probes.
bool PreparationEnded(const SearchHistory& history, const std::vector<BitScheme>& probes) {
  size_t ended = 0;
  for (const Trial& trial : history.trials) {
    if (!trial.is_probe() && trial.label.empty()) continue;
    if (!Ended(trial)) return false;
    if (trial.is_probe()) ++ended;
  }
  return ended >= probes.size();
}

}  // namespace

Proposal SensitivityStrategy::Propose(const SearchSpace& space, const SearchHistory& history,
                                      int count, Random& random) const {
  ProposalBuilder proposal(space, history, count);
  for (Candidate& candidate : ReferenceCandidates(space)) proposal.Add(std::move(candidate));
  const std::vector<BitScheme> probes = ProbeSchemes(space);
  const int64_t images = ImagesPerProbe(space, history, probes.size());
  for (const BitScheme& scheme : probes) proposal.Add({scheme, images, ""});
  if (!proposal.full() && PreparationEnded(history, probes)) {
    ProposeMembers(space, history, proposal);
  }

  Proposal result = proposal.Take();
  if (result.candidates.empty() && !AnythingInFlight(history)) {
    result.finished_because = proposal.spent()
                                  ? "the budget is spent"
                                  : "every member of the predicted front has been evaluated";
  }
  return result;
}

}  // namespace mico
