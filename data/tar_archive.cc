#include "data/tar_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "absl/strings/ascii.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"

namespace mico {
namespace {

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

constexpr size_t kMagicOffset = 257;

absl::Status Broken(archive* tar, std::string_view what) {
  const char* text = archive_error_string(tar);
  std::string reason = text != nullptr ? text : "not readable";
  absl::StripTrailingAsciiWhitespace(&reason);
  return absl::InvalidArgumentError(fmt::format("{}: {}", what, reason));
}

absl::Status ReadContent(archive* tar, const TarEntry& entry, std::string& content) {
  content.resize(static_cast<size_t>(entry.bytes));
  size_t had = 0;
  while (had < content.size()) {
    const la_ssize_t got = archive_read_data(tar, content.data() + had, content.size() - had);
    if (got < 0) return Broken(tar, fmt::format("'{}'", PrintableLine(entry.path)));
    if (got == 0) break;
    had += static_cast<size_t>(got);
  }
  if (had == content.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("'{}': the archive ends early", entry.path));
}

absl::StatusOr<TarEntry> ReadEntry(archive_entry* raw, uint64_t most_file_bytes) {
  TarEntry entry;
  const char* path = archive_entry_pathname(raw);
  entry.path = path != nullptr ? path : "";
  while (entry.path.ends_with('/')) entry.path.pop_back();
  const auto type = archive_entry_filetype(raw);
  entry.is_folder = type == AE_IFDIR;
  const bool plain = archive_entry_hardlink(raw) == nullptr && archive_entry_sparse_count(raw) == 0;
  if (entry.path.empty() || !plain || (type != AE_IFREG && type != AE_IFDIR)) {
    return absl::InvalidArgumentError(
        fmt::format("entry '{}': needed a regular file or a folder", PrintableLine(entry.path)));
  }
  entry.bytes = entry.is_folder ? 0 : archive_entry_size(raw);
  if (entry.bytes < 0 || static_cast<uint64_t>(entry.bytes) > most_file_bytes) {
    return absl::ResourceExhaustedError(fmt::format("'{}' has {} bytes; needed at most {}",
                                                    PrintableLine(entry.path), entry.bytes,
                                                    most_file_bytes));
  }
  return entry;
}

}  // namespace

bool IsTar(std::string_view bytes) {
  return bytes.size() > kMagicOffset && bytes.substr(kMagicOffset).starts_with("ustar");
}

absl::Status VisitTar(std::string_view bytes, uint64_t most_file_bytes,
                      const std::function<absl::Status(const TarEntry&)>& visit) {
  const Archive tar(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(tar.get());
  if (archive_read_open_memory(tar.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return Broken(tar.get(), "archive of images");
  }
  while (true) {
    archive_entry* raw = nullptr;
    const int result = archive_read_next_header(tar.get(), &raw);
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    if (result != ARCHIVE_OK) return Broken(tar.get(), "archive of images");
    MICO_ASSIGN_OR_RETURN(TarEntry entry, ReadEntry(raw, most_file_bytes));
    entry.read = [&](std::string& content) { return ReadContent(tar.get(), entry, content); };
    MICO_RETURN_IF_ERROR(visit(entry));
  }
}

}  // namespace mico
