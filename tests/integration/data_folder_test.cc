// Data folders that something has happened to: refused by name with the way back, or served as far
// as they are whole.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "SQLiteCpp/SQLiteCpp.h"
#include "base/random.h"
#include "db/checksum_vfs.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "tests/integration/service.h"
#include "tests/support/small_disk.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void FlipBit(const std::filesystem::path& file, int64_t offset, int bit) {
  const int fd = open(file.c_str(), O_RDWR);
  char byte = 0;
  ASSERT_EQ(pread(fd, &byte, 1, offset), 1);
  byte = static_cast<char>(byte ^ (1 << bit));
  ASSERT_EQ(pwrite(fd, &byte, 1, offset), 1);
  close(fd);
}

class DataFolderTest : public ServiceTest {
 protected:
  std::filesystem::path data() const { return folder_.path() / "data"; }
  std::filesystem::path database() const { return data() / "mico.sqlite"; }
  std::filesystem::path BlobFile(const std::string& hex) const {
    return data() / "blobs" / hex.substr(0, 2) / hex;
  }
  absl::Status TryStart() {
    options_.data_dir = data();
    options_.listen = "127.0.0.1:0";
    return Server::Start(options_, clock_).status();
  }
  // An open job with some results.
  std::string OpenJob(uint64_t seed, const std::string& model = LongNetwork(3)) {
    FakeWorker worker = AnnouncedWorker("a");
    std::string id = Submit(Job(seed, model)).job().id();
    worker.StepUntil([&] { return GetJob(id).trials_finished() > 20; });
    EXPECT_FALSE(HasEnded(id));
    return id;
  }
  v1::SubmitJobRequest Job(uint64_t seed, const std::string& model) {
    v1::SubmitJobRequest request = SmallJob("random", 600);
    request.mutable_spec()->set_seed(seed);
    request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, model).value().hex());
    return request;
  }
  std::string PackageOf(const std::string& job) {
    SQLite::Database file(database().string(), SQLite::OPEN_READONLY);
    SQLite::Statement find(file, "SELECT package_digest FROM jobs WHERE id = ?");
    find.bind(1, job);
    EXPECT_TRUE(find.executeStep());
    return find.getColumn(0);
  }
};

TEST_F(DataFolderTest, AFolderInUseByAnotherServerIsRefused) {
  const absl::Status refused = TryStart();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr(data().string()), HasSubstr(fmt::format("process id {}", getpid())),
                    HasSubstr("the way back")));
}

TEST_F(DataFolderTest, AFolderOfANewerVersionIsRefusedAndLeftAsItWas) {
  server_.reset();
  {
    SQLite::Database file(database().string(), SQLite::OPEN_READWRITE, 1000, ChecksumVfs());
    file.exec("PRAGMA user_version = 999");
  }
  const absl::Status refused = TryStart();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), AllOf(HasSubstr("999"), HasSubstr("newer")));
  SQLite::Database file(database().string(), SQLite::OPEN_READONLY);
  EXPECT_EQ(file.execAndGet("PRAGMA user_version").getInt(), 999);
}

TEST_F(DataFolderTest, AReadOnlyFolderIsRefused) {
  server_.reset();
  const std::unique_ptr<SmallDisk> disk = SmallDisk::Mount(4 << 20);
  if (disk == nullptr) GTEST_SKIP() << "SKIPPED: this process may not mount a tmpfs";
  options_.data_dir = disk->path() / "data";
  options_.listen = "127.0.0.1:0";
  ASSERT_TRUE(Server::Start(options_, clock_).ok());
  ASSERT_TRUE(disk->SetReadOnly(true));
  const absl::Status refused = Server::Start(options_, clock_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr(options_.data_dir.string()), HasSubstr("ead-only")));
  ASSERT_TRUE(disk->SetReadOnly(false));
  EXPECT_TRUE(Server::Start(options_, clock_).ok());
}

TEST_F(DataFolderTest, AFileInThePlaceOfTheFolderIsRefused) {
  server_.reset();
  std::filesystem::remove_all(data());
  std::ofstream(data()) << "not a folder";
  const absl::Status refused = TryStart();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(data().string()));
}

