#include "codegen/pack_c99.h"

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/packed_weights.h"

namespace mico {
namespace {

using ::testing::ElementsAre;

// The example of docs/formats/packed-weights-c99.md.
constexpr int8_t kExample[] = {1, -2, 3, -1, 0, 7};
constexpr int8_t kNarrowExample[] = {1, -1, 0, -1, 0, 1};

TEST(PackC99Test, GivesTheDocumentedExample) {
  for (const int input : {8, 4, 2}) {
    EXPECT_THAT(PackC99(kExample, 2, 3, 8, input),
                ElementsAre(0x0000ff01u, 0x000000feu, 0x00000703u));
  }
  for (const int input : {8, 4}) {
    EXPECT_THAT(PackC99(kExample, 2, 3, 4, input),
                ElementsAre(0x00060008u, 0x00070005u, 0x000e000au));
  }
  EXPECT_THAT(PackC99(kExample, 2, 3, 4, 2),
              ElementsAre(0x08050a00u, 0x00000000u, 0x06070e00u, 0x00000000u));
  EXPECT_THAT(PackC99(kNarrowExample, 2, 3, 2, 8), ElementsAre(0x01000002u, 0x00020001u));
  for (const int input : {4, 2}) {
    EXPECT_THAT(PackC99(kNarrowExample, 2, 3, 2, input), ElementsAre(0x02000100u, 0x00010200u));
  }
}

// The conformance suite has a packer of its own, written from the same page.
TEST(PackC99Test, EqualsTheConformanceSuitesPacker) {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    const int64_t channels = random.Between(1, 19), reduction = random.Between(1, 70);
    for (const int weight : {8, 4, 2, 1}) {
      const int64_t most = weight == 1 ? 1 : (int64_t{1} << (weight - 1)) - 1;
      std::vector<int8_t> weights(channels * reduction);
      for (int8_t& w : weights) {
        w = static_cast<int8_t>(weight == 1 ? 2 * random.Between(0, 1) - 1
                                            : random.Between(-most, most));
      }
      for (const int input : weight == 1 ? std::vector<int>{1} : std::vector<int>{8, 4, 2}) {
        const std::vector<uint32_t> packed = PackC99(weights, channels, reduction, weight, input);
        EXPECT_EQ(packed, conformance::PackForC99(weights, channels, reduction, weight, input))
            << channels << " x " << reduction << " w" << weight << " x" << input;
        EXPECT_EQ(static_cast<int64_t>(packed.size()),
                  CountC99Words(channels, reduction, weight, input));
      }
    }
  }
}

}  // namespace
}  // namespace mico
