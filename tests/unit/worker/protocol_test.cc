#include "worker/board/protocol.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Lines(const std::vector<std::string>& payloads) {
  std::string text;
  for (const std::string& payload : payloads) text += BoardLine(payload);
  return text;
}

const std::vector<std::string> kSelfTest = {"begin selftest 2", "case 0 ok",  "case 1 ok",
                                            "layer 0 100",      "layer 1 50", "run 1234567",
                                            "end selftest 2 0"};

TEST(BoardProtocolTest, TheChecksumIsTheCrcOfZlib) {
  // CRC-32 of "123456789" is the check value of IEEE 802.3.
  EXPECT_EQ(BoardLine("123456789"), "mico: 123456789 #cbf43926\n");
}

TEST(BoardProtocolTest, ASelfTestIsRead) {
  const absl::StatusOr<BoardRun> run = ParseBoardOutput(Lines(kSelfTest));

  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->program, "selftest");
  EXPECT_THAT(run->cases_ok, ElementsAre(true, true));
  EXPECT_THAT(run->layer_counts, ElementsAre(100, 50));
  EXPECT_EQ(run->run_count, 1'234'567);
  EXPECT_EQ(run->passed, 2);
  EXPECT_EQ(run->failed, 0);
}

TEST(BoardProtocolTest, ABenchmarkIsRead) {
  const absl::StatusOr<BoardRun> run = ParseBoardOutput(
      Lines({"begin bench 2", "overhead 9", "bench 0 1000", "bench 1 0", "end bench 2 0"}));

  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->bench_counts, ElementsAre(1000, 0));
  EXPECT_EQ(run->overhead, 9);
}

TEST(BoardProtocolTest, NoiseBetweenLinesIsKeptInTheLog) {
  const std::string noisy = "boot v1.2\n" + BoardLine("begin selftest 1") + "\xff\xfe?\n" +
                            BoardLine("case 0 ok") + "mico is a word\n" +
                            BoardLine("end selftest 1 0") + "rest without an end";

  const absl::StatusOr<BoardRun> run = ParseBoardOutput(noisy);

  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->log, "boot v1.2\n\xff\xfe?\nmico is a word\nrest without an end\n");
}

TEST(BoardProtocolTest, ACarriageReturnBeforeTheLineFeedIsAllowed) {
  std::string text = Lines(kSelfTest);
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) {
    text.replace(at, 1, "\r\n");
  }

  EXPECT_TRUE(ParseBoardOutput(text).ok());
}

TEST(BoardProtocolTest, AFailedCaseIsCountedNotRefused) {
  const absl::StatusOr<BoardRun> run =
      ParseBoardOutput(Lines({"begin selftest 2", "case 0 ok", "case 1 fail", "end selftest 1 1"}));

  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->cases_ok, ElementsAre(true, false));
  EXPECT_EQ(run->failed, 1);
}

TEST(BoardProtocolTest, EverySingleFlippedBitInALineOfOursIsNoticed) {
  const std::string good = Lines(kSelfTest);
  const size_t begin = good.find("case 1");
  for (size_t at = begin; at < good.find('\n', begin); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      EXPECT_FALSE(ParseBoardOutput(bad).ok()) << at << " bit " << bit;
    }
  }
}

TEST(BoardProtocolTest, AnyLineLeftOutIsNoticedUnlessItIsOptional) {
  for (size_t left_out = 0; left_out < kSelfTest.size(); ++left_out) {
    std::vector<std::string> payloads = kSelfTest;
    payloads.erase(payloads.begin() + static_cast<ptrdiff_t>(left_out));
    const bool optional =
        kSelfTest[left_out] == "run 1234567" || kSelfTest[left_out] == "layer 1 50";
    EXPECT_EQ(ParseBoardOutput(Lines(payloads)).ok(), optional) << kSelfTest[left_out];
  }
}

TEST(BoardProtocolTest, AProgramThatStopsHalfwayIsDataLoss) {
  const absl::Status status = ParseBoardOutput(Lines({"begin bench 3", "bench 0 5"})).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 of 3"));
}

TEST(BoardProtocolTest, SilenceIsDataLoss) {
  EXPECT_EQ(ParseBoardOutput("qemu: fatal\n").status().code(), absl::StatusCode::kDataLoss);
}

struct Fault {
  std::vector<std::string> payloads;
  const char* named;
};

class BoardProtocolFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(BoardProtocolFaultTest, MakesTheRunInvalid) {
  const absl::Status status = ParseBoardOutput(Lines(GetParam().payloads)).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    All, BoardProtocolFaultTest,
    ::testing::Values(
        Fault{{"begin bench 1", "begin bench 1"}, "twice"},
        Fault{{"begin poem 1"}, "begin bench|selftest"}, Fault{{"begin bench -1"}, "no number"},
        Fault{{"begin bench 99999999999"}, "too large"}, Fault{{"bench 0 1"}, "before 'begin'"},
        Fault{{"begin bench 2", "bench 0 1", "bench 0 1"}, "index 0, needed 1"},
        Fault{{"begin bench 2", "bench 1 1"}, "index 1, needed 0"},
        Fault{{"begin bench 1", "bench 0 x"}, "'x' is no count"},
        Fault{{"begin bench 1", "bench 0 -4"}, "'-4' is no count"},
        Fault{{"begin bench 1", "bench 0 99999999999999999999"}, "is no count"},
        Fault{{"begin bench 1", "bench 0 1", "bench 1 1"}, "more results"},
        Fault{{"begin selftest 1", "bench 0 1"}, "from a selftest program"},
        Fault{{"begin bench 1", "case 0 ok"}, "from a bench program"},
        Fault{{"begin selftest 1", "case 0 maybe"}, "neither ok nor fail"},
        Fault{{"begin bench 1", "overhead 1", "overhead 1"}, "'overhead' twice"},
        Fault{{"begin bench 1", "dance 1"}, "unknown word 'dance'"},
        Fault{{"begin bench 2", "bench 0 1", "end bench 2 0"}, "1 results, announced were 2"},
        Fault{{"begin selftest 1", "case 0 fail", "end selftest 1 0"}, "the lines say 0 and 1"},
        Fault{{"begin selftest 0", "end bench 0 0"}, "end selftest"},
        Fault{{"begin bench 0", "end bench 0 0", "overhead 1"}, "after 'end'"}));

}  // namespace
}  // namespace mico
