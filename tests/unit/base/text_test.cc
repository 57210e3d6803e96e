#include "base/text.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(TextTest, PlainIsUtf8WithoutControlCharacters) {
  for (const std::string_view plain :
       {"", "cat", "a b", "caf\xc3\xa9", "\xe7\x8c\xab", "\xf0\x9f\x90\x88"}) {
    EXPECT_TRUE(IsPlainText(plain)) << plain;
    EXPECT_EQ(Legible(plain), plain);
  }
  for (const std::string_view bad :
       {"\n", "\x1b[2J", "\x7f", "\xc2\x9b", "caf\xe9", "\xc3", "\xc0\xaf", "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xf4\x90\x80\x80", "\x80"}) {
    EXPECT_FALSE(IsPlainText(bad));
  }
  EXPECT_FALSE(IsPlainText(std::string_view("\0", 1)));
}

TEST(TextTest, WhatIsNotPlainIsShownWithQuestionMarks) {
  EXPECT_EQ(Legible("caf\xe9\n"), "caf??");
  EXPECT_EQ(Legible("\x1b[2J"), "?[2J");
}

}  // namespace
}  // namespace mico
