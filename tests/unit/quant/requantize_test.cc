#include "quant/requantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using Wide = __int128;

// The formula of docs/formats/requantization.md in 128 bits, floor by division.
Wide Formula(int32_t accumulator, FixedPointScale scale) {
  Wide product = Wide{accumulator} * scale.multiplier;
  if (scale.shift < 0) product += Wide{1} << (31 + scale.shift);
  const Wide divisor = Wide{1} << (32 + scale.shift);
  const Wide quotient = product / divisor;
  return product % divisor < 0 ? quotient - 1 : quotient;
}

int32_t Saturated(Wide value) {
  return static_cast<int32_t>(std::clamp<Wide>(value, std::numeric_limits<int32_t>::min(),
                                               std::numeric_limits<int32_t>::max()));
}

FixedPointScale RandomScale(Random& random) {
  return {static_cast<int32_t>(random.Between(int64_t{1} << 30, (int64_t{1} << 31) - 1)),
          static_cast<int>(random.Between(-30, 29))};
}

double Factor(FixedPointScale scale) { return std::ldexp(scale.multiplier, -32 - scale.shift); }

TEST(RequantizeTest, EqualsTheFormulaIn128Bits) {
  Random random(1);
  const int32_t extremes[] = {std::numeric_limits<int32_t>::min(), -1, 0, 1,
                              std::numeric_limits<int32_t>::max()};
  for (int i = 0; i < 200'000; ++i) {
    const FixedPointScale scale = RandomScale(random);
    const int magnitude = static_cast<int>(random.Between(0, 31));
    const int32_t accumulator =
        i % 8 == 0 ? extremes[random.Below(5)]
                   : static_cast<int32_t>(
                         random.Between(-(int64_t{1} << magnitude), (int64_t{1} << magnitude) - 1));
    ASSERT_EQ(Requantize(accumulator, scale), Saturated(Formula(accumulator, scale)))
        << accumulator << " * " << scale.multiplier << " shift " << scale.shift;
  }
}

TEST(RequantizeTest, ComputesTheDocumentedExamples) {
  // docs/formats/requantization.md
  const FixedPointScale small = *ToFixedPoint(0.1);
  EXPECT_EQ(small, (FixedPointScale{1717986918, 2}));
  EXPECT_EQ(RoundingTerm(small), 5);
  EXPECT_EQ(Requantize(123 + 5, small), 12);
  EXPECT_EQ(Requantize(-125 + 5, small), -12);
  const FixedPointScale large = *ToFixedPoint(1.5);
  EXPECT_EQ(large, (FixedPointScale{1610612736, -2}));
  EXPECT_EQ(RoundingTerm(large), 0);
  EXPECT_EQ(Requantize(7, large), 11);
  EXPECT_EQ(Requantize(-7, large), -10);
}

TEST(RequantizeTest, StaysWithinOneOfTheRealResult) {
  Random random(2);
  for (int i = 0; i < 100'000; ++i) {
    const FixedPointScale scale = RandomScale(random);
    const double real = static_cast<double>(random.Between(-40'000, 40'000));
    const double accumulator = std::floor(real / Factor(scale));
    if (std::abs(accumulator) > 1e9) continue;
    const int32_t result =
        Requantize(static_cast<int32_t>(accumulator) + RoundingTerm(scale), scale);
    ASSERT_LE(std::abs(result - accumulator * Factor(scale)), 1.0);
  }
}

TEST(RequantizeTest, GivesTheNearestIntegerOutsideTheQuarterToHalfRange) {
  Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    const FixedPointScale scale = RandomScale(random);
    if (scale.shift < -10 || scale.shift == 0 || scale.shift > 20) continue;
    const int32_t accumulator = static_cast<int32_t>(random.Between(-1'000'000, 1'000'000));
    const double exact = accumulator * Factor(scale);
    const int32_t result = Requantize(accumulator + RoundingTerm(scale), scale);
    // The rounding term is itself rounded: half a step of the accumulator's grid.
    const double slack = scale.shift < 0 ? 0.0 : Factor(scale) / 2;
    ASSERT_LE(std::abs(result - exact), 0.5 + slack + 1e-9) << exact;
  }
}

TEST(ToFixedPointTest, IsTheNearestScale) {
  Random random(4);
  for (int i = 0; i < 100'000; ++i) {
    const double factor =
        std::ldexp(1.0 + random.Unit(), static_cast<int>(random.Between(-31, 28)));
    const auto scale = ToFixedPoint(factor);
    ASSERT_TRUE(scale.ok()) << factor;
    ASSERT_GE(scale->multiplier, 1 << 30);
    ASSERT_GE(scale->shift, -30);
    ASSERT_LE(scale->shift, 29);
    const double step = std::ldexp(1.0, -32 - scale->shift);
    ASSERT_LE(std::abs(Factor(*scale) - factor), step / 2 * (1 + 1e-9)) << factor;
  }
}

TEST(ToFixedPointTest, CoversItsRangeAndNothingElse) {
  EXPECT_EQ(*ToFixedPoint(0x1p-31), (FixedPointScale{1 << 30, 29}));
  EXPECT_EQ(*ToFixedPoint(std::nextafter(0x1p29, 0.0)),
            (FixedPointScale{std::numeric_limits<int32_t>::max(), -30}));
  EXPECT_EQ(*ToFixedPoint(std::nextafter(1.0, 0.0)), (FixedPointScale{1 << 30, -2}));
  for (const double factor :
       {0.0, -1.0, std::nextafter(0x1p-31, 0.0), 0x1p29, std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(ToFixedPoint(factor).status().code(), absl::StatusCode::kOutOfRange) << factor;
  }
}

TEST(RoundingTermTest, IsHalfAStepRoundedHalvesUp) {
  EXPECT_EQ(RoundingTerm({1 << 30, 29}), 1 << 30);
  EXPECT_EQ(RoundingTerm({1 << 30, 0}), 2);
  EXPECT_EQ(RoundingTerm({std::numeric_limits<int32_t>::max(), 0}), 1);
  // 2^31 / (2^32 / 3) = 1.5, the multiplier being a little smaller than a third of 2^32.
  EXPECT_EQ(RoundingTerm({1431655765, 0}), 2);
  EXPECT_EQ(RoundingTerm({1431655766, 0}), 1);
  EXPECT_EQ(RoundingTerm({1 << 30, -1}), 0);
}

}  // namespace
}  // namespace mico
