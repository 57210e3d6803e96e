#pragma once

#include <cstddef>

namespace mico {

// How much memory the code under test held at most, beyond what was held before. Linking
// allocation_watch.cc replaces operator new and delete of the whole program, which then count.
// One object at a time; other threads are counted too.
class AllocationWatch {
 public:
  AllocationWatch();
  size_t peak_bytes() const;
};

}  // namespace mico
