#include "client/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/exploration.pb.h"

namespace mico {
namespace {

TEST(JsonTest, ALineIsOneLine) {
  v1::Job job;
  job.set_id("abc");
  job.set_error("two\nlines \x1b[2J");

  EXPECT_EQ(ToJsonLine(job), "{\"id\":\"abc\",\"error\":\"two\\nlines \\u001b[2J\"}\n");
}

TEST(JsonTest, NoControlCharacterIsWrittenAsItIs) {
  v1::Job job;
  job.mutable_spec()->set_model_name("\x1b[2J\x07\x7f \xc2\x9b \xe2\x80\xae");

  const std::string text = ToJson(job);

  for (const char* raw : {"\x1b", "\x07", "\x7f", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_EQ(text.find(raw), std::string::npos) << text;
  }
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
