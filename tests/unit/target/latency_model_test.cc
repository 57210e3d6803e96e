#include "target/latency_model.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

LatencyTable SmallTable() {
  LatencyTable table;
  table.profile_key = "key";
  table.steps = {{"conv a", {1000, 0}}, {"conv b", {500, 2}}};
  table.kernel_code_bytes = {{"mico_conv", 300}, {"mico_add", 50}};
  table.base_flash_bytes = 2000;
  table.step_code_bytes = 40;
  table.run_overhead = 7;
  return table;
}

ProgramWork TwoEqualSteps() {
  ProgramWork work;
  work.steps = {{"first", "conv a", "mico_conv"}, {"second", "conv a", "mico_conv"}};
  work.kernels = {"mico_conv"};
  work.peak_ram_bytes = 4096;
  work.constant_bytes = 10'000;
  return work;
}

TEST(ProfiledLatencyTest, LatencyIsTheSumOfTheStepsAndTheOverheadOfARun) {
  const absl::StatusOr<Cost> cost = ProfiledLatency(SmallTable()).Predict(TwoEqualSteps());

  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_EQ(cost->latency_cycles, 1000 + 1000 + 7);
}

TEST(ProfiledLatencyTest, FlashCountsEveryStepButEachKernelOnce) {
  ProgramWork work = TwoEqualSteps();
  work.kernels = {"mico_add", "mico_conv", "mico_conv"};

  const absl::StatusOr<Cost> cost = ProfiledLatency(SmallTable()).Predict(work);

  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_EQ(cost->flash_bytes, 2000 + 10'000 + 300 + 50 + 2 * 40);
}

TEST(ProfiledLatencyTest, RamIsWhatThePlannerLaidOut) {
  EXPECT_EQ(ProfiledLatency(SmallTable()).Predict(TwoEqualSteps())->peak_ram_bytes, 4096);
}

TEST(ProfiledLatencyTest, AnUnmeasuredStepIsNotFoundByLayerAndSignature) {
  ProgramWork work = TwoEqualSteps();
  work.steps[1].signature = "conv c";

  const absl::Status status = ProfiledLatency(SmallTable()).Predict(work).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer 'second'"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("'conv c'"));
}

TEST(ProfiledLatencyTest, AKernelOfUnknownSizeIsNotFoundByName) {
  ProgramWork work = TwoEqualSteps();
  work.kernels = {"mico_pool"};

  const absl::Status status = ProfiledLatency(SmallTable()).Predict(work).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("mico_pool"));
}

TEST(LatencyTableTest, WhatIsWrittenIsReadBack) {
  const absl::StatusOr<LatencyTable> parsed = ParseLatencyTable(Serialize(SmallTable()));

  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, SmallTable());
}

TEST(LatencyTableTest, MergingAddsWhatIsNewAndReplacesWhatIsKnown) {
  LatencyTable newer;
  newer.profile_key = "key";
  newer.steps = {{"conv b", {490, 1}}, {"conv c", {9, 0}}};
  newer.kernel_code_bytes = {{"mico_conv", 310}};

  LatencyTable table = SmallTable();
  table.Merge(newer);

  EXPECT_EQ(table.steps["conv a"], (Measurement{1000, 0}));
  EXPECT_EQ(table.steps["conv b"], (Measurement{490, 1}));
  EXPECT_EQ(table.steps["conv c"], (Measurement{9, 0}));
  EXPECT_EQ(table.kernel_code_bytes["mico_conv"], 310);
  EXPECT_EQ(table.kernel_code_bytes["mico_add"], 50);
  EXPECT_EQ(table.base_flash_bytes, 2000);
}

struct BadTable {
  const char* text;
  const char* named;
};

class BadTableTest : public ::testing::TestWithParam<BadTable> {};

TEST_P(BadTableTest, IsRefusedByTheNameOfItsFault) {
  const absl::Status status = ParseLatencyTable(GetParam().text).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().named));
}

#define HEAD R"({"format":"mico-latency-table-1","profile_key":"k",)"
#define TAIL R"("base_flash_bytes":1,"step_code_bytes":1,"run_overhead":1})"

INSTANTIATE_TEST_SUITE_P(
    All, BadTableTest,
    ::testing::Values(
        BadTable{"", "not JSON"}, BadTable{"[]", "an object"},
        BadTable{R"({"format":"other"})", "mico-latency-table-1"},
        BadTable{HEAD R"("kernel_code_bytes":{},)" TAIL, "steps"},
        BadTable{HEAD R"("steps":{"a":[1]},"kernel_code_bytes":{},)" TAIL, "steps['a']"},
        BadTable{HEAD R"("steps":{"a":[-1,0]},"kernel_code_bytes":{},)" TAIL, "steps['a']"},
        BadTable{HEAD R"("steps":{"a":[1.5,0]},"kernel_code_bytes":{},)" TAIL, "an integer"},
        BadTable{HEAD R"("steps":{},"kernel_code_bytes":{"k":18446744073709551615},)" TAIL,
                 "kernel_code_bytes['k']"},
        BadTable{HEAD R"("steps":{},"extra":1,"kernel_code_bytes":{},)" TAIL, "'extra'"}));

}  // namespace
}  // namespace mico
