#include "data/split_samples.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace mico {
namespace {

constexpr uint64_t kSplitSeed = 20'240'229;

// Fisher-Yates from the end.
std::vector<int64_t> Shuffled(int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  Random random(kSplitSeed);
  for (int64_t i = count - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  return order;
}

std::vector<int64_t> TakeLast(std::vector<int64_t>& order, int64_t count) {
  const std::vector<int64_t> taken(order.end() - count, order.end());
  order.resize(order.size() - static_cast<size_t>(count));
  return taken;
}

}  // namespace

SampleSplit TakeVal(int64_t count) {
  SampleSplit split;
  split.train = Shuffled(count);
  split.val = TakeLast(split.train, std::max<int64_t>(1, count / 10));
  return split;
}

SampleSplit TakeValAndTest(int64_t count) {
  SampleSplit split;
  split.train = Shuffled(count);
  split.test = TakeLast(split.train, std::max<int64_t>(1, count / 10));
  split.val = TakeLast(split.train, std::max<int64_t>(1, count / 10));
  return split;
}

}  // namespace mico
