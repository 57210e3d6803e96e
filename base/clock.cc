#include "base/clock.h"

namespace mico {

TimePoint SystemClock::Now() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

TimePoint ManualClock::Now() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

void ManualClock::Advance(std::chrono::milliseconds duration) {
  absl::MutexLock lock(&mutex_);
  now_ += duration;
}

}  // namespace mico
