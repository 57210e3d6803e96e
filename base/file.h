#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

// The whole file; ResourceExhausted if it is larger than `most_bytes`.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                                     uint64_t most_bytes = uint64_t{1} << 32);

// Either the whole new content is on disk under `path` when this returns OK, or `path` is as it
// was: a temporary name beside it, fsync, rename, fsync of the folder.
absl::Status WriteFileDurably(const std::filesystem::path& path, std::string_view content);

// A folder of its own that disappears with the object.
class TemporaryFolder {
 public:
  // Below the system's temporary folder, or below `parent` if given.
  static absl::StatusOr<TemporaryFolder> Create(const std::filesystem::path& parent = {});
  ~TemporaryFolder();
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace mico
