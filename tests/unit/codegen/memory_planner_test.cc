#include "codegen/memory_planner.h"

#include <algorithm>

#include "base/random.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

constexpr int64_t kAlignment = 4;

std::vector<BufferNeed> RandomNeeds(Random& random) {
  std::vector<BufferNeed> needs(random.Between(0, 40));
  for (BufferNeed& need : needs) {
    need.bytes = random.Between(1, 200);
    need.first_step = static_cast<int>(random.Between(0, 20));
    need.last_step = need.first_step + static_cast<int>(random.Between(0, 6));
  }
  return needs;
}

bool Overlap(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes) {
  return a < b + b_bytes && b < a + a_bytes;
}

TEST(MemoryPlannerTest, BuffersThatLiveTogetherDoNotOverlap) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const std::vector<BufferNeed> needs = RandomNeeds(random);
    const MemoryLayout layout = PlanBuffers(needs, kAlignment);
    ASSERT_EQ(layout.offsets.size(), needs.size());
    for (size_t i = 0; i < needs.size(); ++i) {
      EXPECT_EQ(layout.offsets[i] % kAlignment, 0);
      EXPECT_GE(layout.offsets[i], 0);
      EXPECT_LE(layout.offsets[i] + needs[i].bytes, layout.total_bytes);
      for (size_t j = 0; j < i; ++j) {
        if (!needs[i].LivesWith(needs[j])) continue;
        EXPECT_FALSE(Overlap(layout.offsets[i], needs[i].bytes, layout.offsets[j], needs[j].bytes));
      }
    }
  }
}

TEST(MemoryPlannerTest, NeverTakesLessThanTheBusiestStepNorMoreThanEverything) {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    const std::vector<BufferNeed> needs = RandomNeeds(random);
    int64_t everything = 0, busiest = 0;
    for (int step = 0; step <= 26; ++step) {
      int64_t live = 0;
      for (const BufferNeed& need : needs) {
        if (need.first_step <= step && step <= need.last_step) live += need.bytes;
      }
      busiest = std::max(busiest, live);
    }
    for (const BufferNeed& need : needs) everything += (need.bytes + 3) / 4 * 4;
    const int64_t total = PlanBuffers(needs, kAlignment).total_bytes;
    EXPECT_GE(total, busiest);
    EXPECT_LE(total, everything);
  }
}

TEST(MemoryPlannerTest, AChainNeedsTheLargestPairOnly) {
  const std::vector<BufferNeed> chain = {{100, 0, 1}, {60, 1, 2}, {80, 2, 3}, {40, 3, 4}};
  EXPECT_EQ(PlanBuffers(chain, kAlignment).total_bytes, 160);
}

TEST(MemoryPlannerTest, NothingToPlaceTakesNothing) {
  EXPECT_EQ(PlanBuffers({}, kAlignment).total_bytes, 0);
}

}  // namespace
}  // namespace mico
