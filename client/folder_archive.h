#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

struct FolderLimits {
  int64_t most_entries = 2'000'000;
  int64_t most_file_bytes = int64_t{64} << 20;
  int64_t most_bytes = int64_t{4} << 30;  // a server takes no larger blob
};

struct PackedEntry {
  std::string path;  // from the folder on, '/' between parts
  bool is_folder = false;
  int64_t bytes = 0;
};

// The class folders and images below a folder, and its preparation.json, sorted by the bytes of
// their paths (docs/formats/dataset.md). What begins with a dot is left out. InvalidArgument for
// links and other things that are neither files nor folders, files that are no images by their
// names, names with control characters or not in UTF-8, and more than two folders deep;
// ResourceExhausted beyond the limits. Contents are not looked at.
absl::StatusOr<std::vector<PackedEntry>> ListFolder(const std::filesystem::path& folder,
                                                    const FolderLimits& limits = {});

// Gives the archive of docs/formats/dataset.md to `take` in pieces of at most 256 KiB, until that
// answers false. The same names and contents give the same bytes. InvalidArgument for a file that
// cannot be read or is not as long as it was when it was listed.
absl::Status PackFolder(const std::filesystem::path& folder,
                        const std::vector<PackedEntry>& entries,
                        const std::function<bool(std::string_view)>& take);

}  // namespace mico
