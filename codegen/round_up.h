#pragma once

#include <cstdint>

namespace mico {

// The least multiple of `multiple` that is not below `value`.
constexpr int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace mico
