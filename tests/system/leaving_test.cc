// Workers and servers that are asked to leave, and workers that sleep, in the middle of something.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "SQLiteCpp/SQLiteCpp.h"
#include "fmt/format.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

class LeavingTest : public ServiceFixture {
 protected:
  struct Lease {
    std::string id;
    int64_t task = 0;
  };

  // The evaluation that a worker holds now; waits for one.
  Lease WaitForEvaluation() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      SQLite::Database file(Database(), SQLite::OPEN_READONLY, 1000);
      SQLite::Statement find(file,
                             "SELECT leases.id, task_id FROM leases JOIN tasks ON tasks.id = "
                             "task_id WHERE leases.state = 'active' AND purpose = 'search'");
      if (find.executeStep()) return {find.getColumn(0), find.getColumn(1).getInt64()};
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "nobody evaluates";
    return {};
  }

  std::string StateOf(const Lease& lease) {
    SQLite::Database file(Database(), SQLite::OPEN_READONLY, 1000);
    SQLite::Statement find(file, "SELECT state FROM leases WHERE id = ?");
    find.bind(1, lease.id);
    return find.executeStep() ? find.getColumn(0).getString() : "unknown";
  }
  int LeasesOf(int64_t task, const std::string& state) {
    SQLite::Database file(Database(), SQLite::OPEN_READONLY, 1000);
    SQLite::Statement count(file, "SELECT count(*) FROM leases WHERE task_id = ? AND state = ?");
    count.bind(1, task);
    count.bind(2, state);
    count.executeStep();
    return count.getColumn(0);
  }
  std::string WorkerLog(size_t index) {
    return ReadFile(Path(fmt::format("worker-{}.log.err", index))).value_or("");
  }
  std::string Database() const { return (Path("data") / "mico.sqlite").string(); }
};

// One service for all of it, because its target is profiled once then.
TEST_F(LeavingTest, WhoIsAskedToLeaveHandsBackAndWhoSleepsBeyondItsLeaseIsRefused) {
  StartServer("data");
  StartWorker(0);
  WaitForTarget();
  const std::string id = Submit(ExampleJob("leaving")).id();
  WaitForProgress(id, 3);
  Lease held = WaitForEvaluation();
  workers_[0]->Signal(SIGTERM);
  EXPECT_EQ(workers_[0]->Wait(std::chrono::seconds(30)), 0) << WorkerLog(0);
  // Not by the end of the lease: what was finished is completed, what was not is handed back.
  EXPECT_NE(StateOf(held), "active");
  EXPECT_EQ(GetJob(id).running_size(), 0);

  // The server is asked to leave as well, while a worker holds something.
  StartWorker(1);
  WaitForEvaluation();
  server_process_->Signal(SIGTERM);
  EXPECT_EQ(server_process_->Wait(std::chrono::seconds(30)), 0);
  StartServer("data");
  const v1::Job left = WaitForEnd(id);
  EXPECT_EQ(left.state(), v1::JOB_STATE_DONE) << left.error();
  EXPECT_EQ(LeasesOf(held.task, "completed"), 1) << "done once";

  v1::SubmitJobRequest another = ExampleJob("sleeping");
  another.mutable_spec()->set_trials(81);
  const std::string second = Submit(another).id();
  WaitForProgress(second, 3);
  WaitForEvaluation();
  workers_[1]->Signal(SIGSTOP);
  held = WaitForEvaluation();  // what it holds for as long as it sleeps
  StartWorker(2);
  const v1::Job job = WaitForEnd(second);
  EXPECT_EQ(job.state(), v1::JOB_STATE_DONE) << job.error();
  EXPECT_EQ(StateOf(held), "lost");
  EXPECT_EQ(LeasesOf(held.task, "completed"), 1);

  workers_[1]->Signal(SIGCONT);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (WorkerLog(1).find("the lease is lost") == std::string::npos &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_THAT(WorkerLog(1), HasSubstr("the lease is lost"));
  EXPECT_EQ(StateOf(held), "lost");
  EXPECT_EQ(LeasesOf(held.task, "completed"), 1) << "still counted once";
  EXPECT_EQ(FrontAsText(GetJob(second)), FrontAsText(job));
  for (const size_t index : {1, 2}) {
    workers_[index]->Signal(SIGTERM);
    EXPECT_EQ(workers_[index]->Wait(std::chrono::seconds(60)), 0) << WorkerLog(index);
  }
}

}  // namespace
}  // namespace mico
