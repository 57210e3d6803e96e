#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(BytesTest, ReaderGivesBackWhatTheWriterWrote) {
  ByteWriter writer;
  writer.U8(7);
  writer.I32(-5);
  writer.F64(0.1);
  writer.Text("conv1");
  writer.I32s(std::vector<int32_t>{1, -2, 3});
  ByteReader reader(writer.bytes(), "test");
  EXPECT_EQ(reader.U8(), 7);
  EXPECT_EQ(reader.I32(), -5);
  EXPECT_EQ(reader.F64(), 0.1);
  EXPECT_EQ(reader.Text(), "conv1");
  EXPECT_THAT(reader.I32s(), testing::ElementsAre(1, -2, 3));
  EXPECT_TRUE(reader.Finish().ok());
}

TEST(BytesTest, ALengthBeyondTheEndAllocatesNothingAndFails) {
  ByteWriter writer;
  writer.U64(uint64_t{1} << 62);
  ByteReader reader(writer.bytes(), "blob");
  EXPECT_TRUE(reader.F32s().empty());
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(reader.status().message()), testing::HasSubstr("blob"));
}

TEST(BytesTest, EveryReadAfterAFailureIsZero) {
  ByteReader reader(std::string_view("\x01", 1), "blob");
  EXPECT_EQ(reader.U32(), 0u);
  EXPECT_EQ(reader.U8(), 0u);
  EXPECT_FALSE(reader.status().ok());
}

TEST(BytesTest, BytesLeftOverAreAnError) {
  ByteReader reader("ab", "blob");
  reader.U8();
  EXPECT_FALSE(reader.Finish().ok());
}

}  // namespace
}  // namespace mico
