#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; deploy/fuzz.sh
// runs it. Beside what the sanitizers see, it checks what the code under test promises.
namespace mico::fuzz {

inline std::string_view Bytes(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the process, so that libFuzzer keeps the input.
inline void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "BROKEN PROMISE: %s\n", promise);
  std::abort();
}

// Cuts one input into several: a number, then pieces with their lengths, then the rest. What is
// missing is empty.
class Pieces {
 public:
  explicit Pieces(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const uint8_t byte = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  // Its length in two bytes, low byte first, then so many bytes, or all that are left.
  std::string_view Piece() {
    const size_t low = Byte(), high = Byte();
    const std::string_view piece = rest_.substr(0, low | high << 8);
    rest_.remove_prefix(piece.size());
    return piece;
  }
  std::string_view Rest() { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace mico::fuzz
