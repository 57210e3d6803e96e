#include "search/pareto_front.h"

#include <algorithm>
#include <limits>

namespace mico {
namespace {

// A partial sum over the first layers. The choices hang together as a linked list through
// `previous` (an index into the layer before), so that a merge copies no vectors.
struct PartialSum {
  int64_t cost = 0;
  double loss = 0.0;
  int previous = -1;
  int option = -1;
};

// Keeps the non-dominated sums: ascending cost, strictly descending loss.
void DropDominated(std::vector<PartialSum>& sums) {
  std::sort(sums.begin(), sums.end(), [](const PartialSum& a, const PartialSum& b) {
    if (a.cost != b.cost) return a.cost < b.cost;
    if (a.loss != b.loss) return a.loss < b.loss;
    if (a.option != b.option) return a.option < b.option;
    return a.previous < b.previous;
  });
  double least = std::numeric_limits<double>::infinity();
  std::erase_if(sums, [&least](const PartialSum& sum) {
    if (sum.loss >= least) return true;
    least = sum.loss;
    return false;
  });
}

// Keeps `most` sums spread evenly over their order, both ends among them.
void Thin(std::vector<PartialSum>& sums, size_t most) {
  std::vector<PartialSum> kept;
  kept.reserve(most);
  for (size_t i = 0; i < most; ++i) {
    kept.push_back(sums[i * (sums.size() - 1) / std::max<size_t>(most - 1, 1)]);
  }
  sums = std::move(kept);
}

std::vector<PartialSum> Extend(const std::vector<PartialSum>& sums,
                               const std::vector<AdditiveOption>& options) {
  std::vector<PartialSum> extended;
  extended.reserve(sums.size() * options.size());
  for (size_t i = 0; i < sums.size(); ++i) {
    for (size_t o = 0; o < options.size(); ++o) {
      extended.push_back({sums[i].cost + options[o].cost, sums[i].loss + options[o].loss,
                          static_cast<int>(i), static_cast<int>(o)});
    }
  }
  DropDominated(extended);
  return extended;
}

std::vector<int> ReadChoice(const std::vector<std::vector<PartialSum>>& levels, int index) {
  std::vector<int> choice(levels.size());
  for (size_t level = levels.size(); level-- > 0;) {
    choice[level] = levels[level][index].option;
    index = levels[level][index].previous;
  }
  return choice;
}

}  // namespace

std::vector<int> ParetoFront(std::span<const Trial> trials, const Limits& limits) {
  FrontBuilder front(limits);
  for (size_t i = 0; i < trials.size(); ++i) front.Add(trials[i], static_cast<int>(i));
  return front.Indices();
}

void FrontBuilder::Add(const Trial& trial, int index) {
  if (!limits_.Admits(trial)) return;
  // The first point that is slower; those before it are as fast or faster.
  const auto slower = std::upper_bound(
      points_.begin(), points_.end(), trial.cost.latency_cycles,
      [](int64_t latency, const Point& p) { return latency < p.trial->cost.latency_cycles; });
  auto first = slower;  // of the points that this one makes superfluous
  if (slower != points_.begin()) {
    const Point& before = *(slower - 1);
    const bool same_place = before.trial->cost.latency_cycles == trial.cost.latency_cycles &&
                            before.trial->val.value == trial.val.value;
    const bool earlier = same_place && trial.number < before.trial->number;
    if (!earlier && !trial.val.IsBetterThan(before.trial->val)) return;
    if (before.trial->cost.latency_cycles == trial.cost.latency_cycles) first = slower - 1;
  }
  auto last = slower;
  while (last != points_.end() && !last->trial->val.IsBetterThan(trial.val)) ++last;
  const auto place = points_.erase(first, last);
  points_.insert(place, {&trial, index});
}

std::vector<int> FrontBuilder::Indices() const {
  std::vector<int> indices;
  indices.reserve(points_.size());
  for (const Point& point : points_) indices.push_back(point.index);
  return indices;
}

double Hypervolume(std::span<const Objective> points, Objective reference) {
  std::vector<Objective> inside(points.begin(), points.end());
  std::erase_if(inside, [&](const Objective& p) {
    return p.cost >= reference.cost || p.error >= reference.error;
  });
  std::sort(inside.begin(), inside.end(), [](const Objective& a, const Objective& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.error < b.error;
  });
  double area = 0.0;
  double error_above = reference.error;
  for (const Objective& point : inside) {
    if (point.error >= error_above) continue;
    area += (reference.cost - point.cost) * (error_above - point.error);
    error_above = point.error;
  }
  return area;
}

AdditiveFront MergeAdditive(std::span<const std::vector<AdditiveOption>> layers,
                            size_t most_points) {
  AdditiveFront front;
  std::vector<std::vector<PartialSum>> levels;
  std::vector<PartialSum> sums{PartialSum{}};
  for (const std::vector<AdditiveOption>& options : layers) {
    sums = Extend(sums, options);
    if (sums.size() > most_points) {
      Thin(sums, most_points);
      front.exact = false;
    }
    levels.push_back(sums);
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    front.points.push_back({sums[i].cost, sums[i].loss, ReadChoice(levels, static_cast<int>(i))});
  }
  return front;
}

}  // namespace mico
