#include "worker/torch/parallel_batches.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "fmt/format.h"
#include "worker/torch/convolution.h"

namespace mico {
namespace {

// What the threads of one call share.
class Progress {
 public:
  Progress(int64_t samples, int64_t batch_size) : samples_(samples), batch_size_(batch_size) {}

  // The next batch; count 0 when there is none or somebody failed.
  Batch Next() {
    if (failed_.load(std::memory_order_relaxed)) return {};
    const int64_t first = next_.fetch_add(batch_size_, std::memory_order_relaxed);
    if (first >= samples_) return {};
    return {first, std::min(batch_size_, samples_ - first)};
  }

  void Finished(const Batch& batch) { done_.fetch_add(batch.count, std::memory_order_relaxed); }
  double share() const {
    return samples_ == 0 ? 1.0 : static_cast<double>(done_.load()) / static_cast<double>(samples_);
  }

  void Fail(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = std::move(status);
    failed_ = true;
  }
  absl::Status status() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  const int64_t samples_, batch_size_;
  std::atomic<int64_t> next_{0}, done_{0};
  std::atomic<bool> failed_{false};
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

absl::Status RunCaught(const std::function<absl::Status(Batch)>& work, const Batch& batch) {
  try {
    return work(batch);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        fmt::format("no memory for {} samples at a time", batch.count));
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("libtorch: {}", error.what()));
  }
}

void WorkThrough(Progress& progress, const std::function<absl::Status(Batch)>& work,
                 const std::function<bool(double)>* keep_going) {
  UseOneLibtorchThread();
  for (Batch batch = progress.Next(); batch.count > 0; batch = progress.Next()) {
    const absl::Status status = RunCaught(work, batch);
    if (!status.ok()) return progress.Fail(status);
    progress.Finished(batch);
    if (keep_going != nullptr && *keep_going && !(*keep_going)(progress.share())) {
      return progress.Fail(absl::CancelledError("the result is no longer wanted"));
    }
  }
}

}  // namespace

absl::Status ForEachBatch(const Crew& crew, int64_t samples,
                          const std::function<absl::Status(Batch)>& work,
                          const std::function<bool(double)>& keep_going) {
  Progress progress(samples, crew.batch_size);
  const int64_t batches = (samples + crew.batch_size - 1) / crew.batch_size;
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(crew.threads, batches); ++i) {
    others.emplace_back([&] { WorkThrough(progress, work, nullptr); });
  }
  WorkThrough(progress, work, &keep_going);
  for (std::thread& thread : others) thread.join();
  return progress.status();
}

std::function<bool(double)> Part(const std::function<bool(double)>& keep_going, double from,
                                 double to) {
  if (!keep_going) return nullptr;
  return [&keep_going, from, to](double share) { return keep_going(from + (to - from) * share); };
}

}  // namespace mico
