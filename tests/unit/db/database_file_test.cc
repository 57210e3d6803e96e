#include "db/database_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "db/checksum_vfs.h"
#include "db/migrations.h"
#include "db/store.h"
#include "fmt/format.h"
#include "tests/unit/db/stored_rows.h"

namespace mico {
namespace {

using testing::HasSubstr;

// SQLite's system calls that change something, counted in memory that a child shares with its
// parent; the child dies before call number `last_call`.
int* const calls = static_cast<int*>(
    mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
int last_call = 0;

void Count() {
  if (++*calls == last_call) raise(SIGKILL);
}

template <int call, typename Result, typename... Arguments>
struct Counted {
  static inline Result (*real)(Arguments...) = nullptr;
  static Result Call(Arguments... arguments) {
    Count();
    return real(arguments...);
  }
};

template <int call, typename Result, typename... Arguments>
void CountCalls(const char* name, Result (*)(Arguments...)) {
  using Counter = Counted<call, Result, Arguments...>;
  sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
  Counter::real = reinterpret_cast<Result (*)(Arguments...)>(vfs->xGetSystemCall(vfs, name));
  vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&Counter::Call));
}

class DatabaseFileTest : public testing::Test {
 protected:
  std::filesystem::path File() const { return folder_.path() / "mico.sqlite"; }

