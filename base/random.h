#pragma once

#include <cstdint>
#include <string>

namespace mico {

// A small deterministic generator (xoshiro256**, Blackman and Vigna 2018), equal on every machine.
// Passed in, never global. Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t Next();
  // Uniform in [0, bound); bound > 0. Unbiased.
  uint64_t Below(uint64_t bound);
  // Uniform in [low, high].
  int64_t Between(int64_t low, int64_t high);
  // Uniform in [0, 1), 53 bits.
  double Unit();
  // Normal with mean 0 and deviation 1.
  double Gaussian();
  // `bytes` random bytes as lower-case hexadecimal digits.
  std::string Hex(int bytes);

 private:
  uint64_t state_[4];
};

// A seed that nobody can predict, from the operating system: for ids, never for results.
uint64_t EntropySeed();

}  // namespace mico
