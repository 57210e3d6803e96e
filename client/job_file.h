#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "client/options.h"

namespace mico {

// Fills the fields that `options` leaves open from a YAML job file: the same names as the flags.
// Relative paths in it are relative to the file. InvalidArgument names the file and the key: keys
// that are unknown, come twice, or have another kind of value; a file that cannot be read.
absl::Status MergeJobFile(const std::filesystem::path& path, SubmitOptions& options);

}  // namespace mico
