#include "client/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/exploration.pb.h"

namespace mico {
namespace {

TEST(PrintableTest, ControlCharactersBecomeVisible) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\x07\x7f"), "a?[2Jb???");
  EXPECT_EQ(Printable(std::string("a\0b", 3)), "a?b");
}

TEST(PrintableTest, LinesAndOtherScriptsStay) {
  EXPECT_EQ(Printable("two\nlines\tand µ, 網"), "two\nlines and µ, 網");
}

TEST(PrintableTest, EightBitControlCharactersBecomeBlanks) {
  EXPECT_EQ(Printable("a\xc2\x9b"
                      "2Jb"),
            "a\xc2\xa0"
            "2Jb");
}

TEST(PrintableTest, ALineHasNoLineBreaks) { EXPECT_EQ(PrintableLine("a\nb"), "a b"); }

TEST(JsonTest, ALineIsOneLine) {
  v1::Job job;
  job.set_id("abc");
  job.set_error("two\nlines \x1b[2J");

  EXPECT_EQ(ToJsonLine(job), "{\"id\":\"abc\",\"error\":\"two\\nlines \\u001b[2J\"}\n");
}

TEST(JsonTest, NamesAndNumbersFollowTheProtobufMapping) {
  v1::Job job;
  job.set_state(v1::JOB_STATE_DONE);
  job.set_trials_finished(12);

  EXPECT_EQ(ToJson(job), "{\n \"state\": \"JOB_STATE_DONE\",\n \"trialsFinished\": \"12\"\n}\n");
}

TEST(FailTest, TheMessageGoesToStandardErrorOnly) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();

  const ExitCode code = Fail(absl::NotFoundError("job \x1b[2J: not known"));

  EXPECT_EQ(code, ExitCode::kWrongInput);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "mico-cli: job ?[2J: not known\n");
}

TEST(FailTest, AStatusWithoutAMessageSaysItsName) {
  ::testing::internal::CaptureStderr();

  Fail(absl::InternalError(""));

  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "mico-cli: INTERNAL\n");
}

}  // namespace
}  // namespace mico
