#include <set>
#include <sstream>

#include "codegen/generate_c.h"
#include "codegen/program_plan.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/generated_project.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico::golden {
namespace {

using ::testing::HasSubstr;

constexpr char kNetwork[] =
    "input x 3x8x8\n"
    "stem = Conv(x) k=3x3 p=1,1,1,1 out=8 relu\n"
    "dw = Conv(stem) k=3x3 p=1,1,1,1 g=8 out=8 relu\n"
    "pw = Conv(dw) k=1x1 out=8\n"
    "sum = Add(pw, stem) relu\n"
    "cut = Slice(sum) start=0,0,0 step=1,2,2 size=8x4x4\n"
    "pad = Pad(cut) c=0,8\n"
    "act = Relu(pad)\n"
    "most = MaxPool(act) k=2x2 s=2x2\n"
    "both = Concat(most, most)\n"
    "mean = AveragePool(both) k=2x2 s=1x1 p=1,1,0,0\n"
    "fc = Conv(mean) k=2x2 out=10\n"
    "output fc\n";

std::vector<std::string> SignaturesOf(const Target& target) {
  const absl::StatusOr<std::vector<std::string>> signatures =
      EnumerateSignatures(testing::ParseNetwork(kNetwork), false, target);
  EXPECT_TRUE(signatures.ok()) << signatures.status();
  return *signatures;
}

std::vector<GeneratedFile> Generate(const std::vector<std::string>& signatures,
                                    const Target& target) {
  absl::StatusOr<std::vector<GeneratedFile>> files = GenerateBenchmark(signatures, target);
  EXPECT_TRUE(files.ok()) << files.status();
  return files.ok() ? *std::move(files) : std::vector<GeneratedFile>();
}

struct Counts {
  int64_t overhead = -1;
  std::vector<int64_t> benches;
};

Counts ReadCounts(const CommandResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.output;
  Counts counts;
  for (const std::string& line : ProtocolLines(result.output)) {
    std::istringstream words(line);
    std::string verb;
    int64_t first = 0, second = 0;
    words >> verb >> first >> second;
    if (verb == "overhead") counts.overhead = first;
    if (verb != "bench") continue;
    EXPECT_EQ(first, static_cast<int64_t>(counts.benches.size()));
    counts.benches.push_back(second);
  }
  return counts;
}

class BenchmarkTest : public ::testing::TestWithParam<const char*> {
 protected:
  const TargetFile target_ = CatalogueTarget(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Targets, BenchmarkTest,
                         ::testing::Values("host-c99", "rv32imc", "cortex-m4"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(BenchmarkTest, MeasuresEverySignature) {
  const std::vector<std::string> signatures = SignaturesOf(target_.target);
  GeneratedProject project(Generate(signatures, target_.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target_));
  const CommandResult result = project.RunOn(target_);
  const Counts counts = ReadCounts(result);
  EXPECT_EQ(ProtocolLines(result.output).back(), fmt::format("end bench {} 0", signatures.size()));
  EXPECT_EQ(counts.benches.size(), signatures.size());
  EXPECT_GE(counts.overhead, 0);
  if (target_.target.counts != CounterKind::kInstructions) return;
  for (size_t i = 0; i < counts.benches.size(); ++i) {
    EXPECT_GT(counts.benches[i], counts.overhead) << signatures[i];
  }
}

TEST_P(BenchmarkTest, ProgramWithNothingToMeasureRuns) {
  GeneratedProject project(Generate({}, target_.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target_));
  EXPECT_EQ(ReadCounts(project.RunOn(target_)).benches.size(), 0u);
}

TEST(BenchmarkFilesTest, AreCleanUnderSanitizers) {
  const Target target = CatalogueTarget("host-c99").target;
  GeneratedProject project(Generate(SignaturesOf(target), target));
  ASSERT_NO_FATAL_FAILURE(
      project.BuildOnHost("clang", "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"));
  EXPECT_EQ(project.RunOn(CatalogueTarget("host-c99")).exit_code, 0);
}

// The sum of what was measured is what a whole network takes: the same calls, other data.
TEST(BenchmarkFilesTest, LayersAddUpToTheNetworksRunOnRv32) {
  const TargetFile target = CatalogueTarget("rv32imc");
  for (const char* scheme : {"w8a8,w8a8,w8a8,w8a8", "w4a8,w4a4,w2a2,w2a4"}) {
    const ModelPackage package = testing::RandomWeights(kNetwork, 5);
    const QuantizedModel model =
        testing::MustQuantize(package, false, testing::ParseScheme(scheme));
    std::vector<std::string> signatures;
    for (const Step& step : model.graph.steps) {
      signatures.push_back(StepSignature(model.graph, step));
    }
    GeneratedProject bench(Generate(signatures, target.target));
    ASSERT_NO_FATAL_FAILURE(bench.BuildFor(target));
    const Counts counts = ReadCounts(bench.RunOn(target));
    int64_t predicted = 0;
    for (const int64_t count : counts.benches) predicted += count - counts.overhead;

    const absl::StatusOr<std::vector<GeneratedFile>> files =
        GenerateC(model, target.target, DescribeForTest(model, scheme, 1));
    ASSERT_TRUE(files.ok()) << files.status();
    GeneratedProject project(*files);
    ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
    int64_t measured = 0;
    for (const std::string& line : ProtocolLines(project.RunOn(target).output)) {
      if (line.starts_with("run ")) measured = std::stoll(line.substr(4));
    }
    // Instructions, not time: 3 % is left for clamps that go the other way and for inlining.
    EXPECT_NEAR(static_cast<double>(predicted), static_cast<double>(measured), 0.03 * measured)
        << scheme;
  }
}

TEST(BenchmarkFilesTest, FunctionsAndKernelsAreSymbolsWithSizes) {
  const TargetFile target = CatalogueTarget("rv32imc");
  const std::vector<std::string> signatures = SignaturesOf(target.target);
  GeneratedProject project(Generate(signatures, target.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
  const std::string symbols = RunCommand("nm -S " + project.Path("program.elf")).output;
  for (size_t i = 0; i < signatures.size(); ++i) {
    EXPECT_THAT(symbols, HasSubstr(fmt::format(" T mico_bench_{}\n", i)));
  }
  const absl::StatusOr<QuantizedGraph> graph = ParseSignature(signatures[0]);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const absl::StatusOr<ProgramPlan> plan = PlanProgram(*graph, target.target);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(symbols, HasSubstr(fmt::format(" T {}\n", plan->steps[0].kernel)));
}

TEST(BenchmarkFilesTest, BadSignatureIsNamed) {
  const std::vector<std::string> signatures = {"conv x=1x1x1:u9"};
  EXPECT_THAT(std::string(GenerateBenchmark(signatures, {}).status().message()),
              HasSubstr("conv x=1x1x1:u9"));
}

}  // namespace
}  // namespace mico::golden
