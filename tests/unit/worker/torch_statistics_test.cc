// What is counted of a tensor's values.
#include "worker/torch/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mico {
namespace {

TEST(StatisticsTest, CountsMagnitudesIntoTheirBins) {
  const std::vector<float> values{0.0f, 1.0f, -2.0f, 1.9999f, -0.0f};
  TensorStatistics statistics;
  statistics.least = -2.0;
  statistics.most = 1.9999f;

  CountInto(statistics, values);

  EXPECT_EQ(statistics.positive[0], 2);
  EXPECT_EQ(statistics.positive[1024], 1);
  EXPECT_EQ(statistics.positive[2047], 1);
  EXPECT_EQ(statistics.negative[2047], 1);
}

TEST(StatisticsTest, TheRangeOfValuesThatAreNotFiniteIsInfinite) {
  std::vector<float> values(40, 1.0f);
  EXPECT_EQ(RangeOfValues(values).most, 1.0f);
  values[33] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isinf(RangeOfValues(values).most));
  values[33] = -3.0f;
  EXPECT_EQ(RangeOfValues(values).least, -3.0f);
}

}  // namespace
}  // namespace mico
