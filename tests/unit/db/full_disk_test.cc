// Disks that are full or read-only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "SQLiteCpp/SQLiteCpp.h"
#include "db/blob_store.h"
#include "db/data_folder.h"
#include "db/migrations.h"
#include "db/store.h"
#include "tests/support/small_disk.h"

namespace mico {
namespace {

using testing::HasSubstr;

class FullDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    if (disk_) return;
    std::fputs(
        "full_disk_test: SKIPPED, nothing was tested: needed: root or CAP_SYS_ADMIN, to mount\n",
        stderr);
    GTEST_SKIP() << "may not mount a small disk";
  }

  std::filesystem::path Database() const { return disk_->path() / "mico.sqlite"; }
  static absl::Status AddTarget(Store& store, const std::string& name, size_t bytes) {
    return store.Write([&](StoreTransaction& transaction) {
      transaction.PutTarget({name, std::string(bytes, 'a'), TimePoint{}});
      return absl::OkStatus();
    });
  }
  static size_t Targets(Store& store) {
    return store.Read([](StoreView& view) { return view.ListTargets(); }).value().size();
  }

  const std::unique_ptr<SmallDisk> disk_ = SmallDisk::Mount(2 << 20);
};

TEST_F(FullDiskTest, AStoreRefusesChangesAndAnswersUntilThereIsRoomAgain) {
  const std::unique_ptr<Store> store = Store::Open(Database()).value();
  ASSERT_TRUE(AddTarget(*store, "before", 100).ok());
  disk_->Fill();
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = AddTarget(*store, "meanwhile", 100'000);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr(Database().string()));
    EXPECT_THAT(status.message(), HasSubstr("free space"));
    EXPECT_EQ(Targets(*store), 1u);
  }
  disk_->MakeRoom();
  EXPECT_TRUE(AddTarget(*store, "after", 100'000).ok());
  EXPECT_EQ(Targets(*store), 2u);
  EXPECT_EQ(store->Read([](StoreView& view) { return view.QuickCheck(); }).value(), "ok");
}

TEST_F(FullDiskTest, ABlobIsRefusedAndLeavesNothingAndOthersAreRead) {
  const std::unique_ptr<BlobStore> blobs = BlobStore::Open(disk_->path() / "blobs").value();
  const Digest before = blobs->Put("before").value();
  const std::string large(100'000, 'b');
  disk_->Fill();
  {
    const std::unique_ptr<BlobWriter> writer = blobs->NewWriter(Digest::Of(large)).value();
    const absl::Status status = writer->Append(large);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("free space"));
    EXPECT_EQ(writer->Commit(), status) << "half a blob must not get its name";
  }
  EXPECT_FALSE(blobs->Has(Digest::Of(large)));
  EXPECT_EQ(blobs->Read(before).value(), "before");
  disk_->MakeRoom();
  EXPECT_TRUE(blobs->Put(large).ok());
  EXPECT_EQ(blobs->Read(Digest::Of(large)).value(), large);
}

TEST_F(FullDiskTest, AServerThatStartsThereHearsWhatIsWrong) {
  ASSERT_TRUE(Store::Open(Database()).ok());
  disk_->Fill();
  for (const absl::Status& status :
       {DataFolder::Open(disk_->path()).status(), Store::Open(Database()).status(),
        Store::Open(disk_->path() / "other.sqlite").status()}) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("free space"));
  }
  disk_->MakeRoom();
  EXPECT_TRUE(DataFolder::Open(disk_->path()).ok());
  EXPECT_TRUE(Store::Open(Database()).ok());
}

TEST_F(FullDiskTest, AnOldDatabaseThatHasNoRoomForItsChecksumsStaysAsItIs) {
  {
    SQLite::Database old(Database().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    old.exec(std::string(Migrations()[0]));
    old.exec("INSERT INTO targets VALUES ('old', zeroblob(700000), 0); PRAGMA user_version = 1");
  }
  disk_->Fill();
  const std::string before = ReadFile(Database()).value();
  const absl::Status status = Store::Open(Database()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(ReadFile(Database()).value() == before);
  EXPECT_FALSE(std::filesystem::exists(Database().string() + ".new"));
  disk_->MakeRoom();
  const std::unique_ptr<Store> store = Store::Open(Database()).value();
  EXPECT_EQ(Targets(*store), 1u);
}

TEST_F(FullDiskTest, AReadOnlyDiskIsRefusedAtTheDoor) {
  ASSERT_TRUE(Store::Open(Database()).ok());
  ASSERT_TRUE(BlobStore::Open(disk_->path() / "blobs").ok());
  disk_->SetReadOnly(true);
  for (const absl::Status& status :
       {DataFolder::Open(disk_->path()).status(), DataFolder::Open(disk_->path() / "new").status(),
        Store::Open(Database()).status(), BlobStore::Open(disk_->path() / "blobs").status(),
        BlobStore::Open(disk_->path() / "others").status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr(disk_->path().string()));
    EXPECT_THAT(status.message(), HasSubstr("Read-only file system"));
    EXPECT_THAT(status.message(), HasSubstr("needed: a folder that mico-server may write"));
  }
}

TEST_F(FullDiskTest, BlobsOfADiskThatBecameReadOnlyAreStillRead) {
  const std::unique_ptr<BlobStore> blobs = BlobStore::Open(disk_->path() / "blobs").value();
  const Digest digest = blobs->Put("bytes").value();
  disk_->SetReadOnly(true);
  EXPECT_EQ(blobs->Read(digest).value(), "bytes");
  EXPECT_TRUE(absl::IsFailedPrecondition(blobs->Put("others").status()));
}

}  // namespace
}  // namespace mico
