#include "client/terminal.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(DisplayWidthTest, CountsColumns) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("µ…é"), 3u);
  EXPECT_EQ(DisplayWidth("網"), 2u);
  EXPECT_EQ(DisplayWidth("😀"), 2u);
}

TEST(DisplayWidthTest, BytesThatAreNoUtf8CountToo) {
  EXPECT_EQ(DisplayWidth("\x80\x80"), 2u);
  EXPECT_GT(DisplayWidth("a\xf0"), 1u);
}

TEST(ClipToWidthTest, NeverCutsACharacter) {
  EXPECT_EQ(ClipToWidth("abc", 2), "ab");
  EXPECT_EQ(ClipToWidth("abc", 5), "abc");
  EXPECT_EQ(ClipToWidth("µµµ", 2), "µµ");
  EXPECT_EQ(ClipToWidth("a網b", 2), "a");
  EXPECT_EQ(ClipToWidth("abc", 0), "");
}

TEST(LiveBlockTest, TheSecondPaintStartsWhereTheFirstDid) {
  LiveBlock block;

  EXPECT_EQ(block.Paint("one\ntwo\n", {80, 24}), "one\ntwo\n");
  EXPECT_EQ(block.Paint("three\n", {80, 24}), "\x1b[2F\x1b[Jthree\n");
  EXPECT_EQ(block.Erase({80, 24}), "\x1b[1F\x1b[J");
  EXPECT_EQ(block.Erase({80, 24}), "");
}

TEST(LiveBlockTest, LongLinesAreClippedBeforeTheLastColumn) {
  LiveBlock block;

  EXPECT_EQ(block.Paint("0123456789\nab\n", {10, 24}), "012345678\nab\n");
}

TEST(LiveBlockTest, ABlockIsNeverAsHighAsTheScreen) {
  LiveBlock block;

  EXPECT_EQ(block.Paint("1\n2\n3\n4\n5\n", {80, 4}), "1\n2\n3\n");
  EXPECT_EQ(block.Paint("1\n2\n3\n4\n5\n", {80, 4}), "\x1b[3F\x1b[J1\n2\n3\n");
  EXPECT_EQ(LiveBlock().Paint("1\n2\n", {80, 1}), "1\n");
}

TEST(LiveBlockTest, ATerminalThatBecameNarrowerHasWrappedTheLines) {
  LiveBlock block;
  block.Paint("0123456789\nab\n", {80, 24});

  // Ten characters in four columns are three rows, and one for the second line.
  EXPECT_EQ(block.Erase({4, 24}), "\x1b[4F\x1b[J");
}

TEST(LiveBlockTest, AnEmptyLineIsARow) {
  LiveBlock block;
  block.Paint("\n\na\n", {80, 24});

  EXPECT_EQ(block.Erase({80, 24}), "\x1b[3F\x1b[J");
}

}  // namespace
}  // namespace mico
