#include "server/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace mico {
namespace {

class WorkQueueTest : public testing::Test {
 protected:
  void Enqueue(int64_t task, const std::string& job = "job") { queue_.Add({task, job, 0, false}); }
  std::optional<Lease> TryAcquireAs(const std::string& worker) {
    return queue_.Acquire(worker, "lease-" + std::to_string(++leases_),
                          [](int64_t) { return true; });
  }
  Lease AcquireAs(const std::string& worker) {
    const std::optional<Lease> lease = TryAcquireAs(worker);
    EXPECT_TRUE(lease) << "nothing for " << worker;
    return lease.value_or(Lease{});
  }
  bool IsAborted(const absl::Status& status) { return absl::IsAborted(status); }

  ManualClock clock_;
  WorkQueueOptions options_;
  WorkQueue queue_{clock_, options_};
  int leases_ = 0;
};

TEST_F(WorkQueueTest, TheOldestTaskGoesFirst) {
  Enqueue(2);
  Enqueue(1);
  EXPECT_EQ(AcquireAs("a").task, 1);
  EXPECT_EQ(AcquireAs("b").task, 2);
  EXPECT_FALSE(TryAcquireAs("c"));
}

TEST_F(WorkQueueTest, UrgentTasksGoBeforeOlderOnes) {
  Enqueue(1);
  queue_.Add({2, "job", 0, true});
  EXPECT_EQ(AcquireAs("a").task, 2);
}

TEST_F(WorkQueueTest, JobsTakeTurns) {
  Enqueue(1, "long");
  Enqueue(2, "long");
  Enqueue(3, "short");
  EXPECT_EQ(AcquireAs("a").job, "long");
  EXPECT_EQ(AcquireAs("b").job, "short");
}

TEST_F(WorkQueueTest, ATaskThatSuitsNobodyWaits) {
  Enqueue(1);
  EXPECT_FALSE(queue_.Acquire("a", "lease", [](int64_t) { return false; }));
  EXPECT_EQ(queue_.waiting(), 1);
}

TEST_F(WorkQueueTest, ExpiredLeaseGoesToTheNextWorker) {
  Enqueue(1);
  const Lease first = AcquireAs("worker-a");

  clock_.Advance(options_.lease_duration);
  ASSERT_EQ(queue_.ExpireLeases().size(), 1u);
  const Lease second = AcquireAs("worker-b");

  EXPECT_EQ(second.task, first.task);
  EXPECT_EQ(second.attempt, 2);
  EXPECT_TRUE(IsAborted(queue_.Complete(first.id, "worker-a").status()));
  EXPECT_TRUE(queue_.Complete(second.id, "worker-b").ok());
}

TEST_F(WorkQueueTest, ARenewedLeaseDoesNotExpire) {
  Enqueue(1);
  const Lease lease = AcquireAs("a");
  for (int call = 0; call < 5; ++call) {
    clock_.Advance(options_.lease_duration - std::chrono::milliseconds(1));
    EXPECT_TRUE(queue_.ExpireLeases().empty());
    EXPECT_TRUE(queue_.Renew(lease.id, "a", 0.1 * call).ok());
  }
}

TEST_F(WorkQueueTest, AnotherWorkersLeaseIsNotHonoured) {
  Enqueue(1);
  const Lease lease = AcquireAs("a");
  EXPECT_TRUE(IsAborted(queue_.Renew(lease.id, "b", 0.0)));
  EXPECT_TRUE(IsAborted(queue_.Complete(lease.id, "b").status()));
  EXPECT_TRUE(IsAborted(queue_.Fail(lease.id, "b").status()));
  EXPECT_TRUE(queue_.Complete(lease.id, "a").ok());
}

TEST_F(WorkQueueTest, ATaskThatCostThreeWorkersIsGivenUp) {
  Enqueue(1);
  for (int attempt = 1; attempt <= options_.max_attempts; ++attempt) {
    EXPECT_EQ(AcquireAs("worker-" + std::to_string(attempt)).attempt, attempt);
    clock_.Advance(options_.lease_duration);
    const std::vector<LostLease> lost = queue_.ExpireLeases();
    ASSERT_EQ(lost.size(), 1u);
    EXPECT_EQ(lost[0].given_up, attempt == options_.max_attempts);
  }
  EXPECT_FALSE(TryAcquireAs("one more"));
}

TEST_F(WorkQueueTest, FailedAttemptsCountLikeLostOnes) {
  Enqueue(1);
  EXPECT_FALSE(queue_.Fail(AcquireAs("a").id, "a")->given_up);
  EXPECT_FALSE(queue_.Fail(AcquireAs("a").id, "a")->given_up);
  EXPECT_TRUE(queue_.Fail(AcquireAs("a").id, "a")->given_up);
  EXPECT_EQ(queue_.waiting(), 0);
}

TEST_F(WorkQueueTest, AHandedBackAttemptDoesNotCount) {
  Enqueue(1);
  for (int time = 0; time < 10; ++time) {
    const Lease lease = AcquireAs("a");
    EXPECT_EQ(lease.attempt, 1);
    EXPECT_TRUE(queue_.HandBack(lease.id, "a").ok());
  }
}

TEST_F(WorkQueueTest, ARestoredLeaseGetsItsFullTime) {
  queue_.Restore({7, "job", 2, false}, "old-lease", "a");
  clock_.Advance(options_.lease_duration - std::chrono::milliseconds(1));
  EXPECT_TRUE(queue_.ExpireLeases().empty());
  const absl::StatusOr<Lease> lease = queue_.Complete("old-lease", "a");
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->task, 7);
  EXPECT_EQ(lease->attempt, 2);
}

TEST_F(WorkQueueTest, ARemovedTaskLosesItsLease) {
  Enqueue(1);
  const Lease lease = AcquireAs("a");
  ASSERT_TRUE(queue_.Remove(1));
  EXPECT_TRUE(IsAborted(queue_.Complete(lease.id, "a").status()));
  EXPECT_EQ(queue_.LeaseOfWorker("a"), nullptr);
}

}  // namespace
}  // namespace mico
