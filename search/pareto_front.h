#pragma once

#include <span>
#include <vector>

#include "search/trial.h"

namespace mico {

// Indices into `trials` of the finished non-probe trials inside `limits` that no other such trial
// dominates in (latency, value on val); ascending latency and goodness; of equal points the lowest
// number.
std::vector<int> ParetoFront(std::span<const Trial> trials, const Limits& limits);

// The same for trials that come one by one, in any order: n trials with a front of f points take
// n log f steps. What was added must outlive the object.
class FrontBuilder {
 public:
  explicit FrontBuilder(const Limits& limits) : limits_(limits) {}

  // `index` is what Indices() calls it.
  void Add(const Trial& trial, int index);
  std::vector<int> Indices() const;

 private:
  struct Point {
    const Trial* trial = nullptr;
    int index = 0;
  };

  const Limits limits_;
  std::vector<Point> points_;  // ascending latency and goodness
};

// A point to be minimised in both coordinates.
struct Objective {
  double cost = 0.0;
  double error = 0.0;
};

// The area that `points` dominate inside the rectangle [0, reference.cost] x [0, reference.error].
double Hypervolume(std::span<const Objective> points, Objective reference);

// The options of one layer in an additive model: `cost` and `loss` add up over layers.
struct AdditiveOption {
  int64_t cost = 0;
  double loss = 0.0;
};
struct AdditivePoint {
  int64_t cost = 0;
  double loss = 0.0;
  std::vector<int> choice;  // option index per layer
};
// The exact non-dominated points of the sum over layers, ascending cost, by merging layer after
// layer and dropping dominated partial sums. If more than `most_points` partial sums survive a
// merge, costs are thinned to that many evenly (the ends are kept), which makes the front
// approximate: `exact` says.
struct AdditiveFront {
  std::vector<AdditivePoint> points;
  bool exact = true;
};
AdditiveFront MergeAdditive(std::span<const std::vector<AdditiveOption>> layers,
                            size_t most_points = 20000);

}  // namespace mico
