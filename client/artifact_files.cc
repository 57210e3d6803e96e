#include "client/artifact_files.h"

#include <archive.h>
#include <archive_entry.h>

#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr int64_t kMostBytes = 256 << 20;
constexpr size_t kMostFiles = 10'000;

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

absl::Status CheckEntry(archive_entry* entry, const std::filesystem::path& name, int64_t so_far) {
  const bool climbs = name.is_absolute() || name.empty() || *name.begin() == "..";
  if (climbs || name.lexically_normal() != name) {
    return absl::DataLossError(fmt::format("artifact: entry '{}' is not a plain relative name",
                                           name.string()));
  }
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
    return absl::DataLossError(
        fmt::format("artifact: entry '{}' is not a regular file", name.string()));
  }
  if (archive_entry_size(entry) < 0 || so_far + archive_entry_size(entry) > kMostBytes) {
    return absl::ResourceExhaustedError(
        fmt::format("artifact: more than {} bytes at '{}'", kMostBytes, name.string()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::filesystem::path, std::string>> ReadTar(std::string_view tar) {
  const Archive reader(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
    return absl::DataLossError(fmt::format("artifact: {}", archive_error_string(reader.get())));
  }
  std::map<std::filesystem::path, std::string> files;
  int64_t bytes = 0;
  archive_entry* entry = nullptr;
  int result = ARCHIVE_OK;
  while ((result = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    const std::filesystem::path name(archive_entry_pathname(entry));
    MICO_RETURN_IF_ERROR(CheckEntry(entry, name, bytes));
    std::string content(static_cast<size_t>(archive_entry_size(entry)), '\0');
    if (archive_read_data(reader.get(), content.data(), content.size()) !=
        static_cast<la_ssize_t>(content.size())) {
      return absl::DataLossError(fmt::format("artifact: '{}' is cut short", name.string()));
    }
    bytes += static_cast<int64_t>(content.size());
    files[name] = std::move(content);
    if (files.size() > kMostFiles) {
      return absl::ResourceExhaustedError(
          fmt::format("artifact: more than {} files", kMostFiles));
    }
  }
  if (result != ARCHIVE_EOF) {
    return absl::DataLossError(fmt::format("artifact: {}", archive_error_string(reader.get())));
  }
  return files;
}

}  // namespace

absl::StatusOr<int> UnpackTar(std::string_view tar, const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: not empty; needed: a new or empty folder", folder.string()));
  }
  MICO_ASSIGN_OR_RETURN(const auto files, ReadTar(tar));
  for (const auto& [name, content] : files) {
    std::filesystem::create_directories((folder / name).parent_path(), error);
    if (error) {
      return absl::PermissionDeniedError(
          fmt::format("creating {}: {}", (folder / name).parent_path().string(), error.message()));
    }
    MICO_RETURN_IF_ERROR(WriteFileDurably(folder / name, content));
  }
  return static_cast<int>(files.size());
}

}  // namespace mico