TEST_F(DataFolderTest, SomethingElseInThePlaceOfTheDatabaseIsRefused) {
  server_.reset();
  std::ofstream(database()) << std::string(100'000, 'x');
  const absl::Status refused = TryStart();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(database().string()));
}

// Flips in every page: whoever starts on it either refuses it by name or serves the truth.
TEST_F(DataFolderTest, ADamagedDatabaseIsRefusedByNameOrServedRight) {
  const std::string id = OpenJob(1);
  const v1::Job before = GetJob(id);
  const std::vector<v1::Trial> trials = ListTrials(id);
  server_.reset();
  const std::string whole = ReadFile(database()).value();
  Random random(7);
  int refused = 0, served = 0;
  for (int flip = 0; flip < 40; ++flip) {
    ASSERT_TRUE(WriteFileDurably(database(), whole).ok());
    std::filesystem::remove(database().string() + "-wal");
    std::filesystem::remove(database().string() + "-shm");
    FlipBit(database(), static_cast<int64_t>(random.Below(whole.size())),
            static_cast<int>(random.Below(8)));
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options_, clock_);
    if (!server.ok()) {
      EXPECT_THAT(std::string(server.status().message()),
                  AllOf(HasSubstr(database().string()), HasSubstr("the way back")));
      ++refused;
      continue;
    }
    ++served;
    const auto stub = v1::ExplorationService::NewStub(
        grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::ListTrialsRequest request;
    request.set_job(id);
    v1::ListTrialsResponse answer;
    const grpc::Status status = stub->ListTrials(&context, request, &answer);
    if (!status.ok()) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
      continue;
    }
    ASSERT_EQ(static_cast<size_t>(answer.trials_size()), trials.size());
    for (int i = 0; i < answer.trials_size(); ++i) {
      EXPECT_EQ(answer.trials(i).val().correct(), trials[i].val().correct());
      EXPECT_EQ(answer.trials(i).scheme_text(), trials[i].scheme_text());
    }
  }
  std::printf("40 flips: %d refused at the start, %d served\n", refused, served);
  EXPECT_GT(refused, 0);
}

TEST_F(DataFolderTest, AJobWhoseNetworkIsDamagedIsSetAsideAndTheOthersGoOn) {
  const std::string whole = OpenJob(2, LongNetwork(4));
  const std::string damaged = Submit(Job(1, LongNetwork(3))).job().id();
  const std::string package = PackageOf(damaged);
  server_.reset();
  FlipBit(BlobFile(package), 100, 3);
  StartServer();
  const v1::Job job = GetJob(damaged);
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.error(), AllOf(HasSubstr(package), HasSubstr("submit the same job again")));
  clock_.Advance(options_.coordinator.queue.lease_duration);  // of a worker that is gone
  FakeWorker worker = AnnouncedWorker("b");
  worker.StepUntil([&] { return HasEnded(whole); });
  EXPECT_EQ(GetJob(whole).state(), v1::JOB_STATE_DONE);

  // The way back.
  EXPECT_EQ(Submit(Job(1, LongNetwork(3))).job().id(), damaged);
  worker.StepUntil([&] { return HasEnded(damaged); });
  EXPECT_EQ(GetJob(damaged).state(), v1::JOB_STATE_DONE) << GetJob(damaged).error();
}

TEST_F(DataFolderTest, ADamagedBlobIsNotServedAndHealsByAnUpload) {
  const std::string content(300'000, 'c');
  const std::string hex = UploadBlob(*blobs_, content).value().hex();
  FlipBit(BlobFile(hex), 250'000, 1);
  grpc::ClientContext context;
  v1::DownloadRequest request;
  request.set_digest(hex);
  const auto reader = blobs_->Download(&context, request);
  v1::DownloadResponse part;
  while (reader->Read(&part)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(hex));

  grpc::ClientContext second;
  v1::FindMissingRequest find;
  find.add_digests(hex);
  v1::FindMissingResponse missing;
  ASSERT_TRUE(blobs_->FindMissing(&second, find, &missing).ok());
  EXPECT_EQ(missing.missing_size(), 1) << "so that a client uploads it again";
  ASSERT_TRUE(UploadBlob(*blobs_, content).ok());
  EXPECT_EQ(Download(hex), content);
}

}  // namespace
}  // namespace mico
