#include "client/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace mico {
namespace {

using ::testing::HasSubstr;

TEST(ParseLatencyLimitTest, UnderstandsSharesTimesAndCounts) {
  EXPECT_DOUBLE_EQ(ParseLatencyLimit("0.6x")->relative(), 0.6);
  EXPECT_DOUBLE_EQ(ParseLatencyLimit("12ms")->absolute_seconds(), 0.012);
  EXPECT_DOUBLE_EQ(ParseLatencyLimit("800us")->absolute_seconds(), 0.0008);
  EXPECT_DOUBLE_EQ(ParseLatencyLimit("1.5s")->absolute_seconds(), 1.5);
  EXPECT_DOUBLE_EQ(ParseLatencyLimit("1500000")->absolute(), 1.5e6);
}

TEST(ParseLatencyLimitTest, RefusesWhatIsNoPositiveQuantity) {
  for (const char* text : {"", "x", "ms", "-1ms", "0x", "0", "nan", "inf", "1e999x", "12 ms",
                           "12min", "0.6xx", " 1", "64KiB"}) {
    const absl::StatusOr<v1::Limit> limit = ParseLatencyLimit(text);
    EXPECT_EQ(limit.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseBytesLimitTest, TellsBinaryFromDecimalUnits) {
  EXPECT_DOUBLE_EQ(ParseBytesLimit("max-ram", "64KiB")->absolute(), 65536.0);
  EXPECT_DOUBLE_EQ(ParseBytesLimit("max-ram", "96KB")->absolute(), 96000.0);
  EXPECT_DOUBLE_EQ(ParseBytesLimit("max-ram", "1MiB")->absolute(), 1048576.0);
  EXPECT_DOUBLE_EQ(ParseBytesLimit("max-ram", "65536")->absolute(), 65536.0);
  EXPECT_DOUBLE_EQ(ParseBytesLimit("max-ram", "0.5x")->relative(), 0.5);
}

TEST(ParseBytesLimitTest, AnErrorNamesTheOptionWhatWasFoundAndWhatIsNeeded) {
  const absl::StatusOr<v1::Limit> limit = ParseBytesLimit("max-flash", "64 kilos");

  EXPECT_THAT(std::string(limit.status().message()), HasSubstr("max-flash: '64 kilos'; needed: "));
}

TEST(ParseLimitTest, NothingIsTakenThatTheServerWouldRefuse) {
  for (const char* text :
       {"12 parsecs", "12parsecs", "-1KiB", "0", "1e16", "1e308MB", "1e400", "nan", "inf",
        "infinity", "1e10MiB", "0x10", "1,5KiB", "1.5.5", "", " 12", "12 ", "\x1b[2J", "x"}) {
    EXPECT_EQ(ParseBytesLimit("max-ram", text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  for (const char* text : {"12 parsecs", "-1ms", "0s", "1e16", "nan", "infs", "1h", "ms"}) {
    EXPECT_EQ(ParseLatencyLimit(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ParseAccuracyLimitTest, UnderstandsPercentSharesAndRelatives) {
  EXPECT_DOUBLE_EQ(ParseAccuracyLimit("90%")->absolute(), 0.9);
  EXPECT_DOUBLE_EQ(ParseAccuracyLimit("0.9")->absolute(), 0.9);
  EXPECT_DOUBLE_EQ(ParseAccuracyLimit("0.98x")->relative(), 0.98);
}

TEST(ParseAccuracyLimitTest, RefusesMoreThanEverything) {
  EXPECT_FALSE(ParseAccuracyLimit("101%").ok());
  EXPECT_FALSE(ParseAccuracyLimit("90").ok());
}

TEST(ParseErrorLimitTest, UnderstandsNumbersAndRelatives) {
  EXPECT_DOUBLE_EQ(ParseErrorLimit("0.012")->absolute(), 0.012);
  EXPECT_DOUBLE_EQ(ParseErrorLimit("17")->absolute(), 17.0);
  EXPECT_DOUBLE_EQ(ParseErrorLimit("1.05x")->relative(), 1.05);
  for (const char* other : {"5%", "-1", "0", "nan", "x", ""}) {
    EXPECT_FALSE(ParseErrorLimit(other).ok()) << other;
  }
}

TEST(ParseAmountTest, IsANumberAboveNothingAndNothingElse) {
  EXPECT_DOUBLE_EQ(ParseAmount("qat-epochs", "20").value(), 20.0);
  EXPECT_DOUBLE_EQ(ParseAmount("qat-epochs", "0.5").value(), 0.5);
  for (const char* other : {"0", "-1", "nan", "inf", "20 epochs", "x", ""}) {
    EXPECT_EQ(ParseAmount("qat-epochs", other).status().message(),
              "qat-epochs: '" + std::string(other) + "'; needed: a number above 0, like 20 or 0.5");
  }
}

TEST(ParseWholeNumberTest, IsDecimalAndNothingElse) {
  EXPECT_EQ(ParseWholeNumber<int64_t>("010"), 10);
  EXPECT_EQ(ParseWholeNumber<int64_t>("-7"), -7);
  EXPECT_EQ(ParseWholeNumber<uint64_t>("18446744073709551615"),
            std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(ParseWholeNumber<uint64_t>("-1"), std::nullopt);
  EXPECT_EQ(ParseWholeNumber<uint64_t>("18446744073709551616"), std::nullopt);
  EXPECT_EQ(ParseWholeNumber<int64_t>("0x10"), std::nullopt);
  EXPECT_EQ(ParseWholeNumber<int64_t>("64.5"), std::nullopt);
  EXPECT_EQ(ParseWholeNumber<int64_t>(""), std::nullopt);
}

TEST(FormatTest, BytesTakeTheUnitThatReadsWell) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(12595), "12.3 KiB");
  EXPECT_EQ(FormatBytes(1258291), "1.20 MiB");
}

TEST(FormatTest, CountsHaveACommaEveryThreeDigits) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-123456), "-123,456");
}

TEST(FormatTest, TimesAreRoundedToWhatMatters) {
  EXPECT_EQ(FormatSeconds(0.2), "0s");
  EXPECT_EQ(FormatSeconds(200), "3m 20s");
  EXPECT_EQ(FormatSeconds(3900), "1h 05m");
  EXPECT_EQ(FormatSeconds(2 * 86400 + 3 * 3600), "2d 03h");
}

TEST(FormatTest, AnEstimateThatIsNoNumberIsStillPrinted) {
  EXPECT_EQ(FormatSeconds(std::numeric_limits<double>::quiet_NaN()), "0s");
  EXPECT_EQ(FormatSeconds(-5.0), "0s");
  EXPECT_EQ(FormatSeconds(std::numeric_limits<double>::infinity()), FormatSeconds(3.2e9));
}

}  // namespace
}  // namespace mico
