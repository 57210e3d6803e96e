#include "client/folder_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "absl/strings/ascii.h"
#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

constexpr int kPieceBytes = 256 * 1024;
constexpr int kMostFolders = 2;  // train/CLASS
constexpr std::string_view kPreparation = "preparation.json";

absl::Status Refused(const fs::path& path, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", PrintableLine(path.string()), why));
}

bool IsImageName(const fs::path& name) {
  constexpr std::array<std::string_view, 3> kExtensions{".png", ".jpg", ".jpeg"};
  const std::string extension = absl::AsciiStrToLower(name.extension().string());
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

class Lister {
 public:
  Lister(const fs::path& folder, const FolderLimits& limits) : root_(folder), limits_(limits) {}

  absl::StatusOr<std::vector<PackedEntry>> List() {
    MICO_RETURN_IF_ERROR(Enter(root_, "", 0));
    if (entries_.empty()) return Refused(root_, "an empty folder; needed class folders of images");
    std::sort(entries_.begin(), entries_.end(),
              [](const PackedEntry& a, const PackedEntry& b) { return a.path < b.path; });
    return std::move(entries_);
  }

 private:
  // `prefix` is the path from the root on, with a final slash where it is not empty.
  absl::Status Enter(const fs::path& folder, const std::string& prefix, int depth) {
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      MICO_RETURN_IF_ERROR(Add(*entries, prefix, depth));
    }
    return error ? Refused(folder, error.message()) : absl::OkStatus();
  }

  absl::Status Add(const fs::directory_entry& entry, const std::string& prefix, int depth) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.')) return absl::OkStatus();
    if (!IsPlainText(name)) {
      return Refused(entry.path(), "a name with control characters, or not in UTF-8");
    }
    std::error_code error;
    const fs::file_status status = entry.symlink_status(error);
    if (error) return Refused(entry.path(), error.message());
    if (fs::is_directory(status)) return AddFolder(entry, prefix + name, depth);
    if (fs::is_regular_file(status)) return AddFile(entry, prefix + name, depth);
    return Refused(entry.path(), fs::is_symlink(status)
                                     ? "a symbolic link; needed the file or folder itself"
                                     : "neither a file nor a folder");
  }

  absl::Status AddFolder(const fs::directory_entry& entry, const std::string& path, int depth) {
    if (depth == kMostFolders) {
      return Refused(entry.path(), "too deep; needed CLASS/FILE or train/CLASS/FILE");
    }
    MICO_RETURN_IF_ERROR(Append(entry, {path, true, 0}));
    return Enter(entry.path(), path + "/", depth + 1);
  }

  absl::Status AddFile(const fs::directory_entry& entry, const std::string& path, int depth) {
    if (path != kPreparation && !IsImageName(entry.path())) {
      return Refused(entry.path(), "not an image by its name; needed .png, .jpg or .jpeg");
    }
    if (path != kPreparation && depth == 0) {
      return Refused(entry.path(), "in no class folder; needed CLASS/FILE or train/CLASS/FILE");
    }
    std::error_code error;
    const auto bytes = static_cast<int64_t>(entry.file_size(error));
    if (error) return Refused(entry.path(), error.message());
    if (bytes > limits_.most_file_bytes) {
      return absl::ResourceExhaustedError(fmt::format("{}: {} bytes; needed at most {}",
                                                      entry.path().string(), bytes,
                                                      limits_.most_file_bytes));
    }
    return Append(entry, {path, false, bytes});
  }

  absl::Status Append(const fs::directory_entry& entry, PackedEntry added) {
    bytes_ += added.bytes;
    if (bytes_ > limits_.most_bytes ||
        static_cast<int64_t>(entries_.size()) == limits_.most_entries) {
      return absl::ResourceExhaustedError(fmt::format("{}: more than {} files or {} bytes, at {}",
                                                      root_.string(), limits_.most_entries,
                                                      limits_.most_bytes, entry.path().string()));
    }
    entries_.push_back(std::move(added));
    return absl::OkStatus();
  }

  const fs::path& root_;
  const FolderLimits& limits_;
  std::vector<PackedEntry> entries_;
  int64_t bytes_ = 0;
};

