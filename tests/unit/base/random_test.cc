#include "base/random.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(RandomTest, EqualSeedsGiveEqualSequences) {
  Random a(42), b(42), c(43);
  const uint64_t first = a.Next();
  EXPECT_EQ(first, b.Next());
  EXPECT_NE(first, c.Next());
}

TEST(RandomTest, BelowReachesEveryValueAndNoOther) {
  Random random(1);
  int seen[5] = {};
  for (int i = 0; i < 1000; ++i) ++seen[random.Below(5)];
  for (const int count : seen) EXPECT_GT(count, 100);
}

TEST(RandomTest, GaussianHasMeanZeroAndDeviationOne) {
  Random random(7);
  double sum = 0.0, squares = 0.0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.Gaussian();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.03);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.05);
}

}  // namespace
}  // namespace mico
