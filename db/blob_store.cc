#include "db/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

absl::Status SystemError(std::string_view action, const std::filesystem::path& path) {
  const int error = errno;
  const std::string text = fmt::format("{} {}: {}", action, path.string(), std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::InternalError(text);
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("opening", folder);
  absl::Status status;
  if (fsync(fd) != 0) status = SystemError("syncing", folder);
  close(fd);
  return status;
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
  bytes_ += static_cast<int64_t>(chunk.size());
  if (bytes_ > most_bytes_) {
    return absl::ResourceExhaustedError(
        fmt::format("blob {}: more than {} bytes", expected_.hex(), most_bytes_));
  }
  digest_.Update(chunk);
  while (!chunk.empty()) {
    const ssize_t written = write(fd_, chunk.data(), chunk.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("writing", temporary_);
    chunk.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status BlobWriter::Commit() {
  const Digest found = digest_.Finish();
  if (found != expected_) {
    return absl::DataLossError(fmt::format("blob: {} bytes with digest {}; announced: {}", bytes_,
                                           found.hex(), expected_.hex()));
  }
  if (fsync(fd_) != 0) return SystemError("syncing", temporary_);
  if (rename(temporary_.c_str(), final_.c_str()) != 0) return SystemError("renaming to", final_);
  temporary_.clear();
  return SyncFolder(final_.parent_path());
}

BlobReader::~BlobReader() { close(fd_); }

absl::StatusOr<std::string> BlobReader::Read(int64_t offset, size_t most) const {
  std::string chunk(most, '\0');
  size_t filled = 0;
  while (filled < most) {
    const ssize_t got =
        pread(fd_, chunk.data() + filled, most - filled, offset + static_cast<int64_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::InternalError(fmt::format("reading a blob: {}", strerror(errno)));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  chunk.resize(filled);
  return chunk;
}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(const std::filesystem::path& root,
                                                           const BlobStoreOptions& options) {
  std::error_code error;
  // What is in here was being written when a server died.
  std::filesystem::remove_all(root / "incoming", error);
  std::filesystem::create_directories(root / "incoming", error);
  if (error) {
    return absl::InternalError(fmt::format("creating {}: {}", root.string(), error.message()));
  }
  return std::unique_ptr<BlobStore>(new BlobStore(root, options));
}

std::filesystem::path BlobStore::PathOf(const Digest& digest) const {
  return root_ / digest.hex().substr(0, 2) / digest.hex();
}

bool BlobStore::Has(const Digest& digest) const {
  std::error_code ignored;
  return !digest.empty() && std::filesystem::is_regular_file(PathOf(digest), ignored);
}

absl::StatusOr<std::unique_ptr<BlobWriter>> BlobStore::NewWriter(const Digest& expected) const {
  const std::filesystem::path folder = PathOf(expected).parent_path();
  std::error_code error;
  if (std::filesystem::create_directory(folder, error)) MICO_RETURN_IF_ERROR(SyncFolder(root_));
  if (error) {
    return absl::InternalError(fmt::format("creating {}: {}", folder.string(), error.message()));
  }
  std::string temporary = (root_ / "incoming" / "blob-XXXXXX").string();
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return SystemError("creating a file in", root_ / "incoming");
  return std::unique_ptr<BlobWriter>(
      new BlobWriter(expected, temporary, PathOf(expected), fd, options_.most_bytes));
}

absl::StatusOr<std::unique_ptr<BlobReader>> BlobStore::NewReader(const Digest& digest) const {
  if (digest.empty()) return absl::InvalidArgumentError("blob: no digest");
  const int fd = open(PathOf(digest).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return MissingBlob(digest);
  if (fd < 0) return SystemError("opening", PathOf(digest));
  struct stat info {};
  if (fstat(fd, &info) != 0) {
    close(fd);
    return SystemError("reading the size of", PathOf(digest));
  }
  return std::unique_ptr<BlobReader>(new BlobReader(fd, info.st_size));
}

absl::StatusOr<std::string> BlobStore::Read(const Digest& digest, uint64_t most_bytes) const {
  if (!Has(digest)) return MissingBlob(digest);
  return ReadFile(PathOf(digest), most_bytes);
}

absl::StatusOr<Digest> BlobStore::Put(std::string_view bytes) const {
  const Digest digest = Digest::Of(bytes);
  if (Has(digest)) return digest;
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer, NewWriter(digest));
  MICO_RETURN_IF_ERROR(writer->Append(bytes));
  MICO_RETURN_IF_ERROR(writer->Commit());
  return digest;
}

}  // namespace mico
