#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
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

  // ResourceExhausted when the disk is full or the blob too large.
  absl::Status Append(std::string_view chunk);
  // On disk under its name when this returns OK. DataLoss if the bytes have another digest.
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
};

// One blob on its way out, in chunks. Not thread-safe.
class BlobReader {
 public:
  ~BlobReader();
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;

  int64_t total_bytes() const { return total_bytes_; }
  // At most `most` bytes from `offset`; empty at the end.
  absl::StatusOr<std::string> Read(int64_t offset, size_t most) const;

 private:
  friend class BlobStore;
  BlobReader(int fd, int64_t total_bytes) : fd_(fd), total_bytes_(total_bytes) {}
  int fd_;
  int64_t total_bytes_;
};

// Bulky immutable things by the SHA-256 of their bytes: <root>/ab/<64 digits>. A blob is written
// under a temporary name, synced and renamed, so a name always stands for the whole content.
// Thread-safe.
class BlobStore {
 public:
  // Creates the folder; removes what interrupted writers left.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(const std::filesystem::path& root,
                                                         const BlobStoreOptions& options = {});

  bool Has(const Digest& digest) const;
  absl::StatusOr<std::unique_ptr<BlobWriter>> NewWriter(const Digest& expected) const;
  // NotFound if there is no such blob.
  absl::StatusOr<std::unique_ptr<BlobReader>> NewReader(const Digest& digest) const;
  // The whole blob; NotFound, or ResourceExhausted if it is larger than `most_bytes`.
  absl::StatusOr<std::string> Read(const Digest& digest,
                                   uint64_t most_bytes = uint64_t{4} << 30) const;
  absl::StatusOr<Digest> Put(std::string_view bytes) const;

 private:
  BlobStore(std::filesystem::path root, BlobStoreOptions options)
      : root_(std::move(root)), options_(options) {}
  std::filesystem::path PathOf(const Digest& digest) const;

  std::filesystem::path root_;
  BlobStoreOptions options_;
};

}  // namespace mico
