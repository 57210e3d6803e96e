#include "base/text.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(TextTest, PlainIsUtf8WithoutControlCharacters) {
  for (const std::string_view plain :
       {"", "cat", "a b", "caf\xc3\xa9", "\xe7\x8c\xab", "\xf0\x9f\x90\x88"}) {
    EXPECT_TRUE(IsPlainText(plain)) << plain;
    EXPECT_EQ(PrintableLine(plain), plain);
  }
  for (const std::string_view bad :
       {"\n", "\x1b[2J", "\x7f", "\xc2\x9b", "caf\xe9", "\xc3", "\xc0\xaf", "\xe0\x80\xaf",
        "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xf4\x90\x80\x80", "\x80"}) {
    EXPECT_FALSE(IsPlainText(bad));
  }
  EXPECT_FALSE(IsPlainText(std::string_view("\0", 1)));
}

TEST(TextTest, WhatIsNotPlainIsShownWithQuestionMarks) {
  EXPECT_EQ(PrintableLine("caf\xe9\n"), "caf? ");
  EXPECT_EQ(PrintableLine("\x1b[2J"), "?[2J");
}

TEST(ValidUtf8Test, EveryCharacterOfUnicodeStays) {
  const std::string text = "a\n\x1b µ 網 \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf";

  EXPECT_EQ(ValidUtf8(text), text);
}

TEST(ValidUtf8Test, EachWrongByteBecomesAQuestionMark) {
  EXPECT_EQ(ValidUtf8("a\xff\xfe"), "a??");
  EXPECT_EQ(ValidUtf8("\xe7\xb6"), "??") << "cut off";
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), "??") << "longer than needed";
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), "???") << "half of a surrogate pair";
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80"), "????") << "beyond Unicode";
  EXPECT_EQ(ValidUtf8("\x9b[2J"), "?[2J");
}

TEST(PrintableTest, ControlCharactersBecomeVisible) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\x07\x7f"), "a?[2Jb???");
  EXPECT_EQ(Printable(std::string("a\0b", 3)), "a?b");
}

TEST(PrintableTest, EightBitControlCharactersToo) {
  EXPECT_EQ(Printable("a\xc2\x9b"
                      "2Jb"),
            "a?2Jb");
  EXPECT_EQ(Printable("a\x9b"
                      "2Jb"),
            "a?2Jb");
}

TEST(PrintableTest, NothingTurnsTheDirectionOfWriting) {
  EXPECT_EQ(Printable("net\xe2\x80\xaexnno.exe"), "net?xnno.exe");
  EXPECT_EQ(Printable("a\xe2\x81\xa6z\xe2\x80\xa8"), "a?z?");
}

TEST(PrintableTest, LinesAndOtherScriptsStay) {
  EXPECT_EQ(Printable("two\nlines\tand µ, 網"), "two\nlines and µ, 網");
}

TEST(PrintableTest, ALineHasNoLineBreaks) { EXPECT_EQ(PrintableLine("a\nb"), "a b"); }

}  // namespace
}  // namespace mico
