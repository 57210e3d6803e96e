// Disks that give back other bytes than they were given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "SQLiteCpp/SQLiteCpp.h"
#include "base/random.h"
#include "db/checksum_vfs.h"
#include "fmt/format.h"
#include "tests/unit/db/stored_rows.h"

namespace mico {
namespace {

using testing::HasSubstr;

class DatabaseDamageTest : public testing::Test {
 protected:
  static constexpr int kTrials = 1'500;

  void SetUp() override {
    {
      const std::unique_ptr<Store> store = Store::Open(File()).value();
      ASSERT_TRUE(WriteRows(*store, kTrials).ok());
    }
    sound_ = ReadFile(File()).value();
    rows_ = ReadRows(File()).value();
  }

  std::filesystem::path File() const { return folder_.path() / "mico.sqlite"; }
  size_t Pages() const { return sound_.size() / kPageBytes; }
  void Put(const std::string& bytes) {
    for (const char* journal : {"-wal", "-shm"}) {
      std::filesystem::remove(File().string() + journal);
    }
    std::ofstream(File(), std::ios::binary | std::ios::trunc) << bytes;
  }
  std::string QuickCheck() {
    return Store::Open(File())
        .value()
        ->Read([](StoreView& view) { return view.QuickCheck(); })
        .value();
  }
  std::string WithTurned(size_t bit) const {
    std::string damaged = sound_;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    return damaged;
  }
  std::string WithPage(size_t index, const std::string& page) const {
    std::string damaged = sound_;
    return damaged.replace(index * kPageBytes, kPageBytes, page);
  }
  // What is left of the sound file is opened and read. Damage is refused by name, or does no harm:
  // then it is where nobody reads, and quick_check may know of it. Returns whether it was refused.
  bool Refuses(const std::string& damaged) {
    Put(damaged);
    const absl::StatusOr<std::string> rows = ReadRows(File());
    if (rows.ok()) {
      EXPECT_TRUE(*rows == rows_) << "other rows than were written";
      found_by_check_ += QuickCheck() != "ok";
      return false;
    }
    EXPECT_TRUE(absl::IsDataLoss(rows.status())) << rows.status();
    EXPECT_THAT(rows.status().message(), HasSubstr(File().string()));
    EXPECT_THAT(rows.status().message(), HasSubstr("the way back"));
    return true;
  }

  TemporaryFolder folder_ = FastFolder();
  std::string sound_, rows_;
  int found_by_check_ = 0;
  Random random_{1};
};

TEST_F(DatabaseDamageTest, NoTurnedBitGivesOtherRows) {
  constexpr int kFlips = 300;
  int refused = 0;
  for (int i = 0; i < kFlips; ++i) {
    const size_t bit = random_.Below(sound_.size() * 8);
    SCOPED_TRACE(bit);
    refused += Refuses(WithTurned(bit));
    if (HasFailure()) return;
  }
  std::printf("of %d turned bits %d were noticed by reading every row, %d more by quick_check\n",
              kFlips, refused, found_by_check_);
  EXPECT_EQ(refused + found_by_check_, kFlips);
}

TEST_F(DatabaseDamageTest, EveryBitOfTheHeaderIsNoticed) {
  for (size_t bit = 0; bit < size_t{100} * 8; ++bit) {
    SCOPED_TRACE(bit);
    EXPECT_TRUE(Refuses(WithTurned(bit)));
    if (HasFailure()) return;
  }
}

TEST_F(DatabaseDamageTest, NoTruncationGivesOtherRows) {
  EXPECT_TRUE(Refuses(""));
  for (int i = 0; i < 40; ++i) {
    SCOPED_TRACE(i);
    EXPECT_TRUE(Refuses(sound_.substr(0, random_.Below(sound_.size()))));
    EXPECT_TRUE(Refuses(sound_.substr(0, random_.Below(Pages()) * kPageBytes)));
    if (HasFailure()) return;
  }
}

TEST_F(DatabaseDamageTest, APageInAnothersPlaceIsNotBelieved) {
  int refused = 0;
  constexpr int kMoves = 50;
  for (int i = 0; i < kMoves; ++i) {
    const size_t from = random_.Below(Pages()), to = random_.Below(Pages());
    SCOPED_TRACE(fmt::format("page {} in the place of {}", from + 1, to + 1));
    refused += Refuses(WithPage(to, sound_.substr(from * kPageBytes, kPageBytes)));
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, kMoves / 2);
}

TEST_F(DatabaseDamageTest, APageOfZerosIsNotBelieved) {
  for (size_t page = 0; page < Pages(); page += 3) {
    SCOPED_TRACE(page + 1);
    Refuses(WithPage(page, std::string(kPageBytes, '\0')));
    if (HasFailure()) return;
  }
}

TEST_F(DatabaseDamageTest, TheDamagedPageIsNamed) {
  // The root of some table, so that it is read.
  SQLite::Database database(File().string(), SQLite::OPEN_READONLY, 0, ChecksumVfs());
  const int64_t page =
      database.execAndGet("SELECT rootpage FROM sqlite_schema WHERE name = 'trials'").getInt64();
  sound_[static_cast<size_t>(page * kPageBytes - 100)] ^= 1;
  Put(sound_);
  const std::unique_ptr<Store> store = Store::Open(File()).value();
  const std::string named =
      fmt::format("page {} is damaged, or not written by mico-server: found the checksum ", page);
  const auto trials = store->Read([](StoreView& view) { return view.ListTrials("job", 0, 10); });
  EXPECT_TRUE(absl::IsDataLoss(trials.status())) << trials.status();
  EXPECT_THAT(trials.status().message(), HasSubstr(named));
  EXPECT_THAT(trials.status().message(), HasSubstr("the way back: stop mico-server, move all of " +
                                                   folder_.path().string() + " aside"));
  const auto checked = store->Read([](StoreView& view) { return view.QuickCheck(); });
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_THAT(*checked, HasSubstr(named));
}

TEST_F(DatabaseDamageTest, WhatIsStillReadableIsAnsweredAndWritten) {
  sound_[sound_.size() - 100] ^= 1;
  Put(sound_);
  const std::unique_ptr<Store> store = Store::Open(File()).value();
  EXPECT_TRUE(store->Read([](StoreView& view) { return view.FindModel(Digest::Of("x")); }).ok());
  EXPECT_TRUE(store
                  ->Write([](StoreTransaction& transaction) {
                    transaction.AddBlob(Digest::Of("y"), 1, TimePoint{});
                    return absl::OkStatus();
                  })
                  .ok());
}

}  // namespace
}  // namespace mico
