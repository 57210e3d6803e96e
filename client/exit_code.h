#pragma once

#include "absl/status/status.h"

namespace mico {

// What a script sees; part of the contract of mico-cli.
enum class ExitCode {
  kDone = 0,
  kJobFailed = 1,  // or it found nothing that fits, or the server failed at what was asked
  kWrongInput = 2,
  kServerUnreachable = 3,
  kNotAllowed = 4,
  kInterrupted = 130,
};

// The code that a call's status means for the user. Failures on this machine (a file that cannot
// be read) must arrive as InvalidArgument or FailedPrecondition: PermissionDenied is the server's.
ExitCode ToExitCode(const absl::Status& status);

}  // namespace mico
