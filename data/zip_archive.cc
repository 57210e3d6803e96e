#include "data/zip_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr int kMostEntries = 1000;
constexpr size_t kChunk = 1 << 16;

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

absl::Status Broken(archive* zip, std::string_view what) {
  const char* text = archive_error_string(zip);
  std::string reason = text != nullptr ? text : "not readable";
  absl::StripTrailingAsciiWhitespace(&reason);  // some of its sentences end with a new line
  return absl::InvalidArgumentError(fmt::format("{}: {}", what, reason));
}

absl::StatusOr<Archive> Open(std::string_view bytes) {
  Archive zip(archive_read_new(), &archive_read_free);
  // Only by its directory, which lies at the end: a file that was cut off is then refused rather
  // than read as one with fewer arrays.
  archive_read_support_format_zip_seekable(zip.get());
  if (archive_read_open_memory(zip.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return Broken(zip.get(), "zip file");
  }
  return zip;
}

absl::Status TooLarge(const std::string& name, uint64_t most_bytes) {
  return absl::ResourceExhaustedError(fmt::format(
      "entry '{}' makes the unpacked contents larger than {} bytes, the most for a zip file of "
      "this size",
      name, most_bytes));
}

// The current entry's content. What the entry says of its size is a hint; what comes is counted.
absl::StatusOr<std::string> ReadEntry(archive* zip, archive_entry* entry, const std::string& name,
                                      uint64_t used_bytes, uint64_t most_bytes) {
  const uint64_t left = most_bytes - used_bytes;
  std::string content;
  if (archive_entry_size_is_set(entry)) {
    const int64_t promised = archive_entry_size(entry);
    if (promised < 0 || static_cast<uint64_t>(promised) > left) return TooLarge(name, most_bytes);
  }
  while (true) {
    const size_t had = content.size();
    content.resize(had + kChunk);
    const la_ssize_t got = archive_read_data(zip, content.data() + had, kChunk);
    if (got < 0) return Broken(zip, fmt::format("entry '{}'", name));
    content.resize(had + static_cast<size_t>(got));
    if (got == 0) return content;
    if (content.size() > left) return TooLarge(name, most_bytes);
  }
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> UnpackZip(std::string_view bytes,
                                                             const std::set<std::string>& wanted,
                                                             uint64_t most_bytes) {
  MICO_ASSIGN_OR_RETURN(const Archive zip, Open(bytes));
  std::map<std::string, std::string> contents;
  uint64_t used_bytes = 0;
  archive_entry* entry = nullptr;
  for (int count = 0;; ++count) {
    const int result = archive_read_next_header(zip.get(), &entry);
    if (result == ARCHIVE_EOF) return contents;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Broken(zip.get(), "zip file");
    if (count == kMostEntries) {
      return absl::ResourceExhaustedError(
          fmt::format("zip file has more than {} entries", kMostEntries));
    }
    const char* path = archive_entry_pathname(entry);
    const std::string name = path != nullptr ? path : "";
    if (!wanted.contains(name)) continue;
    if (contents.contains(name)) {
      return absl::InvalidArgumentError(fmt::format("two entries are named '{}'", name));
    }
    if (archive_entry_is_encrypted(entry)) {
      return absl::InvalidArgumentError(fmt::format("entry '{}' is encrypted", name));
    }
    MICO_ASSIGN_OR_RETURN(std::string content,
                          ReadEntry(zip.get(), entry, name, used_bytes, most_bytes));
    used_bytes += content.size();
    contents.emplace(name, std::move(content));
  }
}

}  // namespace mico
