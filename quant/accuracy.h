#pragma once

#include <cstdint>

namespace mico {

// How many of how many samples were classified correctly.
struct Accuracy {
  int64_t correct = 0, total = 0;

  double share() const {
    return total == 0 ? 0.0 : static_cast<double>(correct) / static_cast<double>(total);
  }
  friend bool operator==(const Accuracy&, const Accuracy&) = default;
};

}  // namespace mico
