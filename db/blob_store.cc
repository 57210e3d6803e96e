#include "db/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "db/file_system.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

std::filesystem::path PathBelow(const std::filesystem::path& root, const Digest& digest) {
  return root / digest.hex().substr(0, 2) / digest.hex();
}

absl::Status MissingBlob(const Digest& digest) {
  return absl::NotFoundError(fmt::format("blob {}: not on this server", digest.hex()));
}

}  // namespace

BlobWriter::BlobWriter(Digest expected, std::filesystem::path temporary,
                       std::filesystem::path final_path, int fd, int64_t most_bytes)
    : expected_(std::move(expected)),
      temporary_(std::move(temporary)),
      final_(std::move(final_path)),
      fd_(fd),
      most_bytes_(most_bytes) {}

BlobWriter::~BlobWriter() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status BlobWriter::Append(std::string_view chunk) {
  MICO_RETURN_IF_ERROR(status_);
  bytes_ += static_cast<int64_t>(chunk.size());
  if (bytes_ > most_bytes_) {
    return status_ = absl::ResourceExhaustedError(
               fmt::format("blob {}: more than {} bytes", expected_.hex(), most_bytes_));
  }
  digest_.Update(chunk);
  while (!chunk.empty()) {
    const ssize_t written = write(fd_, chunk.data(), chunk.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return status_ = SystemError(errno, "writing", temporary_);
    chunk.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status BlobWriter::Commit() {
  MICO_RETURN_IF_ERROR(status_);
  const Digest found = digest_.Finish();
  if (found != expected_) {
    return absl::DataLossError(fmt::format("blob: {} bytes with digest {}; announced: {}", bytes_,
                                           found.hex(), expected_.hex()));
  }
  if (fsync(fd_) != 0) return SystemError(errno, "syncing", temporary_);
  if (rename(temporary_.c_str(), final_.c_str()) != 0) {
    return SystemError(errno, "renaming to", final_);
  }
  temporary_.clear();
  return SyncFolder(final_.parent_path());
}

BlobReader::~BlobReader() { close(fd_); }

absl::StatusOr<std::string> BlobReader::ReadFile(int64_t offset, size_t most) const {
  std::string chunk(most, '\0');
  size_t filled = 0;
  while (filled < most) {
    const ssize_t got =
        pread(fd_, chunk.data() + filled, most - filled, offset + static_cast<int64_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(errno, "reading", PathBelow(root_, digest_));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  chunk.resize(filled);
  return chunk;
}

absl::StatusOr<std::string> BlobReader::Read(int64_t offset, size_t most) {
  MICO_RETURN_IF_ERROR(DigestUpTo(offset));
  MICO_ASSIGN_OR_RETURN(std::string chunk, ReadFile(offset, most));
  if (offset == digested_bytes_) {
    builder_.Update(chunk);
    digested_bytes_ += static_cast<int64_t>(chunk.size());
  }
  const bool at_end = offset + static_cast<int64_t>(chunk.size()) >= total_bytes_;
  // A file that ends before its size has been cut off since it was opened.
  if (at_end || (chunk.empty() && most > 0)) MICO_RETURN_IF_ERROR(CheckDigest());
  return chunk;
}

absl::Status BlobReader::DigestUpTo(int64_t offset) {
  while (digested_bytes_ < offset) {
    const auto missing = static_cast<size_t>(offset - digested_bytes_);
    MICO_ASSIGN_OR_RETURN(const std::string chunk,
                          ReadFile(digested_bytes_, std::min(missing, kChunkBytes)));
    if (chunk.empty()) break;
    builder_.Update(chunk);
    digested_bytes_ += static_cast<int64_t>(chunk.size());
  }
  return absl::OkStatus();
}

absl::Status BlobReader::CheckDigest() {
  if (checked_) return *checked_;
  // Somebody may have gone back, and to the end in one step.
  MICO_RETURN_IF_ERROR(DigestUpTo(total_bytes_));
  const Digest found = builder_.Finish();
  if (found == digest_) return *(checked_ = absl::OkStatus());
  const absl::Status aside = SetAside();
  return *(checked_ = absl::DataLossError(fmt::format(
               "blob {}: damaged on the server's disk: found {} bytes with digest {}; {}; the way "
               "back: upload it again, as a new submit does by itself",
               digest_.hex(), digested_bytes_, found.hex(),
               aside.ok() ? "set aside in blobs/damaged" : std::string(aside.message()))));
}

// Unless the name already stands for another file, which somebody uploaded in the meantime.
absl::Status BlobReader::SetAside() const {
  const std::filesystem::path path = PathBelow(root_, digest_), damaged = root_ / "damaged";
  struct stat read {
  }, named{};
  if (fstat(fd_, &read) != 0) return SystemError(errno, "looking at", path);
  if (stat(path.c_str(), &named) != 0 || named.st_ino != read.st_ino) return absl::OkStatus();
  MICO_RETURN_IF_ERROR(CreateFolder(damaged));
  if (rename(path.c_str(), (damaged / digest_.hex()).c_str()) != 0) {
    return SystemError(errno, "moving away", path);
  }
  MICO_RETURN_IF_ERROR(SyncFolder(damaged));
  return SyncFolder(path.parent_path());
}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(const std::filesystem::path& root,
                                                           const BlobStoreOptions& options) {
  const std::filesystem::path incoming = root / "incoming";
  std::error_code error;
  // What is in here was being written when a server died.
  std::filesystem::remove_all(incoming, error);
  if (error) return SystemError(error.value(), "emptying", incoming);
  MICO_RETURN_IF_ERROR(CreateFolder(incoming));
  if (access(root.c_str(), R_OK | W_OK | X_OK) != 0) return SystemError(errno, "writing to", root);
  return std::unique_ptr<BlobStore>(new BlobStore(root, options));
}

std::filesystem::path BlobStore::PathOf(const Digest& digest) const {
  return PathBelow(root_, digest);
}

bool BlobStore::Has(const Digest& digest) const {
  std::error_code ignored;
  return !digest.empty() && std::filesystem::is_regular_file(PathOf(digest), ignored);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> BlobStore::NewWriter(const Digest& expected) const {
  const std::filesystem::path folder = PathOf(expected).parent_path();
  if (mkdir(folder.c_str(), 0755) == 0) {
    MICO_RETURN_IF_ERROR(SyncFolder(root_));
  } else if (errno != EEXIST) {
    return SystemError(errno, "creating the folder", folder);
  }
  std::string temporary = (root_ / "incoming" / "blob-XXXXXX").string();
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "creating a file in", root_ / "incoming");
  return std::unique_ptr<BlobWriter>(
      new BlobWriter(expected, temporary, PathOf(expected), fd, options_.most_bytes));
}

absl::StatusOr<std::unique_ptr<BlobReader>> BlobStore::NewReader(const Digest& digest) const {
  if (digest.empty()) return absl::InvalidArgumentError("blob: no digest");
  const int fd = open(PathOf(digest).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return MissingBlob(digest);
  if (fd < 0) return SystemError(errno, "opening", PathOf(digest));
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return SystemError(error, "reading the size of", PathOf(digest));
  }
  return std::unique_ptr<BlobReader>(new BlobReader(digest, root_, fd, info.st_size));
}

absl::StatusOr<std::string> BlobStore::Read(const Digest& digest, uint64_t most_bytes) const {
  if (!Has(digest)) return MissingBlob(digest);
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobReader> reader, NewReader(digest));
  const auto bytes = static_cast<uint64_t>(reader->total_bytes());
  if (bytes > most_bytes) {
    return absl::ResourceExhaustedError(
        fmt::format("blob {}: {} bytes; needed: at most {}", digest.hex(), bytes, most_bytes));
  }
  return reader->Read(0, bytes);
}

absl::StatusOr<Digest> BlobStore::Put(std::string_view bytes) const {
  const Digest digest = Digest::Of(bytes);
  if (Has(digest)) return digest;
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, NewWriter(digest));
  MICO_RETURN_IF_ERROR(writer->Append(bytes));
  MICO_RETURN_IF_ERROR(writer->Commit());
  return digest;
}

absl::Status BlobStore::Remove(const Digest& digest) const {
  const std::filesystem::path path = PathOf(digest);
  if (digest.empty()) return absl::InvalidArgumentError("blob: no digest");
  if (unlink(path.c_str()) == 0) return SyncFolder(path.parent_path());
  return errno == ENOENT ? absl::OkStatus() : SystemError(errno, "removing", path);
}

}  // namespace mico
