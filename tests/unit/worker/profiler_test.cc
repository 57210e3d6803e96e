#include "worker/profiler.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

bool GoOn(double) { return true; }

std::filesystem::path CatalogueFile(const std::string& name) {
  return std::string(kSourceFolder) + "/target/catalogue/" + name + ".yaml";
}

std::unique_ptr<Workbench> OpenWorkbench(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Workbench>> workbench = Workbench::Open(CatalogueFile(name));
  EXPECT_TRUE(workbench.ok()) << workbench.status();
  return workbench.ok() ? *std::move(workbench) : nullptr;
}

std::string Conv(int weight_bits, int input_bits) {
  return "conv x=8x8x16:u" + std::to_string(input_bits) + " w=s" + std::to_string(weight_bits) +
         " y=8x8x16:u" + std::to_string(input_bits) + " k=3x3 s=1x1 p=1,1,1,1 d=1x1 g=1";
}

LatencyTable ProfileOn(const Workbench& workbench, const std::vector<std::string>& signatures) {
  absl::StatusOr<LatencyTable> table = Profile(workbench, signatures, {}, GoOn);
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? *std::move(table) : LatencyTable{};
}

class ProfilerOnSimulatorTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ProfilerOnSimulatorTest, FewerBitsTakeFewerInstructionsAndNothingVaries) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench(GetParam());
  ASSERT_NE(workbench, nullptr);
  const std::vector<std::string> signatures = {Conv(8, 8), Conv(4, 4), Conv(2, 2)};

  const LatencyTable table = ProfileOn(*workbench, signatures);

  ASSERT_EQ(table.steps.size(), 3);
  for (const auto& [signature, measurement] : table.steps) {
    EXPECT_GT(measurement.count, 8 * 8 * 16) << signature;
    EXPECT_EQ(measurement.spread, 0) << signature;
  }
  EXPECT_LT(table.steps.at(Conv(4, 4)).count, table.steps.at(Conv(8, 8)).count);
  EXPECT_LT(table.steps.at(Conv(2, 2)).count, table.steps.at(Conv(4, 4)).count);
}

TEST_P(ProfilerOnSimulatorTest, ACountDoesNotDependOnItsNeighbours) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench(GetParam());
  ASSERT_NE(workbench, nullptr);

  const LatencyTable alone = ProfileOn(*workbench, {Conv(4, 4)});
  const LatencyTable among = ProfileOn(*workbench, {Conv(8, 8), Conv(4, 4), Conv(2, 4)});

  // Where the linker puts code and data may change an address computation, nothing more.
  const auto count = static_cast<double>(alone.steps.at(Conv(4, 4)).count);
  EXPECT_NEAR(static_cast<double>(among.steps.at(Conv(4, 4)).count), count, 0.001 * count);
}

TEST_P(ProfilerOnSimulatorTest, CodeSizesAreThoseOfAFewFunctions) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench(GetParam());
  ASSERT_NE(workbench, nullptr);

  const LatencyTable table = ProfileOn(*workbench, {Conv(8, 8), Conv(2, 2)});

  ASSERT_EQ(table.kernel_code_bytes.size(), 2);
  for (const auto& [kernel, bytes] : table.kernel_code_bytes) {
    EXPECT_GT(bytes, 200) << kernel;
    EXPECT_LT(bytes, 20'000) << kernel;
  }
  EXPECT_GT(table.base_flash_bytes, 50);
  EXPECT_LT(table.base_flash_bytes, 10'000);
  EXPECT_GT(table.step_code_bytes, 10);
  EXPECT_LT(table.step_code_bytes, 400);
  EXPECT_EQ(table.profile_key, workbench->target().profile_key);
}

INSTANTIATE_TEST_SUITE_P(Simulators, ProfilerOnSimulatorTest,
                         ::testing::Values("rv32imc", "cortex-m4"), [](const auto& info) {
                           return std::string(info.param) == "rv32imc" ? "rv32imc" : "cortex_m4";
                         });

TEST(ProfilerTest, SignaturesThatDoNotFitTogetherAreMeasuredApart) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("cortex-m4");
  ASSERT_NE(workbench, nullptr);
  // 2.3 MiB of weights in each of two kinds: the board's 4 MiB hold one of them.
  const std::vector<std::string> signatures = {
      "conv x=1x1x4608:u8 w=s8 y=1x1x512:u8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=1x1x9216:u8 w=s4 y=1x1x512:u8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1"};

  const LatencyTable table = ProfileOn(*workbench, signatures);

  EXPECT_EQ(table.steps.size(), 2);
}

TEST(ProfilerTest, ASignatureThatDoesNotFitAtAllIsNamed) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("cortex-m4");
  ASSERT_NE(workbench, nullptr);
  const std::vector<std::string> signatures = {
      Conv(8, 8), "conv x=1x1x8192:u8 w=s8 y=1x1x1024:u8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1"};

  const absl::Status status = Profile(*workbench, signatures, {}, GoOn).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("x=1x1x8192:u8"));
}

TEST(ProfilerTest, WithoutABoardThereIsNothingToMeasureOn) {
  absl::StatusOr<TargetFile> file = LoadTargetFile(CatalogueFile("rv32imc"));
  ASSERT_TRUE(file.ok()) << file.status();
  file->board.reset();
  const absl::StatusOr<std::unique_ptr<Workbench>> workbench = Workbench::Open(*std::move(file));
  ASSERT_TRUE(workbench.ok()) << workbench.status();

  const std::vector<std::string> signatures = {Conv(8, 8)};
  EXPECT_EQ(Profile(**workbench, signatures, {}, GoOn).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ProfilerTest, AProfileThatIsNoLongerWantedStops) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("rv32imc");
  ASSERT_NE(workbench, nullptr);

  const std::vector<std::string> signatures = {Conv(8, 8)};
  EXPECT_EQ(Profile(*workbench, signatures, {}, [](double) { return false; }).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(WorkbenchTest, TheProfileKeyChangesWithTheFlagsAndWithHowTheBoardIsRun) {
  const auto key = [](auto change) {
    absl::StatusOr<TargetFile> file = LoadTargetFile(CatalogueFile("rv32imc"));
    change(*file);
    return (*Workbench::Open(*std::move(file)))->target().profile_key;
  };
  const std::string unchanged = key([](TargetFile&) {});

  EXPECT_EQ(key([](TargetFile& file) { file.target.name = "another"; }), unchanged);
  EXPECT_NE(key([](TargetFile& file) { file.toolchain.cflags.push_back("-Os"); }), unchanged);
  EXPECT_NE(key([](TargetFile& file) { file.board->run.push_back("-snapshot"); }), unchanged);
  EXPECT_NE(key([](TargetFile& file) { file.target.isa = "c99"; }), unchanged);
}

// By this a server knows which measurements hold for what such a worker builds.
TEST(WorkbenchTest, WithoutABoardTheProfileKeyIsTheBeginningOfTheOneWith) {
  absl::StatusOr<TargetFile> file = LoadTargetFile(CatalogueFile("rv32imc"));
  ASSERT_TRUE(file.ok());
  const std::string with_board = (*Workbench::Open(*file))->target().profile_key;
  file->board.reset();
  file->target.counts = CounterKind::kCycles;
  EXPECT_THAT(with_board, StartsWith((*Workbench::Open(*file))->target().profile_key + "-"));
}

}  // namespace
}  // namespace mico
