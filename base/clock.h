#pragma once

#include <chrono>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace mico {

using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// Where time comes from. It is passed in, so that tests tick by hand. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
};

class SystemClock : public Clock {
 public:
  TimePoint Now() const override;
};

// Moves only when told.
class ManualClock : public Clock {
 public:
  TimePoint Now() const override;
  void Advance(std::chrono::milliseconds duration);

 private:
  mutable absl::Mutex mutex_;
  TimePoint now_ ABSL_GUARDED_BY(mutex_){std::chrono::milliseconds(1'700'000'000'000)};
};

}  // namespace mico
