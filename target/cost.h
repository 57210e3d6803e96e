#pragma once

#include <cstdint>

namespace mico {

// What one inference costs. `latency_cycles` are what the target counts (Target::counts says
// whether that is cycles or instructions).
struct Cost {
  int64_t latency_cycles = 0;
  int64_t peak_ram_bytes = 0;
  int64_t flash_bytes = 0;
  friend bool operator==(const Cost&, const Cost&) = default;
};

}  // namespace mico
