#include "base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdlog/spdlog.h"

namespace mico {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Logged(const std::string& format, const std::string& message) {
  ::testing::internal::CaptureStderr();
  LogToStandardError(format);
  spdlog::info("{}", message);
  spdlog::drop("mico");
  return ::testing::internal::GetCapturedStderr();
}

TEST(LoggingTest, ANameCannotRepaintTheTerminalOfWhoeverReadsTheLog) {
  EXPECT_THAT(Logged("text", "job \x1b]0;owned\x07 of \xc2\x9bJ and \xff"),
              EndsWith(" info job ?]0;owned? of ?J and ?\n"));
}

TEST(LoggingTest, NoLineOfAMessageLooksLikeAnother) {
  EXPECT_THAT(Logged("text", "model 'a\n2026-01-01 00:00:00.000 error forged'"),
              EndsWith("model 'a\n    2026-01-01 00:00:00.000 error forged'\n"));
}

TEST(LoggingTest, JsonEscapesEverything) {
  const std::string line = Logged("json", "a\x1b[2J\n\"\xff");

  EXPECT_THAT(line, HasSubstr("a\\u001b[2J\\n\\\""));
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace mico
