#pragma once

#include <gtest/gtest.h>

#include <string>

#include "client/exit_code.h"

namespace mico {

// What a call of mico-cli leaves behind.
struct Outcome {
  ExitCode code;
  std::string out, err;
};

template <typename Action>
Outcome Captured(Action action) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const ExitCode code = action();
  return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

}  // namespace mico
