#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"

namespace mico {

struct BlobStoreOptions {
  // What a stranger may upload as one blob.
  int64_t most_bytes = int64_t{4} << 30;
};

// One blob on its way in. Nobody sees it before Commit; an object that is destroyed without Commit
// leaves nothing behind. Not thread-safe.
class BlobWriter {
 public:
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  // ResourceExhausted when the disk is full or the blob too large; the blob has then failed.
  absl::Status Append(std::string_view chunk);
  // On disk under its name when this returns OK. DataLoss if the bytes have another digest; what
  // Append said if it failed.
  absl::Status Commit();
  int64_t bytes() const { return bytes_; }

 private:
  friend class BlobStore;
  BlobWriter(Digest expected, std::filesystem::path temporary, std::filesystem::path final_path,
             int fd, int64_t most_bytes);

  Digest expected_;
  std::filesystem::path temporary_, final_;
  int fd_;
  int64_t most_bytes_;
  int64_t bytes_ = 0;
  DigestBuilder digest_;
  absl::Status status_;
};

// One blob on its way out, in chunks. Whoever has read to the end has read the blob: its last chunk
// is given after the digest of everything before it, and fits. Not thread-safe.
class BlobReader {
 public:
  ~BlobReader();
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;

  int64_t total_bytes() const { return total_bytes_; }
  // At most `most` bytes from `offset`; empty at the end. Cheapest in order: what was skipped is
  // read for the digest. DataLoss instead of the last chunk if the bytes on disk have another
  // digest: the file is moved to <root>/damaged, the blob is missing from then on, and whoever
  // uploads it again has healed it.
  absl::StatusOr<std::string> Read(int64_t offset, size_t most);

 private:
  friend class BlobStore;
  BlobReader(Digest digest, std::filesystem::path root, int fd, int64_t total_bytes)
      : digest_(std::move(digest)), root_(std::move(root)), fd_(fd), total_bytes_(total_bytes) {}
  absl::StatusOr<std::string> ReadFile(int64_t offset, size_t most) const;
  absl::Status DigestUpTo(int64_t offset);
  absl::Status CheckDigest();
  absl::Status SetAside() const;

  Digest digest_;
  std::filesystem::path root_;
  int fd_;
  int64_t total_bytes_;
  int64_t digested_bytes_ = 0;  // `builder_` has seen so many from the start
  DigestBuilder builder_;
  std::optional<absl::Status> checked_;
};

// Bulky immutable things by the SHA-256 of their bytes: <root>/ab/<64 digits>. A blob is written
// under a temporary name, synced and renamed, so a name always stands for the whole content; what
// the disk makes of it later is noticed by whoever reads it. Thread-safe.
//
// Errors: ResourceExhausted when the disk is full, FailedPrecondition when the folder cannot be
// written.
class BlobStore {
 public:
  // Creates the folder; removes what interrupted writers left.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(const std::filesystem::path& root,
                                                         const BlobStoreOptions& options = {});

  bool Has(const Digest& digest) const;
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewWriter(const Digest& expected) const;
  // NotFound if there is no such blob.
  absl::StatusOr<std::unique_ptr<BlobReader>> NewReader(const Digest& digest) const;
  // The whole blob; NotFound, ResourceExhausted if it is larger than `most_bytes`, DataLoss as
  // BlobReader::Read.
  absl::StatusOr<std::string> Read(const Digest& digest,
                                   uint64_t most_bytes = uint64_t{4} << 30) const;
  absl::StatusOr<Digest> Put(std::string_view bytes) const;
  // Whoever reads the blob now may read on to its end. OK if there is none.
  absl::Status Remove(const Digest& digest) const;

 private:
  BlobStore(std::filesystem::path root, BlobStoreOptions options)
      : root_(std::move(root)), options_(options) {}
  std::filesystem::path PathOf(const Digest& digest) const;

  std::filesystem::path root_;
  BlobStoreOptions options_;
};

}  // namespace mico
