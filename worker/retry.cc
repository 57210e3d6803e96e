#include "worker/retry.h"

#include <thread>

namespace mico {

bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:  // by a server that was asked to leave in the middle
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

bool WaitUnlessCancelled(std::chrono::milliseconds duration, const std::atomic<bool>* cancelled) {
  constexpr std::chrono::milliseconds kTick(20);
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) {
    if (cancelled != nullptr && cancelled->load()) return false;
    std::this_thread::sleep_for(std::min(kTick, duration));
  }
  return cancelled == nullptr || !cancelled->load();
}

}  // namespace mico
