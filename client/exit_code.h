#pragma once

#include "absl/status/status.h"

namespace mico {

// What a script sees. contracts.md, "mico-cli".
enum class ExitCode {
  kDone = 0,
  kJobFailed = 1,
  kWrongInput = 2,
  kServerUnreachable = 3,
  kNotAllowed = 4,
  kInterrupted = 130,
};

// The code that a call's status means for the user.
ExitCode ToExitCode(const absl::Status& status);

}  // namespace mico
