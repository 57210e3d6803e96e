#include "client/exit_code.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(ExitCodeTest, NumbersAreThoseOfTheContract) {
  EXPECT_EQ(static_cast<int>(ExitCode::kDone), 0);
  EXPECT_EQ(static_cast<int>(ExitCode::kJobFailed), 1);
  EXPECT_EQ(static_cast<int>(ExitCode::kWrongInput), 2);
  EXPECT_EQ(static_cast<int>(ExitCode::kServerUnreachable), 3);
  EXPECT_EQ(static_cast<int>(ExitCode::kNotAllowed), 4);
  EXPECT_EQ(static_cast<int>(ExitCode::kInterrupted), 130);
}

ExitCode Of(absl::StatusCode code) { return ToExitCode(absl::Status(code, "why")); }

TEST(ExitCodeTest, EveryStatusMeansOneOfThem) {
  EXPECT_EQ(ToExitCode(absl::OkStatus()), ExitCode::kDone);
  EXPECT_EQ(Of(absl::StatusCode::kAborted), ExitCode::kJobFailed);
  EXPECT_EQ(Of(absl::StatusCode::kInternal), ExitCode::kJobFailed);
  EXPECT_EQ(Of(absl::StatusCode::kUnknown), ExitCode::kJobFailed);
  EXPECT_EQ(Of(absl::StatusCode::kDataLoss), ExitCode::kJobFailed);
  EXPECT_EQ(Of(absl::StatusCode::kInvalidArgument), ExitCode::kWrongInput);
  EXPECT_EQ(Of(absl::StatusCode::kNotFound), ExitCode::kWrongInput);
  EXPECT_EQ(Of(absl::StatusCode::kFailedPrecondition), ExitCode::kWrongInput);
  EXPECT_EQ(Of(absl::StatusCode::kUnimplemented), ExitCode::kWrongInput);
  EXPECT_EQ(Of(absl::StatusCode::kResourceExhausted), ExitCode::kWrongInput);
  EXPECT_EQ(Of(absl::StatusCode::kUnavailable), ExitCode::kServerUnreachable);
  EXPECT_EQ(Of(absl::StatusCode::kDeadlineExceeded), ExitCode::kServerUnreachable);
  EXPECT_EQ(Of(absl::StatusCode::kCancelled), ExitCode::kServerUnreachable);
  EXPECT_EQ(Of(absl::StatusCode::kPermissionDenied), ExitCode::kNotAllowed);
  EXPECT_EQ(Of(absl::StatusCode::kUnauthenticated), ExitCode::kNotAllowed);
}

}  // namespace
}  // namespace mico
