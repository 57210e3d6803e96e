#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "absl/status/statusor.h"

namespace mico {

// Unpacks a tar of regular files into `folder`, which must be empty or absent. Names that are
// absolute or climb out, links, and archives beyond 256 MiB or 10,000 files are refused before
// anything of them is written. Returns the number of files.
absl::StatusOr<int> UnpackTar(std::string_view tar, const std::filesystem::path& folder);

}  // namespace mico
