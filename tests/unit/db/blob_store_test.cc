#include "db/blob_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "db/data_folder.h"

namespace mico {
namespace {

class BlobStoreTest : public testing::Test {
 protected:
  std::unique_ptr<BlobStore> Open(const BlobStoreOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<BlobStore>> blobs =
        BlobStore::Open(folder_.path() / "blobs", options);
    EXPECT_TRUE(blobs.ok()) << blobs.status();
    return *std::move(blobs);
  }
  int FilesBelow(const std::filesystem::path& path) {
    int files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      files += entry.is_regular_file();
    }
    return files;
  }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
};

TEST_F(BlobStoreTest, WhatWasPutIsReadBack) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  EXPECT_TRUE(blobs->Has(digest));
  EXPECT_EQ(blobs->Read(digest).value(), "some bytes");
  EXPECT_TRUE(
      std::filesystem::exists(folder_.path() / "blobs" / digest.hex().substr(0, 2) / digest.hex()));
}

TEST_F(BlobStoreTest, ChunksAreReadFromAnyOffset) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("0123456789").value();
  const std::unique_ptr<BlobReader> reader = blobs->NewReader(digest).value();
  EXPECT_EQ(reader->total_bytes(), 10);
  EXPECT_EQ(reader->Read(3, 4).value(), "3456");
  EXPECT_EQ(reader->Read(8, 4).value(), "89");
  EXPECT_EQ(reader->Read(10, 4).value(), "");
}

TEST_F(BlobStoreTest, AMissingBlobIsNotFound) {
  const std::unique_ptr<BlobStore> blobs = Open();
  EXPECT_TRUE(absl::IsNotFound(blobs->Read(Digest::Of("nothing")).status()));
  EXPECT_TRUE(absl::IsNotFound(blobs->NewReader(Digest::Of("nothing")).status()));
}

TEST_F(BlobStoreTest, OtherBytesThanAnnouncedAreRefusedAndLeaveNothing) {
  const std::unique_ptr<BlobStore> blobs = Open();
  {
    const std::unique_ptr<BlobWriter> writer = blobs->NewWriter(Digest::Of("expected")).value();
    ASSERT_TRUE(writer->Append("something else").ok());
    EXPECT_TRUE(absl::IsDataLoss(writer->Commit()));
  }
  EXPECT_FALSE(blobs->Has(Digest::Of("expected")));
  EXPECT_EQ(FilesBelow(folder_.path()), 0);
}

TEST_F(BlobStoreTest, AnAbandonedWriterLeavesNothing) {
  const std::unique_ptr<BlobStore> blobs = Open();
  ASSERT_TRUE(blobs->NewWriter(Digest::Of("x")).value()->Append("half").ok());
  EXPECT_EQ(FilesBelow(folder_.path()), 0);
}

TEST_F(BlobStoreTest, WhatAKilledServerWasWritingIsRemovedAtTheNextStart) {
  Open();
  std::ofstream(folder_.path() / "blobs" / "incoming" / "blob-dead") << "half a blob";
  Open();
  EXPECT_EQ(FilesBelow(folder_.path()), 0);
}

TEST_F(BlobStoreTest, ABlobThatIsTooLargeIsRefusedWhileItArrives) {
  BlobStoreOptions options;
  options.most_bytes = 10;
  const std::unique_ptr<BlobStore> blobs = Open(options);
  const std::unique_ptr<BlobWriter> writer = blobs->NewWriter(Digest::Of("y")).value();
  EXPECT_TRUE(writer->Append("0123456789").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(writer->Append("x")));
}

TEST_F(BlobStoreTest, ADataFolderHasOneOwner) {
  std::unique_ptr<DataFolder> first = DataFolder::Open(folder_.path() / "data").value();
  EXPECT_TRUE(absl::IsFailedPrecondition(DataFolder::Open(folder_.path() / "data").status()));
  first.reset();
  EXPECT_TRUE(DataFolder::Open(folder_.path() / "data").ok());
}

}  // namespace
}  // namespace mico
