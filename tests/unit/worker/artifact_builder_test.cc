#include "worker/artifact_builder.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "codegen/program_plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/paths.h"
#include "tests/support/random_dataset.h"
#include "tests/support/small_disk.h"
#include "tests/unit/quant/quant_testing.h"
#include "worker/profiler.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

constexpr char kNetwork[] = R"(
input x 3x12x12
conv1 = Conv(x) k=3x3 s=1x1 p=1,1,1,1 out=16 relu
conv2 = Conv(conv1) k=3x3 s=1x1 p=1,1,1,1 out=16 relu
sum = Add(conv2, conv1) relu
conv3 = Conv(sum) k=3x3 s=2x2 p=1,1,1,1 out=32 relu
pool = AveragePool(conv3) k=6x6
fc = Conv(pool) k=1x1 out=10
output fc
)";

std::unique_ptr<Workbench> OpenWorkbench(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Workbench>> workbench =
      Workbench::Open(std::string(kSourceFolder) + "/target/catalogue/" + name + ".yaml");
  EXPECT_TRUE(workbench.ok()) << workbench.status();
  return workbench.ok() ? *std::move(workbench) : nullptr;
}

// A residual network of mixed widths, quantized, and random data for it.
class ArtifactBuilderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    package_ = testing::RandomWeights(kNetwork, 7);
    task_.scheme = testing::ParseScheme("w8a8,w4a8,w2a4,w8a8");
    model_ = testing::MustQuantize(package_, /*input_non_negative=*/false, task_.scheme);
    dataset_ = RandomDataset(package_.graph.values[package_.graph.input].shape, 1);
    task_.model = package_.digest;
    task_.quantized = DigestOf(model_);
    task_.dataset = Digest::Of("data");
    task_.val = CountScore(Metric::kTop1, 90, 100);
    task_.predicted = {1000, 2000, 3000};
  }

  absl::StatusOr<BuiltArtifact> TryBuild(const Workbench& workbench) {
    return BuildArtifact({task_, package_, model_, dataset_, "1.2.3"}, workbench, {});
  }
  BuiltArtifact Build(const Workbench& workbench) {
    absl::StatusOr<BuiltArtifact> built = TryBuild(workbench);
    EXPECT_TRUE(built.ok()) << built.status();
    return built.ok() ? *std::move(built) : BuiltArtifact{};
  }

  ArtifactTask task_;
  ModelPackage package_;
  QuantizedModel model_;
  Dataset dataset_;
};

class ArtifactOnSimulatorTest : public ArtifactBuilderTest,
                                public ::testing::WithParamInterface<const char*> {};

TEST_P(ArtifactOnSimulatorTest, TheSelfTestPassesHereAndThere) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench(GetParam());
  ASSERT_NE(workbench, nullptr);

  const ArtifactResult result = Build(*workbench).result;

  EXPECT_TRUE(result.self_test_host);
  EXPECT_TRUE(result.self_test_board);
  EXPECT_GT(result.measured_count, 0);
}

TEST_P(ArtifactOnSimulatorTest, WhatWasPredictedIsWhatIsMeasured) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench(GetParam());
  ASSERT_NE(workbench, nullptr);
  const absl::StatusOr<ProgramPlan> plan = PlanProgram(model_.graph, workbench->target());
  ASSERT_TRUE(plan.ok()) << plan.status();
  const ProgramWork work = plan->Work(model_.graph);
  std::vector<std::string> signatures;
  for (const StepWork& step : work.steps) signatures.push_back(step.signature);
  absl::StatusOr<LatencyTable> table =
      Profile(*workbench, signatures, {}, [](double) { return true; });
  ASSERT_TRUE(table.ok()) << table.status();
  const absl::StatusOr<Cost> predicted = ProfiledLatency(*std::move(table)).Predict(work);
  ASSERT_TRUE(predicted.ok()) << predicted.status();

  const ArtifactResult measured = Build(*workbench).result;

  const auto near = [](int64_t measured_value, int64_t predicted_value) {
    return std::abs(measured_value - predicted_value) <= measured_value / 20;  // 5 %
  };
  EXPECT_PRED2(near, measured.measured_count, predicted->latency_cycles);
  EXPECT_PRED2(near, measured.measured_flash_bytes, predicted->flash_bytes);
  EXPECT_PRED2(near, measured.measured_ram_bytes, predicted->peak_ram_bytes);
}

INSTANTIATE_TEST_SUITE_P(Simulators, ArtifactOnSimulatorTest,
                         ::testing::Values("rv32imc", "cortex-m4"), [](const auto& info) {
                           return std::string(info.param) == "rv32imc" ? "rv32imc" : "cortex_m4";
                         });

TEST_F(ArtifactBuilderTest, MadeTwiceItIsTheSameBytes) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("rv32imc");
  ASSERT_NE(workbench, nullptr);

  EXPECT_EQ(Build(*workbench).tar, Build(*workbench).tar);
}

TEST_F(ArtifactBuilderTest, ItSaysItsScoresWithTheirIntervals) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("rv32imc");
  ASSERT_NE(workbench, nullptr);
  task_.test = {Metric::kMse, 0, 30, 0.0123456, 0.011, 0.0135};

  const std::string tar = Build(*workbench).tar;

  EXPECT_THAT(tar, HasSubstr("| accuracy, val | 90.00 % (90 of 100; 95 % interval 82.56 % to "
                             "94.48 %) |"));
  EXPECT_THAT(tar,
              HasSubstr("| mse, test | 0.01235 (30 samples; 95 % interval 0.011 to 0.0135) |"));
  EXPECT_THAT(tar, HasSubstr("\"correct\": 90"));
  EXPECT_THAT(tar, HasSubstr("\"metric\": \"mse\""));
}

TEST_F(ArtifactBuilderTest, WithoutABoardItIsTestedHereOnly) {
  absl::StatusOr<TargetFile> file =
      LoadTargetFile(std::string(kSourceFolder) + "/target/catalogue/rv32imc.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  file->board.reset();
  const absl::StatusOr<std::unique_ptr<Workbench>> workbench = Workbench::Open(*std::move(file));
  ASSERT_TRUE(workbench.ok()) << workbench.status();

  const ArtifactResult result = Build(**workbench).result;

  EXPECT_TRUE(result.self_test_host);
  EXPECT_FALSE(result.self_test_board);
  EXPECT_EQ(result.measured_count, 0);
  EXPECT_GT(result.measured_flash_bytes, 0);
}

TEST_F(ArtifactBuilderTest, AFullTemporaryFolderIsSaidAndTheNextBuildPasses) {
  const std::unique_ptr<SmallDisk> disk = SmallDisk::Mount(16 << 20);
  if (disk == nullptr) GTEST_SKIP() << "SKIPPED: this process may not mount a tmpfs";
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("host-c99");
  setenv("TMPDIR", disk->path().c_str(), 1);
  disk->Fill();
  const absl::Status refused = TryBuild(*workbench).status();
  disk->MakeRoom();
  const absl::Status built = TryBuild(*workbench).status();
  unsetenv("TMPDIR");

  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(disk->path().string()));
  EXPECT_TRUE(built.ok()) << built;
}

TEST_F(ArtifactBuilderTest, DataOfAnotherShapeAreRefusedWithBothShapes) {
  const std::unique_ptr<Workbench> workbench = OpenWorkbench("rv32imc");
  ASSERT_NE(workbench, nullptr);
  dataset_ = RandomDataset({1, 28, 28}, 1);

  const absl::Status status = TryBuild(*workbench).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1x28x28"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("3x12x12"));
}

}  // namespace
}  // namespace mico
