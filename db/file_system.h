#pragma once

#include <filesystem>
#include <string_view>

#include "absl/status/status.h"

namespace mico {

// What the system refused, with the way back where one is known: "<action> <path>: <reason>; ...".
// `error` is an errno. ResourceExhausted: the disk or a quota is full. FailedPrecondition:
// read-only, not allowed, or not a folder. DataLoss: the disk itself cannot read or write there.
// Internal: the rest.
absl::Status SystemError(int error, std::string_view action, const std::filesystem::path& path);

// Creates the folder, and those above it, unless it is there.
absl::Status CreateFolder(const std::filesystem::path& folder);

// What was written to the file is on disk afterwards.
absl::Status SyncFile(const std::filesystem::path& file);
// The names in the folder are on disk afterwards.
absl::Status SyncFolder(const std::filesystem::path& folder);

}  // namespace mico
