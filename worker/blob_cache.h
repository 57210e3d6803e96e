#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "grpcpp/channel.h"
#include "proto/exploration.grpc.pb.h"

namespace mico {

struct BlobCacheOptions {
  // Where blobs are kept between runs. Workers may share it.
  std::filesystem::path folder;
  // The blobs used longest ago are deleted when all are larger than this.
  uint64_t most_bytes = uint64_t{4} << 30;
  // A larger blob is refused.
  uint64_t most_blob_bytes = uint64_t{2} << 30;
};

// The server's blobs, kept on the worker's disk. Content is checked against its digest whenever it
// is read or fetched. While the server is away, calls wait and try again until `cancelled` (may be
// null) becomes true. Thread-safe.
class BlobCache {
 public:
  static absl::StatusOr<std::unique_ptr<BlobCache>> Open(
      const std::shared_ptr<grpc::ChannelInterface>& channel, const BlobCacheOptions& options);

  // NotFound if the server has no such blob; DataLoss if it sends other bytes than the digest says.
  absl::StatusOr<std::string> Get(const Digest& digest, const std::atomic<bool>* cancelled);
  // When this returns OK the blob is on the server's disk. Sends nothing that is there already.
  absl::StatusOr<Digest> Put(std::string_view bytes, const std::atomic<bool>* cancelled);

 private:
  BlobCache(const std::shared_ptr<grpc::ChannelInterface>& channel, BlobCacheOptions options);

  absl::StatusOr<std::string> Download(const Digest& digest);
  absl::Status UploadIfMissing(const Digest& digest, std::string_view bytes);
  std::string ReadKept(const Digest& digest);
  void Keep(const Digest& digest, std::string_view bytes);
  void DeleteOldest();

  const BlobCacheOptions options_;
  const std::unique_ptr<v1::BlobService::StubInterface> stub_;
  absl::Mutex mutex_;  // one thread at a time changes the folder
};

}  // namespace mico
