#include "db/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"

namespace mico {
namespace {

using testing::HasSubstr;

class BlobStoreTest : public testing::Test {
 protected:
  std::unique_ptr<BlobStore> Open(const BlobStoreOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<BlobStore>> blobs =
        BlobStore::Open(folder_.path() / "blobs", options);
    EXPECT_TRUE(blobs.ok()) << blobs.status();
    return *std::move(blobs);
  }
  std::filesystem::path PathOf(const Digest& digest) const {
    return folder_.path() / "blobs" / digest.hex().substr(0, 2) / digest.hex();
  }
  // As a failing disk does: the name and the size stay.
  void Damage(const Digest& digest) {
    std::fstream file(PathOf(digest));
    file.seekp(-1, std::ios::end);
    file << 'X';
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
  EXPECT_TRUE(std::filesystem::exists(PathOf(digest)));
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

TEST_F(BlobStoreTest, WhatWasRemovedIsMissingAndCanBePutAgain) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  const Digest other = blobs->Put("other bytes").value();
  const std::unique_ptr<BlobReader> reader = blobs->NewReader(digest).value();
  EXPECT_TRUE(blobs->Remove(digest).ok());
  EXPECT_FALSE(blobs->Has(digest));
  EXPECT_FALSE(std::filesystem::exists(PathOf(digest)));
  EXPECT_TRUE(blobs->Has(other));
  EXPECT_EQ(reader->Read(0, 100).value(), "some bytes") << "begun before";
  EXPECT_TRUE(blobs->Remove(digest).ok()) << "there is none any more";
  EXPECT_TRUE(absl::IsInvalidArgument(blobs->Remove(Digest())));
  EXPECT_EQ(blobs->Put("some bytes").value(), digest);
  EXPECT_TRUE(blobs->Has(digest));
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

TEST_F(BlobStoreTest, ADamagedBlobIsRefusedByNameSetAsideAndHealedByANewUpload) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  Damage(digest);
  const absl::Status status = blobs->Read(digest).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr(digest.hex()));
  EXPECT_THAT(status.message(), HasSubstr(Digest::Of("some byteX").hex()));
  EXPECT_THAT(status.message(), HasSubstr("upload it again"));
  EXPECT_FALSE(blobs->Has(digest));
  EXPECT_EQ(ReadFile(folder_.path() / "blobs" / "damaged" / digest.hex()).value(), "some byteX");
  EXPECT_TRUE(absl::IsNotFound(blobs->Read(digest).status()));
  EXPECT_EQ(blobs->Put("some bytes").value(), digest);
  EXPECT_EQ(blobs->Read(digest).value(), "some bytes");
}

TEST_F(BlobStoreTest, AReaderKeepsTheLastChunkOfADamagedBlobBack) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  Damage(digest);
  const std::unique_ptr<BlobReader> reader = blobs->NewReader(digest).value();
  EXPECT_EQ(reader->Read(0, 4).value(), "some");
  EXPECT_EQ(reader->Read(4, 4).value(), " byt");
  EXPECT_TRUE(absl::IsDataLoss(reader->Read(8, 4).status()));
  EXPECT_TRUE(absl::IsDataLoss(reader->Read(8, 4).status())) << "asked again";
  EXPECT_FALSE(blobs->Has(digest));
}

TEST_F(BlobStoreTest, WhatAReaderSkippedCountsForTheDigest) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  std::ofstream(PathOf(digest), std::ios::in) << "S";
  EXPECT_TRUE(absl::IsDataLoss(blobs->NewReader(digest).value()->Read(6, 100).status()));
}

TEST_F(BlobStoreTest, AReaderMayGoBack) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  const std::unique_ptr<BlobReader> reader = blobs->NewReader(digest).value();
  EXPECT_EQ(reader->Read(5, 3).value(), "byt");
  EXPECT_EQ(reader->Read(2, 4).value(), "me b");
  EXPECT_EQ(reader->Read(0, 100).value(), "some bytes");
}

TEST_F(BlobStoreTest, ABlobThatWasCutOffIsDamaged) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest cut = blobs->Put("some bytes").value(), emptied = blobs->Put("others").value();
  const Digest cut_while_read = blobs->Put("yet others").value();
  std::filesystem::resize_file(PathOf(cut), 4);
  std::filesystem::resize_file(PathOf(emptied), 0);
  EXPECT_TRUE(absl::IsDataLoss(blobs->Read(cut).status()));
  EXPECT_TRUE(absl::IsDataLoss(blobs->Read(emptied).status()));
  const std::unique_ptr<BlobReader> reader = blobs->NewReader(cut_while_read).value();
  std::filesystem::resize_file(PathOf(cut_while_read), 4);
  EXPECT_EQ(reader->Read(0, 4).value(), "yet ");
  EXPECT_TRUE(absl::IsDataLoss(reader->Read(4, 4).status()));
}

TEST_F(BlobStoreTest, ABlobThatWasHealedInTheMeantimeIsNotSetAside) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("some bytes").value();
  Damage(digest);
  const std::unique_ptr<BlobReader> early = blobs->NewReader(digest).value();
  EXPECT_TRUE(absl::IsDataLoss(blobs->Read(digest).status()));
  ASSERT_TRUE(blobs->Put("some bytes").ok());
  EXPECT_TRUE(absl::IsDataLoss(early->Read(0, 100).status()));
  EXPECT_EQ(blobs->Read(digest).value(), "some bytes");
}

TEST_F(BlobStoreTest, AnEmptyBlobIsABlob) {
  const std::unique_ptr<BlobStore> blobs = Open();
  const Digest digest = blobs->Put("").value();
  EXPECT_EQ(blobs->Read(digest).value(), "");
  EXPECT_EQ(blobs->NewReader(digest).value()->Read(0, 10).value(), "");
}

TEST_F(BlobStoreTest, AFileInThePlaceOfItsFolderIsRefused) {
  ASSERT_TRUE(WriteFileDurably(folder_.path() / "blobs", "a file").ok());
  const absl::Status status = BlobStore::Open(folder_.path() / "blobs").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

}  // namespace
}  // namespace mico
