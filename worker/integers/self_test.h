#pragma once

#include "absl/status/status.h"

namespace mico {

// Whether this processor's vector loops give the integers that they should: Internal names the
// layer that differs. Takes milliseconds.
absl::Status CheckIntegersAreExact();

}  // namespace mico
