#include "quant/calibration.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/quantized_graph.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using testing::ParseNetwork;

// Statistics of the given values, counted as calibration counts them.
TensorStatistics StatisticsOf(const std::vector<double>& values) {
  TensorStatistics statistics;
  for (const double x : values) {
    statistics.least = std::min(statistics.least, x);
    statistics.most = std::max(statistics.most, x);
  }
  const double width = statistics.most_magnitude() / TensorStatistics::kBins;
  for (const double x : values) {
    const int bin =
        width == 0 ? 0
                   : std::min(static_cast<int>(std::abs(x) / width), TensorStatistics::kBins - 1);
    ++(x < 0 ? statistics.negative : statistics.positive)[bin];
  }
  return statistics;
}

std::vector<double> GaussianValues(int count, double deviation, uint64_t seed) {
  Random random(seed);
  std::vector<double> values(count);
  for (double& x : values) x = deviation * random.Gaussian();
  return values;
}

double SquaredError(const std::vector<double>& values, double scale, TensorType type) {
  double error = 0;
  for (const double x : values) {
    const double difference = x - scale * QuantizeInput(x, scale, type);
    error += difference * difference;
  }
  return error;
}

TEST(ChooseScaleTest, IsAsGoodAsAnyThresholdOnTheValuesThemselves) {
  const std::vector<double> values = GaussianValues(20'000, 3.0, 1);
  const TensorStatistics statistics = StatisticsOf(values);
  for (int bits = 2; bits <= 8; ++bits) {
    const TensorType type{bits, true};
    const double chosen = SquaredError(values, ChooseScale(statistics, bits, true), type);
    for (double part = 0.05; part <= 1.0; part += 0.01) {
      const double scale = part * statistics.most_magnitude() / type.highest();
      // Bins are 1/2048 of the range wide: the error is known to a few parts in a thousand; at
      // 8 bits a step has only 16 bins.
      EXPECT_LE(chosen, 1.01 * SquaredError(values, scale, type)) << bits << " bits, " << part;
    }
  }
}

TEST(ChooseScaleTest, ClipsRareLargeValuesAtFewBitsOnly) {
  std::vector<double> values = GaussianValues(20'000, 0.1, 2);
  values.push_back(1.0);
  const TensorStatistics statistics = StatisticsOf(values);
  EXPECT_LT(ChooseScale(statistics, 3, true) * 3, 0.5);
  EXPECT_GT(ChooseScale(statistics, 8, true) * 127, 0.5);
}

TEST(ChooseScaleTest, KeepsTheWholeRangeOfTwoValues) {
  // Both values are on the grid only if nothing is clipped.
  const TensorStatistics statistics = StatisticsOf({0.0, 1.0});
  // 1.0 is counted in the last bin, whose centre is 2047.5 / 2048.
  EXPECT_NEAR(ChooseScale(statistics, 1, false), 1.0, 0.01);
  EXPECT_NEAR(ChooseScale(statistics, 2, true), 1.0, 0.01);
}

TEST(ChooseScaleTest, GivesAnAllZeroTensorAGridOfOne) {
  EXPECT_EQ(ChooseScale(TensorStatistics{}, 4, false), 1.0 / 15);
  EXPECT_EQ(ChooseScale(StatisticsOf({0, 0, 0}), 4, true), 1.0 / 7);
}

TEST(ChooseScaleTest, ErrorShrinksWithBits) {
  for (const bool is_signed : {false, true}) {
    std::vector<double> values = GaussianValues(20'000, 1.0, 3);
    if (!is_signed) {
      for (double& x : values) x = std::max(x, 0.0);
    }
    const TensorStatistics statistics = StatisticsOf(values);
    double previous = std::numeric_limits<double>::infinity();
    for (int bits = is_signed ? 2 : 1; bits <= 8; ++bits) {
      const double error =
          SquaredError(values, ChooseScale(statistics, bits, is_signed), {bits, is_signed});
      EXPECT_LT(error, previous / 2) << bits;
      previous = error;
    }
  }
}

TEST(MakeCalibrationTest, UnitesTheProducersOfAGroup) {
  const Graph graph = ParseNetwork(R"(
    input x 2x1x1
    a = Conv(x) out=2
    b = Conv(x) out=2
    c = Concat(a, b)
    d = Conv(c) out=1
    output d)");
  std::vector<TensorStatistics> statistics(graph.values.size());
  statistics[0] = StatisticsOf({0.25, 0.5});
  statistics[1] = StatisticsOf({-4.0, 1.0});
  statistics[2] = StatisticsOf({0.5, 1.0, 1.5});
  statistics[4] = StatisticsOf({-2.0});
  // What the moved values show is not read.
  statistics[3] = StatisticsOf({1000.0});

  const auto calibration = MakeCalibration(graph, true, statistics);

  ASSERT_TRUE(calibration.ok()) << calibration.status();
  ASSERT_EQ(calibration->groups.size(), 3u);
  EXPECT_EQ(calibration->groups[0].magnitude, 0.5);
  EXPECT_EQ(calibration->groups[1].magnitude, 4.0);
  // The same as if one tensor had shown all values, up to the width of a bin.
  const TensorStatistics together = StatisticsOf({-4.0, 1.0, 0.5, 1.0, 1.5});
  EXPECT_NEAR(calibration->groups[1].by_bits[6], ChooseScale(together, 6, true), 0.01);
  EXPECT_GT(calibration->groups[0].by_bits[1], 0.0);
  EXPECT_EQ(calibration->groups[1].by_bits[1], 0.0);
  EXPECT_DOUBLE_EQ(calibration->groups[2].output_scale, 1.5 * 2.0 / 32767);
}

TEST(MakeCalibrationTest, RefusesStatisticsThatCannotBe) {
  const Graph graph = ParseNetwork("input x 2x1x1\na = Conv(x) out=2\noutput a");
  const auto refusal = [&](bool non_negative, auto change) {
    std::vector<TensorStatistics> statistics(2, StatisticsOf({0.5, 1.0}));
    change(statistics);
    return std::string(MakeCalibration(graph, non_negative, statistics).status().message());
  };
  EXPECT_THAT(refusal(true, [](auto& s) { s.pop_back(); }), HasSubstr("1 values"));
  EXPECT_THAT(refusal(true, [](auto& s) { s[0].least = -1; }), HasSubstr("'x'"));
  EXPECT_THAT(refusal(false, [](auto& s) { s[1].most = std::nan(""); }), HasSubstr("'a'"));
  EXPECT_THAT(refusal(false, [](auto& s) { s[1].least = 2.0; }), HasSubstr("in order"));
  EXPECT_THAT(refusal(false, [](auto& s) { s[1].positive[7] = -1; }), HasSubstr("bin 7"));
  EXPECT_THAT(refusal(false, [](auto& s) { s[0].channel_means = {1.0}; }), HasSubstr("1 means"));
  EXPECT_THAT(refusal(false,
                      [](auto& s) {
                        s[0].channel_means = {1.0, std::nan("")};
                      }),
              HasSubstr("finite"));
  EXPECT_EQ(refusal(true, [](auto&) {}), "");
}

Calibration SomeCalibration() {
  return testing::Calibrate(testing::RandomWeights(R"(
    input x 2x3x3
    a = Conv(x) k=2x2 out=3 relu
    b = Conv(a) out=2
    output b)",
                                                   5),
                            true, 1);
}

TEST(CalibrationFormatTest, ReadsWhatItWrites) {
  const std::string bytes = Serialize(SomeCalibration());
  const auto parsed = ParseCalibration(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(Serialize(*parsed), bytes);
  EXPECT_EQ(parsed->input_means, SomeCalibration().input_means);
  EXPECT_EQ(bytes.size(), 8u + 1 + 8 + 3 * 80 + 8 + (8 + 2 * 8) + (8 + 3 * 8));
}

TEST(CalibrationFormatTest, ReadsTheDocumentedExample) {
  const std::string bytes = testing::DocumentedExample("calibration.md");
  const auto parsed = ParseCalibration(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->input_non_negative);
  ASSERT_EQ(parsed->groups.size(), 1u);
  EXPECT_EQ(parsed->groups[0].magnitude, 255.0);
  for (int bits = 1; bits <= 8; ++bits) {
    EXPECT_EQ(parsed->groups[0].by_bits[bits], 255.0 / ((1 << bits) - 1));
  }
  EXPECT_EQ(parsed->groups[0].output_scale, 0.5);
  EXPECT_EQ(parsed->input_means, (std::vector<std::vector<double>>{{0.25, 1.5}}));
  EXPECT_EQ(Serialize(*parsed), bytes);
}

TEST(CalibrationFormatTest, RefusesEveryCutAndEveryAppendedByte) {
  const std::string bytes = Serialize(SomeCalibration());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseCalibration(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseCalibration(bytes + '\0').ok());
}

TEST(CalibrationFormatTest, RefusesTheVersionWithoutMeansByName) {
  std::string bytes = Serialize(SomeCalibration());
  bytes[7] = '1';
  EXPECT_THAT(std::string(ParseCalibration(bytes).status().message()),
              HasSubstr("version 1; this program reads version 2"));
}

TEST(CalibrationFormatTest, RefusesMeansThatAreNotFinite) {
  for (const double mean : {std::nan(""), -std::numeric_limits<double>::infinity()}) {
    Calibration calibration = SomeCalibration();
    calibration.input_means[1][2] = mean;
    EXPECT_FALSE(ParseCalibration(Serialize(calibration)).ok()) << mean;
  }
}

TEST(CalibrationFormatTest, RefusesScalesThatAreNotPositive) {
  for (const double scale : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    Calibration calibration = SomeCalibration();
    calibration.groups[1].by_bits[5] = scale;
    EXPECT_FALSE(ParseCalibration(Serialize(calibration)).ok()) << scale;
  }
}

}  // namespace
}  // namespace mico
