#include "codegen/signature.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// Every step of a network and of random ones.
TEST(SignatureTest, ASignatureRebuildsItsStep) {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    const Graph graph = testing::ParseNetwork(testing::RandomNetwork(random));
    const bool non_negative = round % 2 == 0;
    const BitScheme scheme = testing::RandomScheme(graph, non_negative, random);
    const absl::StatusOr<QuantizedGraph> lowered = LowerGraph(graph, non_negative, scheme);
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    for (const Step& step : lowered->steps) {
      const std::string signature = StepSignature(*lowered, step);
      const absl::StatusOr<QuantizedGraph> rebuilt = ParseSignature(signature);
      ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
      ASSERT_EQ(rebuilt->steps.size(), 1u);
      EXPECT_EQ(StepSignature(*rebuilt, rebuilt->steps[0]), signature);
      EXPECT_EQ(rebuilt->steps[0].kind, step.kind);
      EXPECT_EQ(rebuilt->steps[0].attributes, step.attributes);
      EXPECT_EQ(rebuilt->steps[0].weight_bits, step.weight_bits);
      EXPECT_EQ(rebuilt->tensors.back().type, lowered->tensors[step.output].type);
    }
  }
}

TEST(SignatureTest, NamesAreNotPartOfIt) {
  const char* const first = "input x 3x8x8\na = Conv(x) k=3x3 out=4\noutput a\n";
  const char* const second = "input y 3x8x8\nother = Conv(y) k=3x3 out=4\noutput other\n";
  const BitScheme scheme = testing::ParseScheme("w4a8");
  const QuantizedGraph a = *LowerGraph(testing::ParseNetwork(first), true, scheme);
  const QuantizedGraph b = *LowerGraph(testing::ParseNetwork(second), true, scheme);
  EXPECT_EQ(StepSignature(a, a.steps[0]), StepSignature(b, b.steps[0]));
  EXPECT_EQ(StepSignature(a, a.steps[0]),
            "conv x=8x8x3:u8 w=s4 y=6x6x4:s16 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1");
}

TEST(SignatureTest, WhatStepSignatureWouldNotWriteIsRefused) {
  const char* const kGood = "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1";
  EXPECT_TRUE(ParseSignature(kGood).ok());
  const char* const kBad[] = {
      "",
      "conv",
      "convolution x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s9 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u9 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:s1 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:u16 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:s16 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s4 y=7x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=0x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=2",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1 ",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1 z=1",
      "conv x=08x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=8x8x3:u8 w=s4 y=6x6x4:s8 k=3x3 s=1x1 p=-1,0,0,0 d=1x1 g=1",
      "conv x=99999999x99999999x99999999:u8 w=s4 y=1x1x1:s8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "conv x=16777216x16777216x1:u8 w=s4 y=1x1x1:s8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1",
      "add x=1x1x4:u8 y=1x1x4:u8",
      "add x=1x1x4:u8 x2=1x1x5:u8 y=1x1x4:u8",
      "maxpool x=4x4x1:u8 y=4x4x1:u4 k=1x1 s=1x1 p=0,0,0,0 i=0",
      "maxpool x=4x4x1:u8 y=4x4x1:u8 k=1x1 s=1x1 p=1,0,0,0 i=0",
      "requantize x=1x1x4:u8 y=1x1x5:u4",
  };
  for (const char* text : kBad) {
    const absl::StatusOr<QuantizedGraph> parsed = ParseSignature(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(text));
  }
}

TEST(SignatureTest, AVeryLongTextIsRefusedUnread) {
  EXPECT_EQ(ParseSignature(std::string(1 << 20, 'x')).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mico
