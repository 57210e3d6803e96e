#include "client/table.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(TableTest, ColumnsAreAlignedAndLinesEndWithoutBlanks) {
  Table table({"job", "state"});
  table.Add({"1", "done"});
  table.Add({"12345", ""});

  EXPECT_EQ(table.ToText(),
            "job    state\n"
            "1      done\n"
            "12345\n");
}

TEST(TableTest, AlignmentCountsCharactersAndNotBytes) {
  Table table({"name", "size"});
  table.Add({"µµµµµ", "1"});
  table.Add({"網", "2"});

  EXPECT_EQ(table.ToText(),
            "name   size\n"
            "µµµµµ  1\n"
            "網     2\n");
}

TEST(TableTest, CsvQuotesWhereItMust) {
  Table table({"name", "description"});
  table.Add({"a,b", "says \"hi\""});
  table.Add({"plain", ""});

  EXPECT_EQ(table.ToCsv(),
            "name,description\n"
            "\"a,b\",\"says \"\"hi\"\"\"\n"
            "plain,\n");
}

TEST(TableTest, ACellIsOnePrintableLine) {
  Table table({"name"});
  table.Add({"two\nlines\x1b[2J"});

  EXPECT_EQ(table.ToText(), "name\ntwo lines?[2J\n");
  EXPECT_EQ(table.ToCsv(), "name\ntwo lines?[2J\n");
}

}  // namespace
}  // namespace mico
