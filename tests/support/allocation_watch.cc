#include "tests/support/allocation_watch.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<ptrdiff_t> held = 0, most_held = 0, held_at_start = 0;

void* Allocate(size_t size) {
  void* const memory = std::malloc(std::max<size_t>(size, 1));
  if (memory == nullptr) throw std::bad_alloc();
  const ptrdiff_t now = held += static_cast<ptrdiff_t>(malloc_usable_size(memory));
  for (ptrdiff_t most = most_held; now > most && !most_held.compare_exchange_weak(most, now);) {
  }
  return memory;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  held -= static_cast<ptrdiff_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete[](void* memory, size_t) noexcept { Free(memory); }

namespace mico {

AllocationWatch::AllocationWatch() {
  held_at_start = held.load();
  most_held = held.load();
}

size_t AllocationWatch::peak_bytes() const {
  return static_cast<size_t>(most_held.load() - held_at_start.load());
}

}  // namespace mico
