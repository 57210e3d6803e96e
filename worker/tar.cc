#include "worker/tar.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

struct ArchiveDeleter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct EntryDeleter {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

absl::Status Check(archive* writer, int code, const std::string& path) {
  if (code == ARCHIVE_OK) return absl::OkStatus();
  const char* reason = archive_error_string(writer);
  return absl::InvalidArgumentError(
      fmt::format("archive: '{}': {}", path, reason == nullptr ? "refused" : reason));
}

la_ssize_t Append(archive*, void* text, const void* bytes, size_t size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

absl::Status AddFile(archive* writer, const GeneratedFile& file) {
  const std::unique_ptr<archive_entry, EntryDeleter> entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), file.path.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(file.content.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_mtime(entry.get(), 0, 0);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  MICO_RETURN_IF_ERROR(Check(writer, archive_write_header(writer, entry.get()), file.path));
  const la_ssize_t written = archive_write_data(writer, file.content.data(), file.content.size());
  return Check(writer,
               written == static_cast<la_ssize_t>(file.content.size()) ? ARCHIVE_OK : ARCHIVE_FATAL,
               file.path);
}

}  // namespace

absl::StatusOr<std::string> WriteTar(std::span<const GeneratedFile> files) {
  std::vector<const GeneratedFile*> sorted;
  for (const GeneratedFile& file : files) sorted.push_back(&file);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->path < b->path; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->path == sorted[i - 1]->path) {
      return absl::InvalidArgumentError(fmt::format("archive: '{}' twice", sorted[i]->path));
    }
  }

  std::string bytes;
  const std::unique_ptr<archive, ArchiveDeleter> writer(archive_write_new());
  MICO_RETURN_IF_ERROR(Check(writer.get(), archive_write_set_format_ustar(writer.get()), "format"));
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  MICO_RETURN_IF_ERROR(Check(
      writer.get(), archive_write_open(writer.get(), &bytes, nullptr, Append, nullptr), "open"));
  for (const GeneratedFile* file : sorted) MICO_RETURN_IF_ERROR(AddFile(writer.get(), *file));
  MICO_RETURN_IF_ERROR(Check(writer.get(), archive_write_close(writer.get()), "close"));
  return bytes;
}

}  // namespace mico
