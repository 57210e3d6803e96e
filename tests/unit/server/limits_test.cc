#include "server/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/server.h"

namespace mico {
namespace {

using testing::HasSubstr;
using Kind = RequestedLimit::Kind;

// Two layers; every bit costs something.
SearchSpace BitCountingSpace() {
  SearchSpace space;
  space.weight_bits = {{8, 4, 1}, {8, 4, 1}};
  space.input_bits = {{8}, {8, 4}};
  space.cost = [](const BitScheme& scheme) -> absl::StatusOr<Cost> {
    Cost cost;
    for (const LayerBits& layer : scheme.layers()) {
      cost.latency_cycles += 100 * layer.weight_bits + 10 * layer.input_bits;
      cost.peak_ram_bytes += 1000 * layer.input_bits;
      cost.flash_bytes += 10'240 * layer.weight_bits;
    }
    return cost;
  };
  return space;
}

TEST(ResolveLimits, RelativeOnesNeedTheirReference) {
  RequestedLimits requested;
  requested.max_latency = {Kind::kRelative, 0.6};
  requested.max_ram = {Kind::kAbsolute, 1024.9};
  const Limits before = ResolveLimits(requested, Target{}, Reference{});
  EXPECT_FALSE(before.max_latency_cycles);
  EXPECT_EQ(before.max_ram_bytes, 1024);

  Reference reference;
  reference.latency_cycles = 1000;
  EXPECT_EQ(ResolveLimits(requested, Target{}, reference).max_latency_cycles, 600);
}

TEST(ResolveLimits, SecondsBecomeCountsByTheClock) {
  RequestedLimits requested;
  requested.max_latency = {Kind::kSeconds, 0.012};
  Target target;
  target.clock_hz = 80'000'000;
  EXPECT_EQ(ResolveLimits(requested, target, Reference{}).max_latency_cycles, 960'000);
}

TEST(ResolveLimits, TheTargetsMemoryIsALimit) {
  RequestedLimits requested;
  requested.max_flash = {Kind::kAbsolute, 1'000'000};
  Target target;
  target.flash_bytes = 65'536;
  EXPECT_EQ(ResolveLimits(requested, target, Reference{}).max_flash_bytes, 65'536);
}

TEST(ResolveLimits, AccuracyIsAbsoluteOrAShareOfTheReferences) {
  RequestedLimits requested;
  requested.min_accuracy = {Kind::kRelative, 0.9};
  EXPECT_FALSE(ResolveLimits(requested, Target{}, Reference{}).min_accuracy);
  Reference reference;
  reference.value = 0.5;
  EXPECT_DOUBLE_EQ(*ResolveLimits(requested, Target{}, reference).min_accuracy, 0.45);
}

TEST(ResolveLimits, AnErrorMayBeAMultipleOfTheReferences) {
  RequestedLimits requested;
  requested.max_error = {Kind::kRelative, 1.25};
  EXPECT_TRUE(NeedsReferenceValue(requested));
  EXPECT_FALSE(ResolveLimits(requested, Target{}, Reference{}).max_error);
  Reference reference;
  reference.value = 0.5;
  EXPECT_DOUBLE_EQ(*ResolveLimits(requested, Target{}, reference).max_error, 0.625);
  requested.max_error = {Kind::kAbsolute, 3.0};
  EXPECT_FALSE(NeedsReferenceValue(requested));
  EXPECT_DOUBLE_EQ(*ResolveLimits(requested, Target{}, Reference{}).max_error, 3.0);
}

TEST(DescribeViolations, NamesTheMetricAndBothValues) {
  Trial trial;
  trial.val = MseScore(std::vector<double>{0.25, 0.75});
  Limits limits;
  limits.max_error = 0.4;
  EXPECT_EQ(DescribeViolations(trial, limits), "mse 0.5 (at most 0.4)");
  EXPECT_DOUBLE_EQ(Violation(trial, limits), 0.25);
  limits = {};
  limits.min_accuracy = 0.95;
  trial.val = CountScore(Metric::kTop1, 9, 10);
  EXPECT_EQ(DescribeViolations(trial, limits), "accuracy 90.00 % (at least 95.00 %)");
  trial.val = CountScore(Metric::kTop5, 9, 10);
  EXPECT_EQ(DescribeViolations(trial, limits), "top5 90.00 % (at least 95.00 %)");
}

TEST(CheckFloors, SaysTheFloorAndTheWidthsThatReachIt) {
  const SearchSpace space = BitCountingSpace();
  Limits limits;
  limits.max_flash_bytes = 10'240;
  const absl::Status status = CheckFloors(space, limits, Target{});
  EXPECT_EQ(status.message(),
            "flash: at least 20.0 KiB with every weight at 1 bit; asked: 10.0 KiB");
  limits.max_flash_bytes = 20'480;
  EXPECT_TRUE(CheckFloors(space, limits, Target{}).ok());
}

TEST(CheckFloors, EveryLimitThatCannotBeMetHasItsLine) {
  Limits limits;
  limits.max_flash_bytes = 1024;
  limits.max_ram_bytes = 11'999;
  EXPECT_EQ(CheckFloors(BitCountingSpace(), limits, Target{}).message(),
            "2 limits cannot be met:\n"
            "  flash: at least 20.0 KiB with every weight at 1 bit; asked: 1024 bytes\n"
            // 11.7 KiB, both of them.
            "  RAM: at least 12000 bytes with weights of 88 and inputs of 84 bits; asked: 11999 "
            "bytes");
}

TEST(CheckFloors, ALimitOfTheTargetIsNotSaidToBeAskedFor) {
  Target target;
  target.name = "tiny";
  target.flash_bytes = 1024;
  const Limits limits = ResolveLimits(RequestedLimits{}, target, Reference{});
  EXPECT_THAT(std::string(CheckFloors(BitCountingSpace(), limits, target).message()),
              HasSubstr("; target 'tiny' has: 1024 bytes"));
}

TEST(WarnAboutSeconds, OnlyWhereInstructionsAreCounted) {
  RequestedLimits requested;
  requested.max_latency = {Kind::kSeconds, 0.012};
  Target target;
  target.name = "emulated";
  target.clock_hz = 80'000'000;
  EXPECT_FALSE(WarnAboutSeconds(requested, target));
  target.counts = CounterKind::kInstructions;
  EXPECT_EQ(WarnAboutSeconds(requested, target),
            "max-latency: 12 ms is taken as 960000 instructions, one a cycle at 80 MHz: target "
            "'emulated' counts instructions, not time");
  requested.max_latency = {Kind::kRelative, 0.7};
  EXPECT_FALSE(WarnAboutSeconds(requested, target));
}

TEST(CheckFloors, LatencyIsInTheTargetsUnit) {
  Limits limits;
  limits.max_latency_cycles = 1;
  Target target;
  target.counts = CounterKind::kInstructions;
  EXPECT_THAT(std::string(CheckFloors(BitCountingSpace(), limits, target).message()),
              HasSubstr("latency: at least 320 instructions"));
}

TEST(CheckLoopback, OtherAddressesAreRefused) {
  EXPECT_TRUE(CheckLoopback("127.0.0.1:50051").ok());
  EXPECT_TRUE(CheckLoopback("localhost:0").ok());
  EXPECT_TRUE(CheckLoopback("[::1]:0").ok());
  for (const char* other : {"0.0.0.0:50051", "192.168.1.2:1", "[::]:1", "127.evil.com:1", "host"}) {
    EXPECT_FALSE(CheckLoopback(other).ok()) << other;
  }
}

TEST(CheckLoopback, APortIsANumberThatPortsCanHave) {
  EXPECT_TRUE(CheckLoopback("127.0.0.1:65535").ok());
  for (const char* other : {"127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:-1", "localhost:http"}) {
    EXPECT_THAT(std::string(CheckLoopback(other).message()), HasSubstr("a number from 0")) << other;
  }
}

}  // namespace
}  // namespace mico
