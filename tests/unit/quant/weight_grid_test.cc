#include "quant/weight_grid.h"

#include <cmath>
#include <limits>

#include "base/random.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

std::vector<float> GaussianWeights(int count, uint64_t seed) {
  Random random(seed);
  std::vector<float> weights(count);
  for (float& weight : weights) weight = static_cast<float>(random.Gaussian());
  return weights;
}

double SquaredError(const std::vector<float>& weights, double scale, int bits) {
  double error = 0;
  for (const float weight : weights) {
    error += std::pow(weight - scale * QuantizeWeight(weight, scale, bits), 2);
  }
  return error;
}

TEST(ChooseWeightScaleTest, IsAsGoodAsAnyClipRatio) {
  for (int bits = 2; bits <= 8; ++bits) {
    const std::vector<float> weights = GaussianWeights(99, bits);
    float largest = 0;
    for (const float weight : weights) largest = std::max(largest, std::abs(weight));
    const double chosen = SquaredError(weights, ChooseWeightScale(weights, bits), bits);
    for (int step = 0; step < 80; ++step) {
      const double ratio = 0.2 + 0.8 * step / 79;
      const double error = SquaredError(weights, ratio * largest / HighestWeight(bits), bits);
      EXPECT_LE(chosen, error * (1 + 1e-9)) << bits << " bits, ratio " << ratio;
    }
  }
}

TEST(ChooseWeightScaleTest, ErrorShrinksWithBits) {
  const std::vector<float> weights = GaussianWeights(500, 1);
  double previous = std::numeric_limits<double>::infinity();
  for (int bits = 1; bits <= 8; ++bits) {
    const double error = SquaredError(weights, ChooseWeightScale(weights, bits), bits);
    EXPECT_LT(error, previous) << bits;
    previous = error;
  }
}

TEST(ChooseWeightScaleTest, IsTheMeanMagnitudeAtOneBit) {
  EXPECT_DOUBLE_EQ(ChooseWeightScale(std::vector<float>{1, -2, 0, 5}, 1), 2.0);
}

TEST(ChooseWeightScaleTest, IsZeroForWeightsThatAreZero) {
  for (int bits = 1; bits <= 8; ++bits) {
    EXPECT_EQ(ChooseWeightScale(std::vector<float>{0, 0, -0.0f}, bits), 0.0);
  }
}

TEST(QuantizeWeightTest, RoundsHalvesUpOnASymmetricGrid) {
  EXPECT_EQ(QuantizeWeight(0.5f, 1.0, 4), 1);
  EXPECT_EQ(QuantizeWeight(-0.5f, 1.0, 4), 0);
  EXPECT_EQ(QuantizeWeight(-100.0f, 1.0, 4), -7);
  EXPECT_EQ(QuantizeWeight(100.0f, 1.0, 4), 7);
  EXPECT_EQ(QuantizeWeight(-3.0f, 1.0, 2), -1);
  EXPECT_EQ(QuantizeWeight(0.0f, 1.0, 1), 1);
  EXPECT_EQ(QuantizeWeight(-0.001f, 1.0, 1), -1);
}

}  // namespace
}  // namespace mico
