// The vector loops give what Requantize and the formula of Add give, on every instruction set that
// this machine has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "quant/requantize.h"
#include "worker/torch/integer_kernels.h"
#include "worker/torch/statistics.h"

namespace mico {
namespace {

constexpr int32_t kMostInFloat = (1 << 24) - 1;

class TorchKernelsTest : public ::testing::TestWithParam<VectorLevel> {
 protected:
  void SetUp() override {
    if (LimitVectorLevel(GetParam()) != GetParam()) GTEST_SKIP() << "this processor has less";
  }
  void TearDown() override { LimitVectorLevel(VectorLevel::kAvx512); }

  // Factors with shifts in [least, most], one per channel.
  std::vector<FixedPointScale> Scales(int64_t channels, int least, int most) {
    std::vector<FixedPointScale> scales(channels);
    for (FixedPointScale& scale : scales) {
      scale.multiplier = static_cast<int32_t>(random_.Between(1 << 30, (int64_t{1} << 31) - 1));
      scale.shift = static_cast<int>(random_.Between(least, most));
    }
    return scales;
  }

  std::vector<int32_t> Integers(int64_t count, int32_t magnitude) {
    std::vector<int32_t> values(count);
    for (int32_t& value : values) {
      // Small and large ones alike, and the ends.
      const int32_t limit = magnitude >> random_.Below(24);
      value = static_cast<int32_t>(random_.Between(-int64_t{limit}, limit));
    }
    values.front() = magnitude;
    values.back() = -magnitude;
    return values;
  }

  void ExpectRequantized(int64_t channels, const std::vector<FixedPointScale>& scales,
                         int32_t lowest, int32_t highest) {
    const int64_t elements = channels * 37;
    const std::vector<int32_t> sums = Integers(elements, kMostInFloat);
    const std::vector<int32_t> bias = Integers(channels, 1 << 30);
    std::vector<float> values(sums.begin(), sums.end());

    RequantizeTable(bias, scales, lowest, highest).Apply(values.data(), elements);

    for (int64_t i = 0; i < elements; ++i) {
      const int32_t exact = Requantize(sums[i] + bias[i % channels], scales[i % channels]);
      ASSERT_EQ(values[i], static_cast<float>(std::clamp(exact, lowest, highest)))
          << "sum " << sums[i] << " bias " << bias[i % channels] << " shift "
          << scales[i % channels].shift;
    }
  }

  Random random_{11};
};

TEST_P(TorchKernelsTest, RequantizesLikeTheContractAtEveryShift) {
  for (const int64_t channels : {1, 3, 10, 16, 33, 64, 100}) {
    ExpectRequantized(channels, Scales(channels, 0, 29), 0, 255);
    ExpectRequantized(channels, Scales(channels, -30, -1), -128, 127);
    ExpectRequantized(channels, Scales(channels, -30, 29), -32768, 32767);
    ExpectRequantized(channels, Scales(channels, -3, 3), 0, 1);
  }
}

TEST_P(TorchKernelsTest, RequantizesSumsInTwoPartsAndInDouble) {
  const int64_t channels = 12, elements = channels * 19;
  const std::vector<int32_t> high = Integers(elements, 1 << 23), low = Integers(elements, 1 << 20);
  const std::vector<int32_t> bias = Integers(channels, 1 << 20);
  const std::vector<FixedPointScale> scales = Scales(channels, -2, 20);
  const std::vector<float> high_values(high.begin(), high.end());
  std::vector<float> in_two_parts(low.begin(), low.end());
  std::vector<double> wide(elements);
  for (int64_t i = 0; i < elements; ++i) wide[i] = 16.0 * high[i] + low[i];
  std::vector<float> in_double(elements);
  const RequantizeTable table(bias, scales, -128, 127);

  table.Apply(high_values.data(), 4, in_two_parts.data(), elements);
  table.Apply(wide.data(), in_double.data(), elements);

  for (int64_t i = 0; i < elements; ++i) {
    const int32_t sum = high[i] * 16 + low[i] + bias[i % channels];
    const int32_t exact = std::clamp(Requantize(sum, scales[i % channels]), -128, 127);
    ASSERT_EQ(in_two_parts[i], static_cast<float>(exact));
    ASSERT_EQ(in_double[i], static_cast<float>(exact));
  }
}

TEST_P(TorchKernelsTest, AddsLikeTheContract) {
  const Shape shape{5, 3, 7};
  const BatchTensor a = BatchTensor::Empty(2, shape), b = BatchTensor::Empty(2, shape);
  for (int64_t i = 0; i < a.elements(); ++i) {
    a.data()[i] = static_cast<float>(random_.Between(-128, 127));
    b.data()[i] = static_cast<float>(random_.Between(0, 255));
  }
  StepNumbers numbers;
  numbers.multiplier_a = 1'234'567;
  numbers.multiplier_b = 3'210'987;
  numbers.shift = 22;
  numbers.lowest = -128;
  numbers.highest = 127;

  const BatchTensor sum = AddIntegers(a, b, numbers);

  for (int64_t i = 0; i < a.elements(); ++i) {
    const auto x = static_cast<int32_t>(a.data()[i]), y = static_cast<int32_t>(b.data()[i]);
    const int32_t exact = (x * 1'234'567 + y * 3'210'987 + (1 << 21)) >> 22;
    ASSERT_EQ(sum.data()[i], static_cast<float>(std::clamp(exact, -128, 127)));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryLevel, TorchKernelsTest,
                         ::testing::Values(VectorLevel::kBase, VectorLevel::kAvx2,
                                           VectorLevel::kAvx512));

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
