#include "client/artifact_files.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/status_macros.h"
#include "client/output.h"
#include "fmt/format.h"

namespace mico {
namespace {

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;
using Files = std::map<std::filesystem::path, std::string>;

absl::Status BadArchive(std::string_view why) {
  return absl::DataLossError(fmt::format("artifact: {}", why));
}

absl::Status LibraryError(archive* reader) {
  const char* text = archive_error_string(reader);
  return BadArchive(text != nullptr ? text : "not a tar archive");
}

// A name that stays inside the folder wherever it is unpacked: "src/main.c".
bool IsPlainRelative(const std::filesystem::path& name) {
  return !name.empty() && !name.is_absolute() && name.has_filename() && name != "." &&
         name.lexically_normal().native() == name.native() &&
         std::none_of(name.begin(), name.end(), [](const auto& part) { return part == ".."; });
}

absl::Status CheckEntry(archive_entry* entry, int64_t so_far, const UnpackLimits& limits) {
  const char* name = archive_entry_pathname(entry);
  if (name == nullptr || PrintableLine(name) != name || !IsPlainRelative(name)) {
    return BadArchive(fmt::format("entry '{}' is not a plain relative name",
                                  name != nullptr ? PrintableLine(name) : ""));
  }
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
    return BadArchive(fmt::format("entry '{}' is not a regular file", name));
  }
  if (archive_entry_size(entry) < 0 || archive_entry_size(entry) > limits.most_bytes - so_far) {
    return absl::ResourceExhaustedError(
        fmt::format("artifact: more than {} bytes at '{}'", limits.most_bytes, name));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadContent(archive* reader, archive_entry* entry) {
  std::string content(static_cast<size_t>(archive_entry_size(entry)), '\0');
  if (archive_read_data(reader, content.data(), content.size()) !=
      static_cast<la_ssize_t>(content.size())) {
    return BadArchive(fmt::format("'{}' is cut short", archive_entry_pathname(entry)));
  }
  return content;
}

absl::Status AddFile(const std::filesystem::path& name, std::string content, Files& files) {
  for (auto folder = name.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    if (files.contains(folder)) {
      return BadArchive(
          fmt::format("'{}' is a file and the folder of '{}'", folder.string(), name.string()));
    }
  }
  // The entries below a folder follow its name.
  const auto next = files.lower_bound(name / "");
  const bool is_folder =
      next != files.end() && next->first.string().starts_with(name.string() + "/");
  if (is_folder || !files.emplace(name, std::move(content)).second) {
    return BadArchive(fmt::format("'{}' comes twice", name.string()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Files> ReadTar(std::string_view tar, const UnpackLimits& limits) {
  const Archive reader(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
    return LibraryError(reader.get());
  }
  Files files;
  int64_t bytes = 0;
  archive_entry* entry = nullptr;
  int result = ARCHIVE_OK;
  while ((result = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    MICO_RETURN_IF_ERROR(CheckEntry(entry, bytes, limits));
    if (files.size() == limits.most_files) {
      return absl::ResourceExhaustedError(
          fmt::format("artifact: more than {} files", limits.most_files));
    }
    MICO_ASSIGN_OR_RETURN(std::string content, ReadContent(reader.get(), entry));
    bytes += static_cast<int64_t>(content.size());
    MICO_RETURN_IF_ERROR(AddFile(archive_entry_pathname(entry), std::move(content), files));
  }
  if (result != ARCHIVE_EOF) return LibraryError(reader.get());
  if (files.empty()) return BadArchive("no files in it");
  return files;
}

// Trouble with the user's own folder, whatever the system calls it.
absl::Status FolderError(const std::filesystem::path& path, std::string_view why) {
  return absl::FailedPreconditionError(fmt::format("{}: {}", path.string(), why));
}

absl::Status WriteFiles(const Files& files, const std::filesystem::path& folder) {
  for (const auto& [name, content] : files) {
    const std::filesystem::path path = folder / name;
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    if (error) return FolderError(path.parent_path(), error.message());
    const absl::Status written = WriteFileDurably(path, content);
    if (!written.ok()) return absl::FailedPreconditionError(written.message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckNewOrEmpty(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(folder, error);
  // Below a file there is nothing, and nothing can come.
  const bool may_come = error != std::errc::not_a_directory;
  if (status.type() == std::filesystem::file_type::not_found && may_come) return absl::OkStatus();
  if (error) return FolderError(folder, error.message());
  if (!std::filesystem::is_directory(status)) {
    return FolderError(folder, "not a folder; needed: a new or empty folder");
  }
  const bool empty = std::filesystem::is_empty(folder, error);
  if (error) return FolderError(folder, error.message());
  return empty ? absl::OkStatus() : FolderError(folder, "not empty; needed: a new or empty folder");
}

absl::StatusOr<int> UnpackTar(std::string_view tar, const std::filesystem::path& folder,
                              const UnpackLimits& limits) {
  MICO_RETURN_IF_ERROR(CheckNewOrEmpty(folder));
  MICO_ASSIGN_OR_RETURN(const Files files, ReadTar(tar, limits));
  std::error_code error;
  const bool existed = std::filesystem::exists(folder, error);
  const absl::Status written = WriteFiles(files, folder);
  if (written.ok()) return static_cast<int>(files.size());
  // Half an artifact looks like a whole one. The folder was empty before.
  for (const auto& [name, content] : files) {
    std::filesystem::remove_all(folder / *name.begin(), error);
  }
  if (!existed) std::filesystem::remove(folder, error);
  return written;
}

}  // namespace mico
