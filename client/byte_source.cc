#include "client/byte_source.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "base/text.h"
#include "client/folder_archive.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kChunkBytes = size_t{256} * 1024;

absl::Status FileError(const std::filesystem::path& path, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", path.string(), why));
}

// Gives the file's bytes to `take` in chunks until it answers false.
absl::Status ReadInChunks(const std::filesystem::path& path,
                          const std::function<bool(std::string_view)>& take) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (error) return FileError(path, error.message());
  if (!std::filesystem::is_regular_file(status)) return FileError(path, "not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError(path, std::strerror(errno));
  std::string chunk(kChunkBytes, '\0');
  bool wanted = true;
  while (wanted && file) {
    file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    const auto got = static_cast<size_t>(file.gcount());
    if (got > 0) wanted = take(std::string_view(chunk).substr(0, got));
  }
  return file.bad() ? FileError(path, std::strerror(errno)) : absl::OkStatus();
}

}  // namespace

ByteSource FileSource(const std::filesystem::path& path) {
  return [path](const std::function<bool(std::string_view)>& take) {
    return ReadInChunks(path, take);
  };
}

absl::StatusOr<ByteSource> DataSource(const std::filesystem::path& path) {
  std::error_code ignored;  // what is no folder is read as a file, which says what is wrong
  if (!std::filesystem::is_directory(path, ignored)) return FileSource(path);
  MICO_ASSIGN_OR_RETURN(std::vector<PackedEntry> entries, ListFolder(path));
  return [path, entries = std::move(entries)](const std::function<bool(std::string_view)>& take) {
    return PackFolder(path, entries, take);
  };
}

std::string NameOf(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  if (error) whole = path;
  if (!whole.has_filename()) whole = whole.parent_path();
  return PrintableLine(whole.filename().string());
}

}  // namespace mico
