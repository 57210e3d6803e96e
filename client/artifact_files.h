#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

struct UnpackLimits {
  // Generated projects are a few MiB in a few dozen files.
  int64_t most_bytes = 256 << 20;
  size_t most_files = 10'000;
};

// FailedPrecondition unless `folder` is absent or an empty folder.
absl::Status CheckNewOrEmpty(const std::filesystem::path& folder);

// Unpacks a tar of regular files into `folder`, which must be empty or absent. Names that are
// absolute, climb out or have control characters, links, folders as entries, names given twice,
// and archives without a file or beyond `limits` are refused before anything is written.
// A folder that cannot take all of it is left as it was.
// Returns the number of files. DataLoss or ResourceExhausted: the archive; FailedPrecondition: the
// folder.
absl::StatusOr<int> UnpackTar(std::string_view tar, const std::filesystem::path& folder,
                              const UnpackLimits& limits = {});

}  // namespace mico
