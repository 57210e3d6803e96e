#pragma once

#include <filesystem>
#include <memory>

#include "proto/messages.h"
#include "target/target.h"
#include "worker/compiler.h"
#include "worker/workbench.h"

namespace mico {

// What somebody who looks at a target on this machine finds.
struct TargetLook {
  // As it may be announced: has_board only where programs run.
  Target target;
  TargetHealth health;
  // Null where there is no compiler; without a board where that cannot be reached.
  std::shared_ptr<const Workbench> workbench;
};

// Looks for the compiler, the bsp folder, the board's program and the kernels. Takes milliseconds:
// nothing is built. Every fault is in the health, with the command that mends it; `path` is the
// target file's name there.
TargetLook LookAtTarget(const TargetFile& file, const std::filesystem::path& path);

// Builds a tiny benchmark for the target and runs it on the board: the program has the isa's
// machine code, speaks the board protocol and its counter counts. Adds the checks "builds" and
// "runs". Cancelled when options.cancelled said so; `look` is unchanged then.
absl::Status TryTarget(const std::filesystem::path& path, const CompilerOptions& options,
                       TargetLook& look);

}  // namespace mico
