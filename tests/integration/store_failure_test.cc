// What the coordinator does when a change cannot be written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "base/file.h"
#include "db/blob_store.h"
#include "db/store.h"
#include "server/coordinator.h"
#include "tests/integration/fake_worker.h"
#include "tests/integration/small_network.h"

namespace mico {
namespace {

class StoreFailureTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = Store::Open(folder_.path() / "mico.sqlite").value();
    blobs_ = BlobStore::Open(folder_.path() / "blobs").value();
    coordinator_ = Coordinator::Start(*store_, *blobs_, importer_, clock_, Random(1)).value();
  }

  WorkerReport Idle() {
    WorkerReport report;
    report.worker_id = "a";
    report.targets = {FakeTarget()};
    report.evaluates = true;
    return report;
  }
  std::string SubmitJob() {
    JobSpec spec;
    spec.model = blobs_->Put(SmallNetwork()).value();
    spec.dataset = blobs_->Put(SmallData()).value();
    spec.target = "fake";
    const absl::StatusOr<Submission> submission = coordinator_->Submit("", spec, false);
    EXPECT_TRUE(submission.ok()) << submission.status();
    return submission.ok() ? submission->job.record.id : "";
  }
  // As a full disk would have it.
  void BreakAChange() {
    EXPECT_FALSE(
        store_->Enqueue([](StoreTransaction&) { return absl::ResourceExhaustedError("full"); })
            .get()
            .ok());
  }

  // Calls while the writer is held up by a change that will fail, so that what the call queues is
  // refused with it.
  template <typename Call>
  void WhileAWriteFails(Call call) {
    absl::Notification holds, go;
    std::future<absl::Status> broken = store_->Enqueue([&](StoreTransaction&) {
      holds.Notify();
      go.WaitForNotification();
      return absl::ResourceExhaustedError("full");
    });
    holds.WaitForNotification();
    std::thread caller(call);
    while (store_->queued() == 0) std::this_thread::yield();
    go.Notify();
    caller.join();
    EXPECT_FALSE(broken.get().ok());
  }

  ManualClock clock_;
  TemporaryFolder folder_ = TemporaryFolder::Create().value();
  OnnxImporter importer_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(StoreFailureTest, WhatIsOnDiskCountsAfterAFailedWrite) {
  ASSERT_TRUE(coordinator_->Synchronize(Idle()).ok());
  const std::string job = SubmitJob();
  const absl::StatusOr<WorkerOrder> before = coordinator_->Synchronize(Idle());
  ASSERT_TRUE(before.ok() && before->order);

  BreakAChange();
  // The lease was on disk: the same order comes again, and the job is still there.
  const absl::StatusOr<WorkerOrder> after = coordinator_->Synchronize(Idle());
  ASSERT_TRUE(after.ok()) << after.status();
  ASSERT_TRUE(after->order);
  EXPECT_EQ(after->order->lease_id, before->order->lease_id);
  EXPECT_EQ(coordinator_->GetJob(job)->record.state, JobState::kPreparing);
}

TEST_F(StoreFailureTest, AResultThatCouldNotBeWrittenIsTakenWhenItComesAgain) {
  ASSERT_TRUE(coordinator_->Synchronize(Idle()).ok());
  SubmitJob();
  const absl::StatusOr<WorkerOrder> order = coordinator_->Synchronize(Idle());
  ASSERT_TRUE(order.ok() && order->order);
  WorkerReport report = Idle();
  report.state = Finished{order->order->lease_id, {absl::InternalError("it failed"), {}}};

  absl::StatusOr<WorkerOrder> refused = absl::UnknownError("not run");
  WhileAWriteFails([&] { refused = coordinator_->Synchronize(report); });
  ASSERT_FALSE(refused.ok());

  // What memory had believed is forgotten: the result is new, and the next attempt another lease.
  const absl::StatusOr<WorkerOrder> again = coordinator_->Synchronize(report);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->lease_lost);
  ASSERT_TRUE(again->order);
  EXPECT_NE(again->order->lease_id, order->order->lease_id);
  EXPECT_EQ(again->order->attempt, 2);
}

TEST_F(StoreFailureTest, AWorkerWhoseFirstCallCouldNotBeWrittenIsWrittenByTheNext) {
  absl::StatusOr<WorkerOrder> refused = absl::UnknownError("not run");
  WhileAWriteFails([&] { refused = coordinator_->Synchronize(Idle()); });
  EXPECT_FALSE(refused.ok());

  ASSERT_TRUE(coordinator_->Synchronize(Idle()).ok());
  SubmitJob();  // its target is known
  const absl::StatusOr<WorkerOrder> order = coordinator_->Synchronize(Idle());
  ASSERT_TRUE(order.ok()) << order.status();  // its lease refers to the worker's row
  EXPECT_TRUE(order->order);
}

TEST_F(StoreFailureTest, AJobWhoseWriteFailedDoesNotExist) {
  ASSERT_TRUE(coordinator_->Synchronize(Idle()).ok());
  JobSpec spec;
  spec.model = blobs_->Put(SmallNetwork()).value();
  spec.dataset = blobs_->Put(SmallData()).value();
  spec.target = "fake";
  absl::StatusOr<Submission> refused = absl::UnknownError("not run");
  WhileAWriteFails([&] { refused = coordinator_->Submit("", spec, false); });
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();

  ASSERT_TRUE(coordinator_->Synchronize(Idle()).ok());
  EXPECT_TRUE(coordinator_->ListJobs(0, "")->items.empty());
  EXPECT_FALSE(SubmitJob().empty());
  EXPECT_EQ(coordinator_->ListJobs(0, "")->items.size(), 1u);
}

}  // namespace
}  // namespace mico
