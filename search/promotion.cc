#include "search/promotion.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace mico {
namespace {

bool IsEligible(const Trial& trial, const Limits& limits) {
  return trial.state == TrialState::kFinished && !trial.is_probe() && !trial.gave_up &&
         !trial.trained && limits.Admits(trial.cost);
}

// What is left of `indices` after their front was taken, over and over: front after front, each in
// ascending latency and descending error.
std::vector<std::vector<size_t>> PeelFronts(std::span<const Trial> trials,
                                            std::vector<size_t> indices) {
  std::sort(indices.begin(), indices.end(), [&](size_t a, size_t b) {
    const Trial &left = trials[a], &right = trials[b];
    if (left.cost.latency_cycles != right.cost.latency_cycles) {
      return left.cost.latency_cycles < right.cost.latency_cycles;
    }
    if (left.val.error() != right.val.error()) return left.val.error() < right.val.error();
    return left.number < right.number;
  });
  std::vector<std::vector<size_t>> fronts;
  for (const size_t index : indices) {
    // The last of a front has its least error, and of an earlier front no more than of a later one.
    const auto dominates = [&](const std::vector<size_t>& front) {
      return trials[front.back()].val.error() <= trials[index].val.error();
    };
    const auto front = std::partition_point(fronts.begin(), fronts.end(), dominates);
    if (front == fronts.end()) {
      fronts.push_back({index});
    } else {
      front->push_back(index);
    }
  }
  return fronts;
}

// How far the neighbours of each member are apart, as a share of the whole front in either
// direction; without bounds at the ends.
std::vector<double> CrowdingDistances(std::span<const Trial> trials,
                                      const std::vector<size_t>& front) {
  std::vector<double> distances(front.size(), std::numeric_limits<double>::infinity());
  const auto latency = [&](size_t at) {
    return static_cast<double>(trials[front[at]].cost.latency_cycles);
  };
  const auto error = [&](size_t at) { return trials[front[at]].val.error(); };
  const size_t last = front.size() - 1;
  for (size_t at = 1; at < last; ++at) {
    distances[at] = (latency(at + 1) - latency(at - 1)) / (latency(last) - latency(0)) +
                    (error(at - 1) - error(at + 1)) / (error(0) - error(last));
  }
  return distances;
}

std::vector<size_t> LeastCrowded(std::span<const Trial> trials, const std::vector<size_t>& front,
                                 size_t most) {
  const std::vector<double> distances = CrowdingDistances(trials, front);
  std::vector<size_t> places(front.size());
  std::iota(places.begin(), places.end(), size_t{0});
  std::sort(places.begin(), places.end(), [&](size_t a, size_t b) {
    if (distances[a] != distances[b]) return distances[a] > distances[b];
    return trials[front[a]].number < trials[front[b]].number;
  });
  std::vector<size_t> chosen;
  for (size_t i = 0; i < std::min(most, places.size()); ++i) chosen.push_back(front[places[i]]);
  return chosen;
}

// 1 for the least; equal values share the mean of their ranks.
std::vector<double> RanksOf(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double mean = 0.5 * static_cast<double>(first + 1 + end);
    for (size_t i = first; i < end; ++i) ranks[order[i]] = mean;
    first = end;
  }
  return ranks;
}

}  // namespace

std::vector<size_t> ChoosePromising(std::span<const Trial> trials, const Limits& limits,
                                    size_t most) {
  std::vector<size_t> eligible;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (IsEligible(trials[i], limits)) eligible.push_back(i);
  }
  std::vector<size_t> chosen;
  for (const std::vector<size_t>& front : PeelFronts(trials, std::move(eligible))) {
    if (chosen.size() == most) break;
    const std::vector<size_t> taken = LeastCrowded(trials, front, most - chosen.size());
    chosen.insert(chosen.end(), taken.begin(), taken.end());
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::optional<double> RankCorrelation(std::span<const double> first,
                                      std::span<const double> second) {
  if (first.size() != second.size() || first.size() < 2) return std::nullopt;
  const std::vector<double> a = RanksOf(first), b = RanksOf(second);
  const double mean = 0.5 * static_cast<double>(a.size() + 1);
  double product = 0.0, square_a = 0.0, square_b = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += (a[i] - mean) * (b[i] - mean);
    square_a += (a[i] - mean) * (a[i] - mean);
    square_b += (b[i] - mean) * (b[i] - mean);
  }
  if (square_a == 0.0 || square_b == 0.0) return std::nullopt;
  return std::clamp(product / std::sqrt(square_a * square_b), -1.0, 1.0);
}

}  // namespace mico
