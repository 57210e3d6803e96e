#pragma once

#include <cstdint>
#include <vector>

namespace mico {

// Bytes that must be there from one step to another, both included.
struct BufferNeed {
  int64_t bytes = 0;
  int first_step = 0;
  int last_step = 0;

  bool LivesWith(const BufferNeed& other) const {
    return first_step <= other.last_step && other.first_step <= last_step;
  }
};

struct MemoryLayout {
  std::vector<int64_t> offsets;  // parallel to the needs, multiples of the alignment
  int64_t total_bytes = 0;
};

// Places the buffers so that no two that live together overlap. Greedy: the largest first (and, as
// a second try, the longest-lived first), each into the tightest gap that holds it; the better try
// is kept. Deterministic.
MemoryLayout PlanBuffers(const std::vector<BufferNeed>& needs, int64_t alignment);

}  // namespace mico
