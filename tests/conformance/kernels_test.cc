// Every kernel gives the oracle's bytes on the host, under sanitizers, on RV32 and on a Cortex-M4.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/conformance/kernel_image.h"
#include "tests/conformance/packed_weights.h"
#include "tests/support/paths.h"

namespace mico::conformance {
namespace {

using ::testing::ElementsAre;

struct Run {
  KernelFamily family;
  Machine machine;
};

std::string NameOf(const testing::TestParamInfo<Run>& info) {
  std::string name = info.param.family == KernelFamily::kC99 ? "C99On" : "ReferenceOn";
  for (const char c : info.param.machine.name) {
    if (c != '-') name += c;
  }
  return name;
}

class KernelsTest : public testing::TestWithParam<Run> {
 protected:
  static std::filesystem::path Folder() {
    return std::filesystem::path(kBinaryFolder) / "conformance-images" /
           testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  // What was wrong, with the kernels' names.
  static std::string Failures(const std::vector<KernelCase>& cases, const ImageResult& result) {
    std::string text;
    std::istringstream lines(result.output);
    for (std::string line; std::getline(lines, line);) {
      size_t index = 0;
      if (std::sscanf(line.c_str(), "mico: case %zu", &index) == 1 && index < cases.size()) {
        if (line.find(" ok") == std::string::npos) {
          text += line + "  " + cases[index].ToString() + "\n";
        }
      } else {
        text += line + "\n";
      }
    }
    return text;
  }
};

TEST_P(KernelsTest, WriteTheBytesOfTheOracle) {
  const std::vector<KernelCase> cases = AllCases(GetParam().family);

  const absl::StatusOr<ImageResult> result = RunImage(cases, GetParam().machine, Folder());

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->cases, static_cast<int>(cases.size())) << Failures(cases, *result);
  EXPECT_EQ(result->failed, 0) << Failures(cases, *result);
  EXPECT_EQ(result->exit_code, 0) << Failures(cases, *result);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, KernelsTest,
                         testing::Values(Run{KernelFamily::kReference, Host()},
                                         Run{KernelFamily::kReference, HostWithSanitizers()},
                                         Run{KernelFamily::kReference, Rv32()},
                                         Run{KernelFamily::kReference, CortexM4()},
                                         Run{KernelFamily::kC99, Host()},
                                         Run{KernelFamily::kC99, HostWithSanitizers()},
                                         Run{KernelFamily::kC99, Rv32()},
                                         Run{KernelFamily::kC99, CortexM4()}),
                         NameOf);

// A suite that cannot fail proves nothing: one wrong weight must be seen.
TEST_F(KernelsTest, AWrongOutputIsNoticed) {
  ConvSpec spec{{8, 3, 3}, {}};
  spec.conv.out_channels = 4;
  const KernelCase right = MakeConvCase(KernelFamily::kC99, "conv2d", spec, {4, false}, 4,
                                        {8, false}, Pattern::kRandom, 7);
  std::filesystem::create_directories(Folder());
  std::string source = ImageSource({right});
  const size_t weights = source.find("weights[] = {");
  source.replace(source.find(',', weights), 1, "^1u,");
  EXPECT_NE(source, ImageSource({right}));

  const absl::StatusOr<ImageResult> result = RunSource(source, Host(), Folder());

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->failed, 1);
  EXPECT_EQ(result->exit_code, 1);
}

TEST(PackedWeightsTest, TheExamplesOfThePageHold) {
  const std::vector<int8_t> wide{1, -2, 3, -1, 0, 7};
  EXPECT_THAT(PackForC99(wide, 2, 3, 8, 8), ElementsAre(0x0000ff01u, 0x000000feu, 0x00000703u));
  EXPECT_THAT(PackForC99(wide, 2, 3, 4, 4), ElementsAre(0x00060008u, 0x00070005u, 0x000e000au));
  EXPECT_THAT(PackForC99(wide, 2, 3, 4, 2), ElementsAre(0x08050a00u, 0u, 0x06070e00u, 0u));
  const std::vector<int8_t> narrow{1, -1, 0, -1, 0, 1};
  EXPECT_THAT(PackForC99(narrow, 2, 3, 2, 8), ElementsAre(0x01000002u, 0x00020001u));
  EXPECT_THAT(PackForC99(narrow, 2, 3, 2, 2), ElementsAre(0x02000100u, 0x00010200u));
}

}  // namespace
}  // namespace mico::conformance
