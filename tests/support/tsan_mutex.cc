// Tells ThreadSanitizer about absl::Mutex. Debian's abseil is built without it, so that every value
// guarded by a mutex would be reported as a race. Linked into the tests of the tsan preset alone:
// these definitions come before those of the shared library, and call them.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "fmt/format.h"

#define MICO_QUOTE_EXPANDED(text) #text
#define MICO_QUOTE(text) MICO_QUOTE_EXPANDED(text)

namespace mico {
namespace {

// The library's own definition of a member of absl, given what its symbol says after the namespace.
template <typename Function>
Function* Original(std::string_view symbol) {
  constexpr std::string_view kInlineNamespace = MICO_QUOTE(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name =
      fmt::format("_ZN4absl{}{}{}", kInlineNamespace.size(), kInlineNamespace, symbol);
  void* const found = dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    fmt::print(stderr, "tsan_mutex: abseil has no '{}'\n", name);
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

// ThreadSanitizer looks away between construction and destruction; the lock is held afterwards.
class Locking {
 public:
  explicit Locking(absl::Mutex* mutex, unsigned flags = 0) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_lock(mutex_, flags_);
  }
  ~Locking() { __tsan_mutex_post_lock(mutex_, flags_, 0); }

 private:
  absl::Mutex* mutex_;
  unsigned flags_;
};

// The same; the lock is free afterwards.
class Unlocking {
 public:
  explicit Unlocking(absl::Mutex* mutex, unsigned flags = 0) : mutex_(mutex), flags_(flags) {
    __tsan_mutex_pre_unlock(mutex_, flags_);
  }
  ~Unlocking() { __tsan_mutex_post_unlock(mutex_, flags_); }

 private:
  absl::Mutex* mutex_;
  unsigned flags_;
};

// A wait gives the mutex away and takes it again.
class Waiting {
 public:
  explicit Waiting(absl::Mutex* mutex) : locking_((Unlocking(mutex), mutex)) {}

 private:
  Locking locking_;
};

}  // namespace
}  // namespace mico

using mico::Locking;
using mico::Original;
using mico::Unlocking;
using mico::Waiting;

void absl::Mutex::Lock() {
  static const auto lock = Original<void(Mutex*)>("5Mutex4LockEv");
  const Locking locking(this);
  lock(this);
}

void absl::Mutex::Unlock() {
  static const auto unlock = Original<void(Mutex*)>("5Mutex6UnlockEv");
  const Unlocking unlocking(this);
  unlock(this);
}

bool absl::Mutex::TryLock() {
  static const auto try_lock = Original<bool(Mutex*)>("5Mutex7TryLockEv");
  __tsan_mutex_pre_lock(this, __tsan_mutex_try_lock);
  const bool locked = try_lock(this);
  const unsigned failed = locked ? 0 : __tsan_mutex_try_lock_failed;
  __tsan_mutex_post_lock(this, __tsan_mutex_try_lock | failed, 0);
  return locked;
}

void absl::Mutex::ReaderLock() {
  static const auto lock = Original<void(Mutex*)>("5Mutex10ReaderLockEv");
  const Locking locking(this, __tsan_mutex_read_lock);
  lock(this);
}

void absl::Mutex::ReaderUnlock() {
  static const auto unlock = Original<void(Mutex*)>("5Mutex12ReaderUnlockEv");
  const Unlocking unlocking(this, __tsan_mutex_read_lock);
  unlock(this);
}

void absl::Mutex::Await(const Condition& condition) {
  static const auto await =
      Original<void(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  const Waiting waiting(this);
  await(this, condition);
}

bool absl::Mutex::AwaitWithTimeout(const Condition& condition, absl::Duration timeout) {
  static const auto await = Original<bool(Mutex*, const Condition&, absl::Duration)>(
      "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const Waiting waiting(this);
  return await(this, condition, timeout);
}

void absl::CondVar::Wait(Mutex* mutex) {
  static const auto wait = Original<void(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  const Waiting waiting(mutex);
  wait(this, mutex);
}

bool absl::CondVar::WaitWithTimeout(Mutex* mutex, absl::Duration timeout) {
  static const auto wait = Original<bool(CondVar*, Mutex*, absl::Duration)>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  const Waiting waiting(mutex);
  return wait(this, mutex, timeout);
}

bool absl::CondVar::WaitWithDeadline(Mutex* mutex, absl::Time deadline) {
  static const auto wait = Original<bool(CondVar*, Mutex*, absl::Time)>(
      "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  const Waiting waiting(mutex);
  return wait(this, mutex, deadline);
}
