// A full disk at every stage: what is written is refused with RESOURCE_EXHAUSTED, what is read is
// served, and once there is room everything goes on without a restart.
#include <algorithm>

#include "grpcpp/grpcpp.h"
#include "tests/integration/service.h"
#include "tests/support/small_disk.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kDiskBytes = 6 << 20;

class DiskFullTest : public ServiceTest {
 protected:
  void SetUp() override {
    disk_ = SmallDisk::Mount(kDiskBytes);
    if (disk_ == nullptr) GTEST_SKIP() << "SKIPPED: this process may not mount a tmpfs";
    folder_ = TemporaryFolder::Create(disk_->path()).value();
  }
  void TearDown() override { server_.reset(); }

  void ExpectReadsAreServed(const std::string& job) {
    EXPECT_EQ(GetJob(job).id(), job);
    EXPECT_FALSE(ListTrials(job).empty());
    grpc::ClientContext context;
    v1::ListTargetsResponse targets;
    EXPECT_TRUE(exploration_->ListTargets(&context, v1::ListTargetsRequest(), &targets).ok());
    EXPECT_EQ(targets.targets_size(), 1);
  }

  std::unique_ptr<SmallDisk> disk_;
};

TEST_F(DiskFullTest, AServerThatCannotBeginSaysSo) {
  disk_->Fill();
  options_.data_dir = disk_->path() / "data";
  options_.listen = "127.0.0.1:0";
  const absl::Status refused = Server::Start(options_, clock_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(disk_->path().string()));
  disk_->MakeRoom();
  EXPECT_TRUE(Server::Start(options_, clock_).ok());
}

TEST_F(DiskFullTest, AnUploadIsRefusedAndNothingOfItStays) {
  StartServer();
  disk_->Fill();
  const std::string blob(1 << 20, 'b');
  const absl::Status refused = UploadBlob(*blobs_, blob).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(options_.data_dir / "blobs")) {
    EXPECT_FALSE(entry.is_regular_file()) << entry.path();
  }
  disk_->MakeRoom();
  const absl::StatusOr<Digest> stored = UploadBlob(*blobs_, blob);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(Download(stored->hex()), blob);
}

TEST_F(DiskFullTest, ASubmitIsRefusedAndNoJobStays) {
  StartServer();
  FakeWorker worker = AnnouncedWorker("a");
  const v1::SubmitJobRequest request = SmallJob();
  disk_->Fill();
  v1::SubmitJobResponse response;
  const grpc::Status refused = TrySubmit(request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
  grpc::ClientContext context;
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(exploration_->ListJobs(&context, v1::ListJobsRequest(), &jobs).ok());
  EXPECT_EQ(jobs.jobs_size(), 0);
  disk_->MakeRoom();
  EXPECT_FALSE(Submit(request).job().id().empty());
}

TEST_F(DiskFullTest, ResultsAreRefusedReadsServedAndTheJobGoesOnWithoutARestart) {
  StartServer();
  FakeWorker worker = AnnouncedWorker("a");
  v1::SubmitJobRequest request = SmallJob("random", 2'000);
  request.mutable_spec()->set_model_digest(UploadBlob(*blobs_, LongNetwork(6)).value().hex());
  const std::string id = Submit(request).job().id();
  worker.StepUntil([&] { return GetJob(id).trials_finished() > 20; });

  disk_->Fill();
  // The write-ahead log has some room inside of it.
  absl::Status refused;
  WorkerReport report;
  for (int call = 0; call < 2'000 && refused.ok(); ++call) {
    report = worker.held
                 ? worker.ReportFinished(worker.held->lease_id, worker.Work(worker.held->task))
                 : worker.Report();
    const absl::StatusOr<WorkerOrder> answer = worker.Say(report);
    refused = answer.status();
    if (answer.ok()) worker.held = answer->order;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  const int64_t finished = GetJob(id).trials_finished();
  EXPECT_EQ(finished, std::ranges::count(ListTrials(id), v1::TRIAL_STATE_FINISHED,
                                         [](const v1::Trial& trial) { return trial.state(); }))
      << "what was refused does not count";
  ExpectReadsAreServed(id);
  EXPECT_FALSE(worker.Say(report).ok()) << "still full";
  EXPECT_EQ(GetJob(id).trials_finished(), finished);

  disk_->MakeRoom();
  worker.StepUntil([&] { return HasEnded(id); });
  const v1::Job job = GetJob(id);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(job.trials_finished(), 2'000);
  EXPECT_EQ(FrontAsText(job), ExpectedFront(ListTrials(id)));
  RestartServer();
  EXPECT_EQ(FrontAsText(GetJob(id)), FrontAsText(job)) << "memory and disk agree";
}

TEST_F(DiskFullTest, AnArtifactThatCannotBeStoredIsMadeAgainOnceThereIsRoom) {
  StartServer();
  FakeWorker worker = AnnouncedWorker("a");
  const std::string id = Submit(SmallJob()).job().id();
  worker.StepUntil([&] { return HasEnded(id); });
  v1::GetArtifactResponse artifact;
  ASSERT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
  disk_->Fill();
  const std::string blob(1 << 20, 'a');
  EXPECT_TRUE(absl::IsResourceExhausted(UploadBlob(*blobs_, blob).status()));
  disk_->MakeRoom();
  worker.StepUntil([&] {
    EXPECT_TRUE(TryGetArtifact(id, 0, &artifact).ok());
    return artifact.state() == v1::ARTIFACT_STATE_READY;
  });
}

}  // namespace
}  // namespace mico
