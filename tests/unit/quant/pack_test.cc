#include "quant/pack.h"

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PackTest, PacksTheDocumentedExamples) {
  // docs/formats/packing.md
  EXPECT_THAT(Pack(std::vector<int32_t>{1, 0, 1, 1, 0, 0, 0, 0, 1}, {1, false}),
              ElementsAre(0x0d, 0x01));
  EXPECT_THAT(Pack(std::vector<int32_t>{3, 0, 2, 1, 3}, {2, false}), ElementsAre(0x63, 0x03));
  EXPECT_THAT(Pack(std::vector<int32_t>{1, -1, -2}, {2, true}), ElementsAre(0x2d));
  EXPECT_THAT(Pack(std::vector<int32_t>{-4, 3, -1}, {3, true}), ElementsAre(0x3c, 0x0f));
  EXPECT_THAT(Pack(std::vector<int32_t>{-1, 100}, {8, true}), ElementsAre(0xff, 0x64));
  EXPECT_THAT(Pack(std::vector<int32_t>{-2, 300}, {16, true}), ElementsAre(0xfe, 0xff, 0x2c, 0x01));
  EXPECT_THAT(PackWeights(std::vector<int8_t>{1, -1, 1, -1, -1, 1}, 3, 1), ElementsAre(0x05, 0x04));
  EXPECT_THAT(PackWeights(std::vector<int8_t>{7, -7, 1, 0, 2, -1}, 3, 4),
              ElementsAre(0x97, 0x01, 0x20, 0x0f));
}

TEST(PackTest, GivesBackWhatItPackedAtEveryType) {
  Random random(1);
  for (const bool is_signed : {false, true}) {
    for (const int bits : {1, 2, 3, 4, 5, 6, 7, 8, 16}) {
      if (is_signed && bits == 1) continue;
      const TensorType type{bits, is_signed};
      for (int count = 0; count < 40; ++count) {
        std::vector<int32_t> values(count);
        for (int32_t& value : values) {
          value = static_cast<int32_t>(random.Between(type.lowest(), type.highest()));
        }
        const std::vector<uint8_t> bytes = Pack(values, type);
        ASSERT_EQ(static_cast<int64_t>(bytes.size()), PackedBytes({count, 1, 1}, type));
        ASSERT_EQ(Unpack(bytes, count, type), values) << type.ToString();
      }
    }
  }
}

TEST(PackTest, GivesBackTheWeightsItPackedAtEveryWidthAndOddLength) {
  Random random(2);
  for (int bits = 1; bits <= 8; ++bits) {
    const int highest = bits == 1 ? 1 : (1 << (bits - 1)) - 1;
    for (int per_channel = 1; per_channel < 20; ++per_channel) {
      std::vector<int8_t> weights(3 * per_channel);
      for (int8_t& weight : weights) {
        weight = static_cast<int8_t>(random.Between(-highest, highest));
        if (bits == 1 && weight == 0) weight = 1;
      }
      const std::vector<uint8_t> bytes = PackWeights(weights, per_channel, bits);
      ASSERT_EQ(bytes.size(), 3u * ((per_channel * ContainerBits(bits) + 7) / 8));
      ASSERT_EQ(UnpackWeights(bytes, 3, per_channel, bits), weights);
    }
  }
}

TEST(PackTest, UnpacksNoMoreThanThereIs) {
  EXPECT_THAT(Unpack(std::vector<uint8_t>{0x21}, 100, {4, false}), ElementsAre(1, 2));
  EXPECT_THAT(Unpack({}, 5, {8, true}), IsEmpty());
  EXPECT_THAT(UnpackWeights(std::vector<uint8_t>{0x01, 0x02}, 3, 1, 8), ElementsAre(1, 2));
}

TEST(PackTest, StoresOddWidthsInTheNextContainer) {
  std::vector<int> containers;
  for (int bits = 1; bits <= 8; ++bits) containers.push_back(ContainerBits(bits));
  EXPECT_THAT(containers, ElementsAre(1, 2, 4, 4, 8, 8, 8, 8));
  EXPECT_EQ((TensorType{16, true}).container_bits(), 16);
  EXPECT_EQ(PackedBytes({3, 3, 3}, {3, true}), 14);
}

}  // namespace
}  // namespace mico
