#include "quant/bit_scheme.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

TEST(BitSchemeTest, ReadsWhatItWrites) {
  for (const char* text : {"", "w1a1", "w8a8,w4a2,w3a7"}) {
    const auto scheme = BitScheme::Parse(text);
    ASSERT_TRUE(scheme.ok()) << scheme.status();
    EXPECT_EQ(scheme->ToString(), text);
  }
  EXPECT_EQ((*BitScheme::Parse("w8a8,w4a2"))[1], (LayerBits{4, 2}));
}

TEST(BitSchemeTest, NamesThePositionOfWhatItCannotRead) {
  for (const char* text : {"w8", "w9a8", "w0a8", "w8a8,", ",w8a8", "w8a8 ,w8a8", "W8A8", "w88a8"}) {
    EXPECT_EQ(BitScheme::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(BitScheme::Parse("w8a8,w4a9").status().message(),
              HasSubstr("layer 1 at character 5"));
  EXPECT_THAT(BitScheme::Parse("w8a8;w4a4").status().message(),
              HasSubstr("character 4: found ';'"));
}

TEST(BitSchemeTest, UniformLeavesInputLayersAtEightBits) {
  EXPECT_EQ(BitScheme::Uniform(4, 2, {true, false, true}).ToString(), "w4a8,w4a2,w4a8");
}

}  // namespace
}  // namespace mico
