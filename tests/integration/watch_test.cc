// A watch whose reader never reads: it costs the server one connection's window, and nobody else
// anything.
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "grpcpp/grpcpp.h"
#include "tests/integration/service.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MICO_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MICO_SANITIZED
#endif
#endif
#ifdef MICO_SANITIZED
#include <sanitizer/allocator_interface.h>
#endif

namespace mico {
namespace {

constexpr int kWatchers = 8;
constexpr int64_t kChanges = 2'000;
// What the watchers would hold if their messages piled up is 8 x 2,000 x some KiB.
constexpr int64_t kMostGrowthBytes = 64 << 20;

// What the process holds. A sanitizer keeps pages of its own, and what was freed for a while: there
// the allocator is asked.
int64_t HeldBytes() {
#ifdef MICO_SANITIZED
  return static_cast<int64_t>(__sanitizer_get_current_allocated_bytes());
#else
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
#endif
}

// A stream that is opened, read once so that it surely runs, and never again.
class SilentWatcher {
 public:
  SilentWatcher(const std::string& address, const std::string& job) {
    grpc::ChannelArguments arguments;
    // A connection of its own, with the smallest window that HTTP/2 knows how to begin with.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stub_ = v1::ExplorationService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    v1::WatchJobRequest request;
    request.set_job(job);
    reader_ = stub_->WatchJob(&context_, request);
    v1::Job state;
    EXPECT_TRUE(reader_->Read(&state));
  }
  ~SilentWatcher() {
    context_.TryCancel();
    reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::ExplorationService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::Job>> reader_;
};

class WatchTest : public ServiceTest {
 protected:
  // A job in the middle of its search, and the worker that holds one of its tasks.
  std::string SearchingJob(FakeWorker& worker) {
    std::string id = Submit(SmallJob("random", 2000)).job().id();
    worker.StepUntil([&] { return GetJob(id).trials_finished() > 30; });
    return id;
  }
  // Each attempt that begins and each that is handed back is a change of the job.
  void Change(FakeWorker& worker, int64_t times) {
    for (int64_t i = 0; i < times; ++i) {
      WorkerReport report = worker.Report();
      if (worker.held) {
        report.state = Running{worker.held->lease_id, 0.5};
        report.leaving = true;
      }
      const absl::StatusOr<WorkerOrder> order = worker.Say(report);
      ASSERT_TRUE(order.ok()) << order.status();
      worker.held = order->order;
    }
  }
};

TEST_F(WatchTest, ReadersThatNeverReadCostNobodyAnything) {
  FakeWorker worker = AnnouncedWorker("w1");
  const std::string id = SearchingJob(worker);
  std::vector<std::unique_ptr<SilentWatcher>> watchers;
  watchers.reserve(kWatchers);
  for (int i = 0; i < kWatchers; ++i) {
    watchers.push_back(std::make_unique<SilentWatcher>(address(), id));
  }
  Change(worker, 200);
  const int64_t before = HeldBytes();

  Change(worker, kChanges);

  EXPECT_LT(HeldBytes() - before, kMostGrowthBytes);
  // Others are served: a call, another watch to its end, the job itself.
  EXPECT_EQ(GetJob(id).id(), id);
  grpc::ClientContext context, cancel_context;
  v1::WatchJobRequest request;
  request.set_job(id);
  const auto reader = exploration_->WatchJob(&context, request);
  v1::Job state;
  ASSERT_TRUE(reader->Read(&state));
  v1::CancelJobRequest cancel;
  cancel.set_job(id);
  ASSERT_TRUE(exploration_->CancelJob(&cancel_context, cancel, &state).ok());
  while (reader->Read(&state)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(state.state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(WatchTest, AReaderThatIsSlowGetsTheLatestAndNotTheHistory) {
  FakeWorker worker = AnnouncedWorker("w1");
  const std::string id = SearchingJob(worker);
  grpc::ClientContext context, cancel_context;
  v1::WatchJobRequest request;
  request.set_job(id);
  const auto reader = exploration_->WatchJob(&context, request);
  v1::Job state;
  ASSERT_TRUE(reader->Read(&state));
  Change(worker, kChanges);
  v1::CancelJobRequest cancel;
  cancel.set_job(id);
  v1::Job cancelled;
  ASSERT_TRUE(exploration_->CancelJob(&cancel_context, cancel, &cancelled).ok());

  int64_t messages = 0;
  while (reader->Read(&state)) ++messages;

  EXPECT_EQ(state.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_LT(messages, kChanges / 10);
}

TEST_F(WatchTest, TheServerStopsThoughReadersNeverRead) {
  FakeWorker worker = AnnouncedWorker("w1");
  const std::string id = SearchingJob(worker);
  SilentWatcher watcher(address(), id);
  Change(worker, 500);

  server_->Stop();
}

}  // namespace
}  // namespace mico
