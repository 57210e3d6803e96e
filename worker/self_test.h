#pragma once

#include <filesystem>

#include "absl/status/statusor.h"
#include "worker/board/protocol.h"
#include "worker/workbench.h"

namespace mico {

// Builds the self-test of a fetched artifact for the workbench's target and runs it on its board
// (or on this machine, when the target's programs run here). FailedPrecondition: the target has no
// board; DataLoss: a logit differs, with the cases.
absl::StatusOr<BoardRun> RunSelfTest(Workbench& workbench, const std::filesystem::path& artifact);

}  // namespace mico