struct ArchiveDeleter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct EntryDeleter {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

// Where the archive's bytes go, and whether they are still wanted.
struct Sink {
  const std::function<bool(std::string_view)>& take;
  bool wanted = true;
};

la_ssize_t Give(archive*, void* to, const void* bytes, size_t size) {
  Sink& sink = *static_cast<Sink*>(to);
  sink.wanted = sink.wanted && sink.take({static_cast<const char*>(bytes), size});
  return sink.wanted ? static_cast<la_ssize_t>(size) : -1;
}

class Packer {
 public:
  Packer(const fs::path& folder, const std::function<bool(std::string_view)>& take)
      : folder_(folder), sink_{take}, writer_(archive_write_new()) {}

  absl::Status Pack(const std::vector<PackedEntry>& entries) {
    archive_write_set_format_ustar(writer_.get());
    archive_write_set_bytes_per_block(writer_.get(), kPieceBytes);
    archive_write_set_bytes_in_last_block(writer_.get(), 1);  // no padding behind the end
    MICO_RETURN_IF_ERROR(
        Check(archive_write_open(writer_.get(), &sink_, nullptr, &Give, nullptr), folder_));
    for (const PackedEntry& entry : entries) {
      MICO_RETURN_IF_ERROR(Add(entry));
      if (!sink_.wanted) return absl::OkStatus();
    }
    return Check(archive_write_close(writer_.get()), folder_);
  }

 private:
  // A sink that wants no more makes calls fail, and that is no error.
  absl::Status Check(la_ssize_t result, const fs::path& path) {
    if (result >= ARCHIVE_OK || !sink_.wanted) return absl::OkStatus();
    const char* reason = archive_error_string(writer_.get());
    return Refused(path, reason != nullptr ? reason : "cannot be packed");
  }

  absl::Status Add(const PackedEntry& entry) {
    const fs::path path = folder_ / entry.path;
    const std::unique_ptr<archive_entry, EntryDeleter> header(archive_entry_new());
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    archive_entry_set_filetype(header.get(), entry.is_folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(header.get(), entry.is_folder ? 0755 : 0644);
    archive_entry_set_size(header.get(), entry.bytes);
    archive_entry_set_mtime(header.get(), 0, 0);
    archive_entry_set_uid(header.get(), 0);
    archive_entry_set_gid(header.get(), 0);
    MICO_RETURN_IF_ERROR(Check(archive_write_header(writer_.get(), header.get()), path));
    return entry.is_folder ? absl::OkStatus() : AddContent(path, entry.bytes);
  }

  absl::Status AddContent(const fs::path& path, int64_t bytes) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return Refused(path, std::strerror(errno));
    int64_t had = 0;
    while (file && sink_.wanted) {
      file.read(piece_.data(), static_cast<std::streamsize>(piece_.size()));
      const auto got = static_cast<int64_t>(file.gcount());
      had += got;
      if (had > bytes) break;
      MICO_RETURN_IF_ERROR(Check(archive_write_data(writer_.get(), piece_.data(), got), path));
    }
    if (file.bad()) return Refused(path, std::strerror(errno));
    if (had == bytes || !sink_.wanted) return absl::OkStatus();
    return Refused(path, "changed while it was read");
  }

  const fs::path& folder_;
  Sink sink_;
  std::string piece_ = std::string(kPieceBytes, '\0');
  std::unique_ptr<archive, ArchiveDeleter> writer_;
};

}  // namespace

absl::StatusOr<std::vector<PackedEntry>> ListFolder(const fs::path& folder,
                                                    const FolderLimits& limits) {
  return Lister(folder, limits).List();
}

absl::Status PackFolder(const fs::path& folder, const std::vector<PackedEntry>& entries,
                        const std::function<bool(std::string_view)>& take) {
  return Packer(folder, take).Pack(entries);
}

}  // namespace mico