  // Opens the database in another process, which dies before its system call number `last`, if it
  // makes so many. Returns whether it died.
  bool DiesAtCall(int last) {
    const pid_t child = fork();
    if (child == 0) {
      last_call = last;
      *calls = 0;
      CountCalls<0>("open", static_cast<int (*)(const char*, int, int)>(nullptr));
      CountCalls<1>("close", static_cast<int (*)(int)>(nullptr));
      CountCalls<2>("ftruncate", static_cast<int (*)(int, off_t)>(nullptr));
      CountCalls<3>("pwrite64",
                    static_cast<ssize_t (*)(int, const void*, size_t, off64_t)>(nullptr));
      CountCalls<4>("pwrite", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
      CountCalls<5>("unlink", static_cast<int (*)(const char*)>(nullptr));
      _exit(Store::Open(File()).ok() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
  }
  // So many system calls it takes.
  int CountCallsOfOpening() {
    EXPECT_FALSE(DiesAtCall(0));
    return *calls;
  }
  void RemoveAll() {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      std::filesystem::remove(entry);
    }
  }
  static int64_t Trials(Store& store) {
    return static_cast<int64_t>(
        store.Read([](StoreView& view) { return view.ListTrials("job", 0, INT64_MAX); })
            .value()
            .size());
  }
  int64_t Pragma(const char* sql) {
    SQLite::Database plain(File().string(), SQLite::OPEN_READONLY);
    return plain.execAndGet(sql).getInt64();
  }

  TemporaryFolder folder_ = FastFolder();
};

TEST_F(DatabaseFileTest, ANewFileHasRoomForChecksumsAndPlainSqliteReadsIt) {
  ASSERT_TRUE(WriteRows(*Store::Open(File()).value(), 10).ok());
  EXPECT_EQ(Pragma("PRAGMA application_id"), kApplicationId);
  EXPECT_EQ(Pragma("SELECT count(*) FROM trials"), 10);
  const std::string bytes = ReadFile(File()).value();
  EXPECT_EQ(bytes[20], kReservedBytes);
  EXPECT_TRUE(HasChecksums(bytes.substr(0, 100)));
  for (size_t page = 0; page < bytes.size() / kPageBytes; ++page) {
    uint64_t stored = 0;
    std::memcpy(&stored, &bytes[(page + 1) * kPageBytes - kReservedBytes], sizeof(stored));
    EXPECT_EQ(stored, PageChecksum(&bytes[page * kPageBytes], static_cast<int64_t>(page) + 1));
  }
  SQLite::Database plain(File().string(), SQLite::OPEN_READONLY);
  EXPECT_EQ(plain.execAndGet("PRAGMA integrity_check").getString(), "ok");
}

// The example of docs/formats/database.md: the format must not change by accident.
TEST_F(DatabaseFileTest, TheChecksumIsTheOneOfTheDocument) {
  std::string page(kPageBytes, '\0');
  EXPECT_EQ(fmt::format("{:016x}", PageChecksum(page.data(), 1)), "81bce4858b779b2b");
  for (size_t i = 0; i < page.size(); ++i) page[i] = static_cast<char>(i % 251);
  EXPECT_EQ(fmt::format("{:016x}", PageChecksum(page.data(), 1)), "b63616c8a841397d");
  EXPECT_EQ(fmt::format("{:016x}", PageChecksum(page.data(), 2)), "5b59b351e7dbd0d6");
}

TEST_F(DatabaseFileTest, AnOldFileGetsItsChecksumsWithEveryRow) {
  WriteOldDatabase(File(), 500);
  ASSERT_FALSE(HasChecksums(ReadFile(File()).value()));
  ASSERT_GT(std::filesystem::file_size(File().string() + "-wal"), 0u);
  const std::unique_ptr<Store> store = Store::Open(File()).value();
  EXPECT_TRUE(HasChecksums(ReadFile(File()).value()));
  EXPECT_EQ(Trials(*store), 500);
  const auto last = store->Read([](StoreView& view) { return view.FindTrial("job", 500); }).value();
  EXPECT_EQ(last->trial.label, "trial 500");
  EXPECT_EQ(last->trial.cost.latency_cycles, 500);
  EXPECT_FALSE(std::filesystem::exists(File().string() + ".new"));
}

TEST_F(DatabaseFileTest, WheneverTheProcessIsKilledTheNextOneHasEveryRow) {
  constexpr int kKills = 25, kTrials = 300;
  WriteOldDatabase(File(), kTrials);
  const int most_calls = CountCallsOfOpening();
  std::printf("%d kills within %d system calls\n", kKills, most_calls);
  for (int i = 0; i < kKills; ++i) {
    SCOPED_TRACE(i);
    RemoveAll();
    WriteOldDatabase(File(), kTrials);
    EXPECT_TRUE(DiesAtCall(1 + most_calls * i / kKills));
    // And once more on the way that the first one left, now and then.
    if (i % 5 == 1) EXPECT_TRUE(DiesAtCall(1 + i / 2));
    const absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(File());
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(Trials(**store), kTrials);
    EXPECT_EQ((*store)->Read([](StoreView& view) { return view.QuickCheck(); }).value(), "ok");
    EXPECT_TRUE(HasChecksums(ReadFile(File()).value()));
    EXPECT_FALSE(std::filesystem::exists(File().string() + ".new"));
  }
}

TEST_F(DatabaseFileTest, AProcessMayBeKilledWhileItMakesANewFile) {
  const int most_calls = CountCallsOfOpening();
  for (int call = 1; call <= most_calls; call += 4) {
    SCOPED_TRACE(call);
    RemoveAll();
    EXPECT_TRUE(DiesAtCall(call));
    EXPECT_TRUE(Store::Open(File()).ok());
  }
}

TEST_F(DatabaseFileTest, AFileOfANewerServerIsRefusedAndStaysAsItIs) {
  for (const char* vfs : {ChecksumVfs(), "unix"}) {
    SCOPED_TRACE(vfs);
    const std::filesystem::path file = folder_.path() / vfs;
    if (vfs == std::string("unix")) {
      SQLite::Database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
          .exec("CREATE TABLE t(a); PRAGMA user_version = 1000");
    } else {
      ASSERT_TRUE(Store::Open(file).ok());
      SQLite::Database(file.string(), SQLite::OPEN_READWRITE, 0, vfs)
          .exec("PRAGMA user_version = 1000");
    }
    const std::string before = ReadFile(file).value();
    const absl::Status status = Store::Open(file).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr(file.string() + ": schema version 1000"));
    EXPECT_THAT(status.message(), HasSubstr(fmt::format("up to {};", Migrations().size())));
    EXPECT_THAT(status.message(),
                HasSubstr("newer mico-server, or give this one another --data-dir"));
    EXPECT_TRUE(ReadFile(file).value() == before);
  }
}

TEST_F(DatabaseFileTest, AnOldFileThatIsDamagedIsNotVouchedFor) {
  WriteOldDatabase(File(), 500);
  { SQLite::Database(File().string(), SQLite::OPEN_READWRITE).exec("PRAGMA journal_mode=DELETE"); }
  std::string bytes = ReadFile(File()).value();
  const size_t page = bytes.size() / kPageBytes - 3;
  bytes.replace(page * kPageBytes, kPageBytes, kPageBytes, '\0');
  ASSERT_TRUE(WriteFileDurably(File(), bytes).ok());
  const absl::Status status = Store::Open(File()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_TRUE(ReadFile(File()).value() == bytes);
}

TEST_F(DatabaseFileTest, AnEmptyFileIsNotTakenForANewDatabase) {
  ASSERT_TRUE(WriteFileDurably(File(), "").ok());
  const absl::Status status = Store::Open(File()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("0 bytes"));
}

TEST_F(DatabaseFileTest, AJournalWithoutItsFileIsNotAppliedToANewOne) {
  WriteOldDatabase(File(), 100);
  std::filesystem::remove(File());
  const absl::Status status = Store::Open(File()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("mico.sqlite-wal"));
  EXPECT_FALSE(std::filesystem::exists(File()));
}

}  // namespace
}  // namespace mico
