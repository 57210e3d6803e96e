#include "worker/worker_loop.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "proto/convert.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kLeastWait(1);
constexpr milliseconds kMostWait(60'000);

}  // namespace

WorkerLoop::WorkerLoop(const std::shared_ptr<grpc::ChannelInterface>& channel,
                       TaskExecutor& executor, WorkerLoopOptions options)
    : stub_(v1::WorkerService::NewStub(channel)),
      executor_(executor),
      options_(std::move(options)),
      backoff_(options_.backoff) {}

WorkerLoop::~WorkerLoop() { Drop(); }

void WorkerLoop::Run() {
  std::optional<SteadyClock::time_point> patience_ends;
  while (true) {
    const bool leaving = IsLeaving();
    if (leaving && !patience_ends) patience_ends = SteadyClock::now() + options_.farewell;

    const WorkerReport report = MakeReport(leaving);
    const absl::StatusOr<Answer> answer = Synchronize(report);
    if (answer.ok()) {
      backoff_.Reset();
      TakeAnswer(report, *answer);
      if (leaving) break;
      WaitForNews(std::clamp(answer->order.next_call, kLeastWait, kMostWait));
    } else {
      TakeRefusal(report, answer.status());
      if (leaving && SteadyClock::now() >= *patience_ends) break;
      WaitToAskAgain(backoff_.Next());
    }
  }
  Drop();
}

void WorkerLoop::Leave() {
  const absl::MutexLock lock(&mutex_);
  leaving_ = true;
}

bool WorkerLoop::IsLeaving() {
  const absl::MutexLock lock(&mutex_);
  return leaving_ || (options_.leave_when_idle && nothing_to_do_ && attempt_ == nullptr);
}

WorkerReport WorkerLoop::MakeReport(bool leaving) {
  WorkerReport report;
  report.worker_id = options_.worker_id;
  report.worker_name = options_.worker_name;
  report.version = options_.version;
  report.evaluates = options_.evaluates;
  report.converts = options_.converts;
  if (options_.describe) options_.describe(report);
  report.leaving = leaving;
  report.state = Idle{};
  if (attempt_ == nullptr) return report;
  const std::string& lease = attempt_->order.lease_id;
  const absl::MutexLock lock(&mutex_);
  if (attempt_->result) {
    report.state = Finished{lease, *attempt_->result};
  } else {
    report.state = Running{lease, std::clamp(attempt_->control.progress.load(), 0.0, 1.0),
                           attempt_->control.checkpoint()};
  }
  return report;
}

absl::StatusOr<WorkerLoop::Answer> WorkerLoop::Synchronize(const WorkerReport& report) {
  grpc::ClientContext context;
  const milliseconds patience =
      report.leaving ? std::min(options_.farewell, options_.call_deadline) : options_.call_deadline;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  v1::SynchronizeResponse response;
  const grpc::Status status = stub_->Synchronize(&context, ToProto(report), &response);
  if (!status.ok()) return FromGrpc(status);

  absl::StatusOr<WorkerOrder> order = FromProto(response);
  if (order.ok()) return Answer{*std::move(order), absl::OkStatus()};
  // An order that cannot be read is answered with that, so that it does not come back for ever.
  Answer answer;
  answer.unreadable = order.status();
  answer.order.lease_lost = response.lease_lost();
  if (response.has_order()) {
    answer.order.order.emplace();
    answer.order.order->lease_id = response.order().lease_id();
    answer.order.order->task_id = response.order().task_id();
  }
  return answer;
}

void WorkerLoop::TakeAnswer(const WorkerReport& report, const Answer& answer) {
  // Recorded, or refused because the lease had been lost: either way it is over.
  if (std::holds_alternative<Finished>(report.state)) Drop();
  if (answer.order.lease_lost && attempt_ != nullptr) {
    spdlog::warn("task {}: the lease is lost; dropped", attempt_->order.task_id);
    Drop();
  }
  nothing_to_do_ = !answer.order.order.has_value();
  if (answer.order.order && attempt_ == nullptr && !report.leaving) Begin(answer);
}

void WorkerLoop::TakeRefusal(const WorkerReport& report, const absl::Status& status) {
  const std::string text(status.message());
  spdlog::warn("server: {}; asking again", text);
  const bool is_final = status.code() == absl::StatusCode::kInvalidArgument;
  if (!is_final || !std::holds_alternative<Finished>(report.state)) return;
  // The same result would be refused for ever; the task must not wait for that.
  const absl::MutexLock lock(&mutex_);
  attempt_->result =
      TaskResult{absl::InternalError("the server refused the worker's result: " + text), {}};
}

void WorkerLoop::Begin(const Answer& answer) {
  attempt_ = std::make_unique<Attempt>();
  attempt_->order = *answer.order.order;
  if (!answer.unreadable.ok()) {
    spdlog::error("task {}: {}", attempt_->order.task_id, std::string(answer.unreadable.message()));
    const absl::MutexLock lock(&mutex_);
    attempt_->result = TaskResult{answer.unreadable, {}};
    return;
  }
  spdlog::info("task {}: {}, attempt {}", attempt_->order.task_id, KindOf(attempt_->order.task),
               attempt_->order.attempt);
  Attempt* attempt = attempt_.get();  // outlives its thread: Drop joins
  attempt->thread = std::thread([this, attempt] {
    TaskResult result = executor_.Run(attempt->order.task, attempt->control);
    if (!result.status.ok()) {
      spdlog::warn("task {}: {}", attempt->order.task_id, std::string(result.status.message()));
    }
    const absl::MutexLock lock(&mutex_);
    attempt->result = std::move(result);
  });
}

void WorkerLoop::Drop() {
  if (attempt_ == nullptr) return;
  attempt_->control.cancelled = true;
  if (attempt_->thread.joinable()) attempt_->thread.join();
  attempt_.reset();
}

void WorkerLoop::WaitForNews(milliseconds most) {
  const auto has_news = [this] {
    mutex_.AssertReaderHeld();
    return leaving_ || (attempt_ != nullptr && attempt_->result.has_value()) ||
           (options_.leave_when_idle && nothing_to_do_ && attempt_ == nullptr);
  };
  const absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&has_news), absl::FromChrono(most));
}

void WorkerLoop::WaitToAskAgain(milliseconds most) {
  const absl::MutexLock lock(&mutex_);
  if (leaving_) most = std::min(most, options_.farewell / 4);
  const bool was_leaving = leaving_;
  const auto has_changed = [this, was_leaving] {
    mutex_.AssertReaderHeld();
    return leaving_ != was_leaving;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&has_changed), absl::FromChrono(most));
}

}  // namespace mico
