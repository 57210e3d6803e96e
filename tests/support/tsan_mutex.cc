// Tells ThreadSanitizer about absl::Mutex. Debian's abseil is built without it, so that every value
// guarded by a mutex would be reported as a race. Linked into the tests of the tsan preset alone:
// these definitions come before those of the shared library, and call them.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "fmt/format.h"

#define MICO_QUOTE_EXPANDED(text) #text
#define MICO_QUOTE(text) MICO_QUOTE_EXPANDED(text)

// The linker's names for where the program's own code begins and ends.
extern "C" char __executable_start, etext;

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

// Our code is all in the program itself; what is in shared libraries is not instrumented.
bool IsOurs(const void* caller) { return caller >= &__executable_start && caller < &etext; }

// What this thread holds that our code has locked. Of these ThreadSanitizer knows that they are
// mutexes, and watches their order. Of gRPC's and abseil's own it hears only that one thread's
// unlock comes before the next one's lock: their order is not ours to mend, and they lock and
// unlock on ways that are not seen here.
thread_local std::vector<const void*> held;

// ThreadSanitizer looks away between construction and destruction; the lock is held afterwards.
class Locking {
 public:
  Locking(void* mutex, bool is_ours, unsigned flags = 0)
      : mutex_(mutex), is_ours_(is_ours), flags_(flags) {
    if (is_ours_) __tsan_mutex_pre_lock(mutex_, flags_);
  }
  ~Locking() {
    if (is_ours_) {
      __tsan_mutex_post_lock(mutex_, flags_, 0);
      held.push_back(mutex_);
    } else {
      __tsan_acquire(mutex_);
    }
  }

 private:
  void* mutex_;
  bool is_ours_;
  unsigned flags_;
};

// The same; the lock is free afterwards.
class Unlocking {
 public:
  explicit Unlocking(void* mutex, unsigned flags = 0) : mutex_(mutex), flags_(flags) {
    const auto found = std::find(held.rbegin(), held.rend(), mutex);
    is_ours_ = found != held.rend();
    if (is_ours_) {
      held.erase(std::next(found).base());
      __tsan_mutex_pre_unlock(mutex_, flags_);
    } else {
      __tsan_release(mutex_);
    }
  }
  ~Unlocking() {
    if (is_ours_) __tsan_mutex_post_unlock(mutex_, flags_);
  }
  bool is_ours() const { return is_ours_; }

 private:
  void* mutex_;
  bool is_ours_;
  unsigned flags_;
};

// A wait gives the mutex away and takes it again.
class Waiting {
 public:
  explicit Waiting(void* mutex) : locking_(mutex, Unlock(mutex)) {}

 private:
  static bool Unlock(void* mutex) { return Unlocking(mutex).is_ours(); }

  Locking locking_;
};

}  // namespace
}  // namespace mico

using mico::IsOurs;
using mico::Locking;
using mico::Original;
using mico::Unlocking;
using mico::Waiting;

void absl::Mutex::Lock() {
  static const auto lock = Original<void(Mutex*)>("5Mutex4LockEv");
  const Locking locking(this, IsOurs(__builtin_return_address(0)));
  lock(this);
}

void absl::Mutex::Unlock() {
  static const auto unlock = Original<void(Mutex*)>("5Mutex6UnlockEv");
  const Unlocking unlocking(this);
  unlock(this);
}

bool absl::Mutex::TryLock() {
  static const auto try_lock = Original<bool(Mutex*)>("5Mutex7TryLockEv");
  if (!IsOurs(__builtin_return_address(0))) {
    const bool locked = try_lock(this);
    if (locked) __tsan_acquire(this);
    return locked;
  }
  __tsan_mutex_pre_lock(this, __tsan_mutex_try_lock);
  const bool locked = try_lock(this);
  const unsigned failed = locked ? 0 : __tsan_mutex_try_lock_failed;
  __tsan_mutex_post_lock(this, __tsan_mutex_try_lock | failed, 0);
  if (locked) mico::held.push_back(this);
  return locked;
}

void absl::Mutex::ReaderLock() {
  static const auto lock = Original<void(Mutex*)>("5Mutex10ReaderLockEv");
  const Locking locking(this, IsOurs(__builtin_return_address(0)), __tsan_mutex_read_lock);
  lock(this);
}

void absl::Mutex::ReaderUnlock() {
  static const auto unlock = Original<void(Mutex*)>("5Mutex12ReaderUnlockEv");
  const Unlocking unlocking(this, __tsan_mutex_read_lock);
  unlock(this);
}

void absl::Mutex::LockWhen(const Condition& condition) {
  static const auto lock_when =
      Original<void(Mutex*, const Condition&)>("5Mutex8LockWhenERKNS0_9ConditionE");
  const Locking locking(this, IsOurs(__builtin_return_address(0)));
  lock_when(this, condition);
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
