#include "worker/worker_loop.h"

#include <deque>
#include <functional>

#include "gmock/gmock.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "worker/server_channel.h"

namespace mico {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Answers as the test says and remembers what it was asked.
class ScriptedServer : public v1::WorkerService::Service {
 public:
  using Reply = std::function<grpc::Status(const WorkerReport&, v1::SynchronizeResponse&)>;

  // `reply` answers every call.
  explicit ScriptedServer(Reply reply) : reply_(std::move(reply)) { Start(0); }
  ~ScriptedServer() override { Stop(); }

  grpc::Status Synchronize(grpc::ServerContext*, const v1::SynchronizeRequest* request,
                           v1::SynchronizeResponse* response) override {
    const absl::StatusOr<WorkerReport> report = FromProto(*request);
    EXPECT_TRUE(report.ok()) << report.status();
    if (!report.ok()) return ToGrpc(report.status());
    const absl::MutexLock lock(&mutex_);
    reports_.push_back(*report);
    return reply_(*report, *response);
  }

  void Start(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void Stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  int port() const { return port_; }
  std::vector<WorkerReport> reports() {
    const absl::MutexLock lock(&mutex_);
    return reports_;
  }

 private:
  const Reply reply_;
  absl::Mutex mutex_;
  std::vector<WorkerReport> reports_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// Does whatever the test wants.
class FakeExecutor : public TaskExecutor {
 public:
  using Body = std::function<TaskResult(const Task&, TaskControl&)>;
  explicit FakeExecutor(Body body) : body_(std::move(body)) {}
  TaskResult Run(const Task& task, TaskControl& control) override {
    ++runs;
    return body_(task, control);
  }
  std::atomic<int> runs = 0;

 private:
  const Body body_;
};

TaskResult ProfileDone(const Task&, TaskControl&) {
  return {absl::OkStatus(), ProfileResult{Digest::Of("table")}};
}

TaskResult UntilCancelled(const Task&, TaskControl& control) {
  while (!control.cancelled) std::this_thread::yield();
  return {absl::CancelledError("cancelled"), {}};
}

TaskOrder ProfileOrder(const std::string& lease) {
  TaskOrder order;
  order.lease_id = lease;
  order.task_id = "task-of-" + lease;
  order.task = ProfileTask{"rv32imc", std::string(64, 'a'), {"conv"}};
  return order;
}

grpc::Status Give(std::optional<TaskOrder> order, v1::SynchronizeResponse& response) {
  response = ToProto(WorkerOrder{false, std::move(order), milliseconds(1)});
  return grpc::Status::OK;
}

WorkerLoopOptions QuickOptions() {
  WorkerLoopOptions options;
  options.worker_id = "worker-1";
  options.worker_name = "bench";
  options.version = "1.2.3";
  options.evaluates = true;
  options.leave_when_idle = true;
  options.backoff = Backoff(milliseconds(1), milliseconds(20));
  options.farewell = milliseconds(500);
  return options;
}

bool IsIdle(const WorkerReport& report) { return std::holds_alternative<Idle>(report.state); }
bool IsRunning(const WorkerReport& report) { return std::holds_alternative<Running>(report.state); }
bool IsFinished(const WorkerReport& report) {
  return std::holds_alternative<Finished>(report.state);
}

class WorkerLoopTest : public ::testing::Test {
 protected:
  // Runs a worker against `reply` until it leaves.
  void Work(ScriptedServer::Reply reply, FakeExecutor& executor,
            WorkerLoopOptions options = QuickOptions()) {
    ScriptedServer server(std::move(reply));
    WorkerLoop loop(ConnectToServer("127.0.0.1:" + std::to_string(server.port())), executor,
                    std::move(options));
    loop_ = &loop;
    loop.Run();
    loop_ = nullptr;
    reports_ = server.reports();
  }

  WorkerLoop* loop_ = nullptr;
  std::vector<WorkerReport> reports_;
};

TEST_F(WorkerLoopTest, TheFirstCallSaysWhoItIsAndThatItIsIdle) {
  FakeExecutor executor(ProfileDone);
  WorkerLoopOptions options = QuickOptions();
  Target target;
  target.name = "rv32imc";
  target.isa = "rv32imc";
  target.clock_hz = 100;
  target.flash_bytes = 1000;
  target.ram_bytes = 1000;
  target.profile_key = std::string(64, 'a');
  target.has_board = true;
  options.describe = [&target](WorkerReport& report) { report.targets = {target}; };

  Work([](const WorkerReport&, auto& response) { return Give(std::nullopt, response); }, executor,
       options);

  ASSERT_FALSE(reports_.empty());
  EXPECT_EQ(reports_[0].worker_id, "worker-1");
  EXPECT_EQ(reports_[0].worker_name, "bench");
  EXPECT_EQ(reports_[0].version, "1.2.3");
  EXPECT_TRUE(reports_[0].evaluates);
  EXPECT_TRUE(IsIdle(reports_[0]));
  ASSERT_EQ(reports_[0].targets.size(), 1);
  EXPECT_EQ(reports_[0].targets[0], target);
}

TEST_F(WorkerLoopTest, AResultIsDeliveredAndTheNextOrderTravelsInTheAnswer) {
  FakeExecutor executor(ProfileDone);
  int given = 0;
  std::vector<std::string> finished;
  Work(
      [&](const WorkerReport& report, auto& response) {
        if (IsFinished(report)) finished.push_back(std::get<Finished>(report.state).lease_id);
        if (IsRunning(report)) return Give(std::nullopt, response);
        if (given == 3) return Give(std::nullopt, response);
        return Give(ProfileOrder("lease-" + std::to_string(++given)), response);
      },
      executor);

  EXPECT_EQ(executor.runs, 3);
  EXPECT_THAT(finished, ::testing::ElementsAre("lease-1", "lease-2", "lease-3"));
}

TEST_F(WorkerLoopTest, WhileATaskRunsTheLeaseIsKept) {
  std::atomic<int> running_reports = 0;
  FakeExecutor executor([&](const Task&, TaskControl& control) {
    control.progress = 0.5;
    while (running_reports < 5) std::this_thread::yield();
    return TaskResult{absl::OkStatus(), ProfileResult{Digest::Of("table")}};
  });
  double progress = 0.0;
  bool given = false;
  Work(
      [&](const WorkerReport& report, auto& response) {
        if (IsRunning(report)) {
          EXPECT_EQ(std::get<Running>(report.state).lease_id, "lease");
          progress = std::get<Running>(report.state).progress;
          if (progress > 0.0) ++running_reports;  // the task's thread may begin late
        }
        if (given) return Give(std::nullopt, response);
        given = true;
        return Give(ProfileOrder("lease"), response);
      },
      executor);

  EXPECT_GE(running_reports, 5);
  EXPECT_EQ(progress, 0.5);
}

TEST_F(WorkerLoopTest, WhereAnotherCouldGoOnIsReportedAsSoonAsItIsKnown) {
  const Digest first = Digest::Of("first"), second = Digest::Of("second");
  std::atomic<int> heard = 0;  // so many checkpoints, one after another
  FakeExecutor executor([&](const Task&, TaskControl& control) {
    EXPECT_TRUE(control.checkpoint().empty());
    control.progress = 0.5;
    while (heard < 1) std::this_thread::yield();
    control.SetCheckpoint(first);
    while (heard < 2) std::this_thread::yield();
    control.SetCheckpoint(second);
    while (heard < 3) std::this_thread::yield();
    return TaskResult{absl::OkStatus(), ProfileResult{Digest::Of("table")}};
  });
  const std::vector<Digest> expected{Digest(), first, second};
  bool given = false;
  Work(
      [&](const WorkerReport& report, auto& response) {
        if (IsRunning(report) && heard < 3) {
          const Running& running = std::get<Running>(report.state);
          if (running.progress > 0.0 && running.checkpoint == expected[heard]) ++heard;
        }
        if (given) return Give(std::nullopt, response);
        given = true;
        return Give(ProfileOrder("lease"), response);
      },
      executor);

  EXPECT_EQ(heard, 3);
}

TEST_F(WorkerLoopTest, ALostLeaseStopsTheTaskAndItsResultIsNotSent) {
  FakeExecutor executor(UntilCancelled);
  bool given = false, lost = false;
  Work(
      [&](const WorkerReport& report, auto& response) {
        EXPECT_FALSE(IsFinished(report));
        if (!given) {
          given = true;
          return Give(ProfileOrder("lease"), response);
        }
        if (IsRunning(report)) {
          lost = true;
          response = ToProto(WorkerOrder{true, std::nullopt, milliseconds(1)});
          return grpc::Status::OK;
        }
        return Give(std::nullopt, response);
      },
      executor);

  EXPECT_TRUE(lost);
  EXPECT_EQ(executor.runs, 1);
}

TEST_F(WorkerLoopTest, AnUnacknowledgedResultIsDeliveredAgainUnchanged) {
  FakeExecutor executor(ProfileDone);
  bool given = false;
  int refusals = 0;
  std::vector<std::string> delivered;
  Work(
      [&](const WorkerReport& report, auto& response) -> grpc::Status {
        if (!given) {
          given = true;
          return Give(ProfileOrder("lease"), response);
        }
        if (IsFinished(report)) {
          delivered.push_back(ToProto(report).SerializeAsString());
          if (++refusals <= 4) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "disk is full");
        }
        return Give(std::nullopt, response);
      },
      executor);

  ASSERT_EQ(delivered.size(), 5);
  for (const std::string& message : delivered) EXPECT_EQ(message, delivered[0]);
  EXPECT_EQ(executor.runs, 1);
}

TEST_F(WorkerLoopTest, AFailedTaskIsDeliveredWithItsError) {
  FakeExecutor executor([](const Task&, TaskControl&) {
    return TaskResult{absl::UnimplementedError("layer 'conv1': 3-bit weights"), {}};
  });
  bool given = false;
  absl::Status delivered;
  Work(
      [&](const WorkerReport& report, auto& response) {
        if (IsFinished(report)) delivered = std::get<Finished>(report.state).result.status;
        if (given) return Give(std::nullopt, response);
        given = true;
        return Give(ProfileOrder("lease"), response);
      },
      executor);

  EXPECT_EQ(delivered.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(delivered.message(), "layer 'conv1': 3-bit weights");
}

TEST_F(WorkerLoopTest, AResultThatTheServerCannotReadBecomesAnError) {
  FakeExecutor executor(ProfileDone);
  bool given = false;
  std::vector<absl::Status> delivered;
  Work(
      [&](const WorkerReport& report, auto& response) -> grpc::Status {
        if (!given) {
          given = true;
          return Give(ProfileOrder("lease"), response);
        }
        if (IsFinished(report)) {
          delivered.push_back(std::get<Finished>(report.state).result.status);
          if (delivered.back().ok()) {
            return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "digest");
          }
        }
        return Give(std::nullopt, response);
      },
      executor);

  ASSERT_EQ(delivered.size(), 2);
  EXPECT_EQ(delivered[1].code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(delivered[1].message()), HasSubstr("digest"));
}

TEST_F(WorkerLoopTest, AnOrderThatCannotBeReadIsAnsweredWithThat) {
  FakeExecutor executor(ProfileDone);
  bool given = false;
  absl::Status delivered;
  Work(
      [&](const WorkerReport& report, auto& response) {
        if (IsFinished(report)) delivered = std::get<Finished>(report.state).result.status;
        Give(std::nullopt, response);
        if (!given) response.mutable_order()->set_lease_id("from-the-future");  // no known task
        given = true;
        return grpc::Status::OK;
      },
      executor);

  EXPECT_EQ(delivered.code(), absl::StatusCode::kInvalidArgument) << delivered;
  EXPECT_EQ(executor.runs, 0);
}

TEST_F(WorkerLoopTest, LeavingHandsBackWhatRuns) {
  WorkerLoopOptions options = QuickOptions();
  options.leave_when_idle = false;
  FakeExecutor executor([this](const Task& task, TaskControl& control) {
    loop_->Leave();
    return UntilCancelled(task, control);
  });
  Work(
      [](const WorkerReport& report, auto& response) {
        if (IsIdle(report)) return Give(ProfileOrder("lease"), response);
        return Give(std::nullopt, response);
      },
      executor, options);

  ASSERT_FALSE(reports_.empty());
  EXPECT_TRUE(reports_.back().leaving);
  ASSERT_TRUE(IsRunning(reports_.back()));
  EXPECT_EQ(std::get<Running>(reports_.back().state).lease_id, "lease");
}

TEST_F(WorkerLoopTest, LeavingWhileTheServerIsAwayEnds) {
  WorkerLoopOptions options = QuickOptions();
  options.leave_when_idle = false;
  options.farewell = milliseconds(50);
  FakeExecutor executor(ProfileDone);
  WorkerLoop loop(ConnectToServer("127.0.0.1:1"), executor, options);
  loop.Leave();

  loop.Run();

  EXPECT_EQ(executor.runs, 0);
}

TEST_F(WorkerLoopTest, AServerThatComesBackGetsTheResult) {
  std::atomic<bool> given = false, recorded = false, may_finish = false;
  ScriptedServer server([&](const WorkerReport& report, auto& response) {
    if (IsFinished(report)) recorded = true;
    if (given.exchange(true)) return Give(std::nullopt, response);
    return Give(ProfileOrder("lease"), response);
  });
  FakeExecutor executor([&](const Task& task, TaskControl& control) {
    while (!may_finish) std::this_thread::yield();
    return ProfileDone(task, control);
  });
  WorkerLoop loop(ConnectToServer("127.0.0.1:" + std::to_string(server.port())), executor,
                  QuickOptions());
  std::thread worker([&loop] { loop.Run(); });
  while (executor.runs == 0) std::this_thread::yield();

  const int port = server.port();
  server.Stop();
  may_finish = true;
  server.Start(port);
  worker.join();

  EXPECT_TRUE(recorded);
  EXPECT_EQ(executor.runs, 1);
}

}  // namespace
}  // namespace mico
