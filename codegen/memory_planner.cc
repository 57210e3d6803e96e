#include "codegen/memory_planner.h"

#include <algorithm>
#include <numeric>

#include "codegen/round_up.h"

namespace mico {
namespace {

// Where `bytes` fit between `taken`, which is sorted by offset: the tightest gap, or the end.
struct Range {
  int64_t begin, end;
};
int64_t TightestGap(const std::vector<Range>& taken, int64_t bytes, int64_t alignment) {
  int64_t best = -1, best_slack = 0;
  int64_t free_from = 0;
  for (const Range& range : taken) {
    const int64_t slack = range.begin - free_from - bytes;
    if (slack >= 0 && (best < 0 || slack < best_slack)) {
      best = free_from;
      best_slack = slack;
    }
    free_from = std::max(free_from, RoundUp(range.end, alignment));
  }
  return best >= 0 ? best : free_from;
}

MemoryLayout PlaceInOrder(const std::vector<BufferNeed>& needs, const std::vector<int>& order,
                          int64_t alignment) {
  MemoryLayout layout;
  layout.offsets.assign(needs.size(), 0);
  std::vector<int> placed;
  for (const int buffer : order) {
    std::vector<Range> taken;
    for (const int other : placed) {
      if (!needs[other].LivesWith(needs[buffer])) continue;
      taken.push_back({layout.offsets[other], layout.offsets[other] + needs[other].bytes});
    }
    std::sort(taken.begin(), taken.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    const int64_t offset = TightestGap(taken, needs[buffer].bytes, alignment);
    layout.offsets[buffer] = offset;
    layout.total_bytes =
        std::max(layout.total_bytes, RoundUp(offset + needs[buffer].bytes, alignment));
    placed.push_back(buffer);
  }
  return layout;
}

}  // namespace

MemoryLayout PlanBuffers(const std::vector<BufferNeed>& needs, int64_t alignment) {
  std::vector<int> by_size(needs.size());
  std::iota(by_size.begin(), by_size.end(), 0);
  std::vector<int> by_life = by_size;
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](int a, int b) { return needs[a].bytes > needs[b].bytes; });
  const auto life = [&](int buffer) { return needs[buffer].last_step - needs[buffer].first_step; };
  std::stable_sort(by_life.begin(), by_life.end(), [&](int a, int b) {
    return life(a) != life(b) ? life(a) > life(b) : needs[a].bytes > needs[b].bytes;
  });

  MemoryLayout best = PlaceInOrder(needs, by_size, alignment);
  MemoryLayout other = PlaceInOrder(needs, by_life, alignment);
  return other.total_bytes < best.total_bytes ? other : best;
}

}  // namespace mico
