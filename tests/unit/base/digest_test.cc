#include "base/digest.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(DigestTest, IsSha256) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(Digest::Of("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DigestTest, PiecesGiveTheSameDigestAsTheWhole) {
  DigestBuilder builder;
  builder.Update("a");
  builder.Update("bc");
  EXPECT_EQ(builder.Finish(), Digest::Of("abc"));
}

TEST(DigestTest, OnlySixtyFourLowerCaseHexDigitsAreADigest) {
  EXPECT_FALSE(Digest::FromHex("abc").ok());
  EXPECT_FALSE(Digest::FromHex(std::string(64, 'G')).ok());
  EXPECT_FALSE(Digest::FromHex("../" + std::string(61, 'a')).ok());
  EXPECT_TRUE(Digest::FromHex(std::string(64, 'a')).ok());
}

}  // namespace
}  // namespace mico
