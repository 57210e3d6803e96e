#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "absl/status/status.h"

namespace mico {

// How long to wait before asking a server again that did not answer: twice as long each time, up to
// a limit, from the beginning after an answer. A server that restarts is found within the limit.
class Backoff {
 public:
  explicit Backoff(std::chrono::milliseconds first = std::chrono::milliseconds(100),
                   std::chrono::milliseconds most = std::chrono::milliseconds(5000))
      : first_(first), most_(most), next_(first) {}

  std::chrono::milliseconds Next() {
    const std::chrono::milliseconds wait = next_;
    next_ = std::min(most_, next_ * 2);
    return wait;
  }
  void Reset() { next_ = first_; }

 private:
  std::chrono::milliseconds first_, most_, next_;
};

// Would the same call perhaps succeed later?
bool IsTransient(const absl::Status& status);

// Waits, but not longer than until `cancelled` (may be null) becomes true. False if it did.
bool WaitUnlessCancelled(std::chrono::milliseconds duration, const std::atomic<bool>* cancelled);

}  // namespace mico
