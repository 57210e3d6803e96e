#include "worker/blob_cache.h"

#include <fstream>
#include <map>
#include <optional>

#include "base/file.h"
#include "gmock/gmock.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "tests/support/small_disk.h"
#include "worker/server_channel.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

// Blobs in memory, behind the real protocol.
class MemoryBlobs : public v1::BlobService::Service {
 public:
  grpc::Status FindMissing(grpc::ServerContext*, const v1::FindMissingRequest* request,
                           v1::FindMissingResponse* response) override {
    const absl::MutexLock lock(&mutex);
    for (const std::string& digest : request->digests()) {
      if (!blobs.contains(digest)) response->add_missing(digest);
    }
    return grpc::Status::OK;
  }

  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<v1::UploadRequest>* reader,
                      v1::UploadResponse* response) override {
    v1::UploadRequest request;
    std::string digest, bytes;
    while (reader->Read(&request)) {
      if (request.has_digest()) digest = request.digest();
      bytes += request.chunk();
      largest_chunk = std::max(largest_chunk, request.chunk().size());
    }
    if (Digest::Of(bytes).hex() != digest) return {grpc::StatusCode::DATA_LOSS, "digest differs"};
    const absl::MutexLock lock(&mutex);
    if (unavailable_calls > 0) {
      --unavailable_calls;
      return {away, "disk is full"};
    }
    ++uploads;
    blobs[digest] = bytes;
    response->set_digest(digest);
    return grpc::Status::OK;
  }

  grpc::Status Download(grpc::ServerContext*, const v1::DownloadRequest* request,
                        grpc::ServerWriter<v1::DownloadResponse>* writer) override {
    const absl::MutexLock lock(&mutex);
    ++downloads;
    if (unavailable_calls > 0) {
      --unavailable_calls;
      return {away, "restarting"};
    }
    const auto blob = blobs.find(request->digest());
    if (blob == blobs.end()) return {grpc::StatusCode::NOT_FOUND, "no such blob"};
    for (size_t at = 0; at < blob->second.size(); at += 1000) {
      v1::DownloadResponse response;
      response.set_chunk(blob->second.substr(at, 1000));
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

  absl::Mutex mutex;
  std::map<std::string, std::string> blobs;
  int uploads = 0, downloads = 0, unavailable_calls = 0;
  grpc::StatusCode away = grpc::StatusCode::UNAVAILABLE;  // what those calls hear
  size_t largest_chunk = 0;
};

class BlobCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_.emplace(*std::move(folder));
    options_.folder = folder_->path() / "blobs";
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&server_blobs_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    channel_ = ConnectToServer("127.0.0.1:" + std::to_string(port));
  }

  std::unique_ptr<BlobCache> Open() {
    absl::StatusOr<std::unique_ptr<BlobCache>> cache = BlobCache::Open(channel_, options_);
    EXPECT_TRUE(cache.ok()) << cache.status();
    return *std::move(cache);
  }

  Digest OnServer(const std::string& bytes) {
    Digest digest = Digest::Of(bytes);
    server_blobs_.blobs[digest.hex()] = bytes;
    return digest;
  }

  bool IsKept(const Digest& digest) { return fs::exists(options_.folder / digest.hex()); }

  std::optional<TemporaryFolder> folder_;
  BlobCacheOptions options_;
  MemoryBlobs server_blobs_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(BlobCacheTest, ABlobIsFetchedOnceEvenAcrossRestarts) {
  const std::string bytes(12'345, 'x');
  const Digest digest = OnServer(bytes);

  EXPECT_EQ(*Open()->Get(digest, nullptr), bytes);
  EXPECT_EQ(*Open()->Get(digest, nullptr), bytes);

  EXPECT_EQ(server_blobs_.downloads, 1);
}

TEST_F(BlobCacheTest, AMissingBlobIsNotFound) {
  EXPECT_EQ(Open()->Get(Digest::Of("absent"), nullptr).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(BlobCacheTest, BytesOfAnotherDigestAreDataLossAndNotKept) {
  const Digest digest = Digest::Of("right");
  server_blobs_.blobs[digest.hex()] = "wrong";

  EXPECT_EQ(Open()->Get(digest, nullptr).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(IsKept(digest));
}

TEST_F(BlobCacheTest, AKeptBlobThatWentBadIsFetchedAgain) {
  const Digest digest = OnServer("good bytes");
  const auto cache = Open();
  ASSERT_TRUE(cache->Get(digest, nullptr).ok());
  std::ofstream(options_.folder / digest.hex()) << "bad bytes!";

  EXPECT_EQ(*cache->Get(digest, nullptr), "good bytes");
  EXPECT_EQ(server_blobs_.downloads, 2);
}

TEST_F(BlobCacheTest, TheBlobUsedLongestAgoIsDeletedFirst) {
  options_.most_bytes = 2500;
  const Digest first = OnServer(std::string(1000, '1'));
  const Digest second = OnServer(std::string(1000, '2'));
  const Digest third = OnServer(std::string(1000, '3'));
  const auto cache = Open();
  const auto used = [this](const Digest& digest, int hours_ago) {
    fs::last_write_time(options_.folder / digest.hex(),
                        fs::file_time_type::clock::now() - std::chrono::hours(hours_ago));
  };
  ASSERT_TRUE(cache->Get(first, nullptr).ok());
  ASSERT_TRUE(cache->Get(second, nullptr).ok());
  used(first, 3);
  used(second, 2);
  ASSERT_TRUE(cache->Get(first, nullptr).ok());  // used now: the second is the oldest

  ASSERT_TRUE(cache->Get(third, nullptr).ok());

  EXPECT_TRUE(IsKept(first));
  EXPECT_FALSE(IsKept(second));
  EXPECT_TRUE(IsKept(third));
}

TEST_F(BlobCacheTest, AFullDiskCostsTimeAndNothingElse) {
  const std::unique_ptr<SmallDisk> disk = SmallDisk::Mount(1 << 20);
  if (disk == nullptr) GTEST_SKIP() << "SKIPPED: this process may not mount a tmpfs";
  options_.folder = disk->path() / "blobs";
  const std::unique_ptr<BlobCache> cache = Open();
  const std::string bytes(200'000, 'x');
  const Digest digest = OnServer(bytes);
  disk->Fill();

  EXPECT_EQ(*cache->Get(digest, nullptr), bytes);
  EXPECT_FALSE(IsKept(digest));
  EXPECT_TRUE(fs::is_empty(options_.folder)) << "nothing half written";

  disk->MakeRoom();
  EXPECT_EQ(*cache->Get(digest, nullptr), bytes);
  EXPECT_TRUE(IsKept(digest));
}

TEST_F(BlobCacheTest, ATooLargeBlobIsRefused) {
  options_.most_blob_bytes = 5000;
  const Digest digest = OnServer(std::string(5001, 'x'));

  EXPECT_EQ(Open()->Get(digest, nullptr).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(BlobCacheTest, AnUploadGoesInChunksAndOnlyOnce) {
  const std::string bytes(600'000, 'y');
  const auto cache = Open();

  ASSERT_TRUE(cache->Put(bytes, nullptr).ok());
  ASSERT_TRUE(cache->Put(bytes, nullptr).ok());

  EXPECT_EQ(server_blobs_.uploads, 1);
  EXPECT_EQ(server_blobs_.blobs[Digest::Of(bytes).hex()], bytes);
  EXPECT_EQ(server_blobs_.largest_chunk, 256 * 1024);
}

TEST_F(BlobCacheTest, AServerThatIsAwayForAMomentIsAskedAgain) {
  const Digest digest = OnServer("patience");
  server_blobs_.unavailable_calls = 2;

  EXPECT_EQ(*Open()->Get(digest, nullptr), "patience");
  EXPECT_EQ(server_blobs_.downloads, 3);
}

TEST_F(BlobCacheTest, ADownloadThatALeavingServerCutsOffIsAskedForAgain) {
  const Digest digest = OnServer("patience");
  server_blobs_.away = grpc::StatusCode::CANCELLED;
  server_blobs_.unavailable_calls = 1;

  EXPECT_EQ(*Open()->Get(digest, nullptr), "patience");
  EXPECT_EQ(server_blobs_.downloads, 2);
}

TEST_F(BlobCacheTest, ACancelledTaskDoesNotWaitForTheServer) {
  server_->Shutdown();
  const std::atomic<bool> cancelled = true;

  EXPECT_EQ(Open()->Get(Digest::Of("anything"), &cancelled).status().code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace mico
