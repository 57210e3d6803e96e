#include "base/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mico {
namespace {

using ::testing::HasSubstr;

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

void ExpectRefused(const std::string& text, const std::string& why) {
  const absl::Status status = CheckYaml(text);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
  EXPECT_THAT(std::string(status.message()), HasSubstr(why));
}

TEST(CheckYamlTest, AnOrdinaryDocumentIsTaken) {
  EXPECT_TRUE(CheckYaml("# comment\nname: a\nlist: [1, {x: 2}]\nmap:\n  key: value\n").ok());
  EXPECT_TRUE(CheckYaml("").ok());
}

TEST(CheckYamlTest, ABillionLaughsEndAtTheFirst) {
  ExpectRefused("a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n",
                "line 1: an anchor (&)");
  ExpectRefused("a: 1\nb: *a\n", "line 2");
}

TEST(CheckYamlTest, AMapThatIsItsOwnMemberIsRefused) {
  ExpectRefused("&self {me: *self}\n", "anchor");
}

TEST(CheckYamlTest, NestingEndsBeforeTheStackDoes) {
  ExpectRefused(Repeat("[", 1000) + Repeat("]", 1000), "more than 32 levels");
  ExpectRefused(Repeat("{a: ", 1000) + "1" + Repeat("}", 1000), "more than 32 levels");
  ExpectRefused(Repeat("- ", 1000) + "1", "more than 32 levels");
  ExpectRefused(Repeat("? ", 1000) + "1", "more than 32 levels");
  ExpectRefused(std::string(100'000, '['), "more than 32 levels");
  ExpectRefused(std::string(1 << 20, '['), "needed: at most 131072");
}

TEST(CheckYamlTest, MoreValuesThanAnybodyWritesAreRefused) {
  ExpectRefused("[" + Repeat("1, ", 20'000) + "1]", "more than 10000 values");
}

TEST(CheckYamlTest, ASecondDocumentIsRefusedBecauseNobodyWouldReadIt) {
  ExpectRefused("a: 1\n---\nb: 2\n", "line 2: a second document");
}

TEST(CheckYamlTest, WhatIsNoYamlSaysTheLine) {
  ExpectRefused("a: 1\nb: [1, 2\n", "line ");
  ExpectRefused("%YAML 9.9\n---\na: 1\n", "");
}

TEST(CheckYamlTest, BinaryGarbageIsRefusedOrHarmless) {
  std::string garbage;
  uint32_t state = 2463534242u;
  for (int i = 0; i < 4096; ++i) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    garbage.push_back(static_cast<char>(state));
  }
  for (size_t begin = 0; begin < garbage.size(); begin += 64) {
    CheckYaml(garbage.substr(begin)).IgnoreError();
  }
  ExpectRefused(std::string("\x7f"
                            "ELF\x02\x01\x01\0\0@\x80: [",
                            13),
                "");
}

}  // namespace
}  // namespace mico
