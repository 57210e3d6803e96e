#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/channel.h"
#include "proto/messages.h"
#include "proto/worker.grpc.pb.h"
#include "worker/retry.h"
#include "worker/task_runner.h"

namespace mico {

struct WorkerLoopOptions {
  std::string worker_id;    // unique: chosen at random at every start
  std::string worker_name;  // for people
  std::string version;
  bool evaluates = false;
  bool converts = false;
  // Adds to a report what the worker holds and how that is; asked before each. Absent: nothing.
  std::function<void(WorkerReport&)> describe;
  // Leaves as soon as the server has nothing to do for it.
  bool leave_when_idle = false;
  // One call may take this long.
  std::chrono::milliseconds call_deadline{10'000};
  // After Leave, how long to look for a server that can take the lease back; without one the lease
  // expires by itself.
  std::chrono::milliseconds farewell{2'000};
  Backoff backoff;
};

// The worker's side of WorkerService: one task at a time on a thread of its own, while this keeps
// the lease, asks, and delivers. A server that is away is asked again for ever; a result that was
// not acknowledged is delivered again, the same message.
class WorkerLoop {
 public:
  // `executor` outlives the loop.
  WorkerLoop(const std::shared_ptr<grpc::ChannelInterface>& channel, TaskExecutor& executor,
             WorkerLoopOptions options);
  ~WorkerLoop();

  // Until Leave, or with leave_when_idle until there is nothing to do.
  void Run();
  // Hands back what runs, or delivers what is finished, and makes Run return. Thread-safe.
  void Leave();

 private:
  // An order and what became of it.
  struct Attempt {
    TaskOrder order;
    TaskControl control;
    std::optional<TaskResult> result;  // set by the task's thread, under mutex_
    std::thread thread;
  };

  // What the server said.
  struct Answer {
    WorkerOrder order;
    // Set if the order in it could not be read; only its lease is known then.
    absl::Status unreadable;
  };

  WorkerReport MakeReport(bool leaving);
  // Unavailable and its like: ask again.
  absl::StatusOr<Answer> Synchronize(const WorkerReport& report);
  void TakeAnswer(const WorkerReport& report, const Answer& answer);
  void TakeRefusal(const WorkerReport& report, const absl::Status& status);
  void Begin(const Answer& answer);
  // Stops the task if it still runs and forgets it.
  void Drop();
  bool IsLeaving();
  // Until the task ends, Leave is called, or so long.
  void WaitForNews(std::chrono::milliseconds most);
  void WaitToAskAgain(std::chrono::milliseconds most);

  const std::unique_ptr<v1::WorkerService::StubInterface> stub_;
  TaskExecutor& executor_;
  const WorkerLoopOptions options_;
  Backoff backoff_;
  bool nothing_to_do_ = false;  // says the last answer

  absl::Mutex mutex_;
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
  // The thread of Run starts and ends it; mutex_ guards its result.
  std::unique_ptr<Attempt> attempt_;
};

}  // namespace mico
