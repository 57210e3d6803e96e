#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

// Writes little-endian binary formats; docs/formats/ has their grammars.
class ByteWriter {
 public:
  void U8(uint8_t value);
  void U32(uint32_t value);
  void I32(int32_t value) { U32(static_cast<uint32_t>(value)); }
  void U64(uint64_t value);
  void I64(int64_t value) { U64(static_cast<uint64_t>(value)); }
  void F32(float value);
  void F64(double value);
  // A length (u64), then the bytes.
  void Text(std::string_view text);
  // A length (u64), then the values.
  void F32s(std::span<const float> values);
  void I32s(std::span<const int32_t> values);
  void I8s(std::span<const int8_t> values);
  void Raw(std::string_view bytes) { bytes_.append(bytes); }

  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what ByteWriter wrote, from input that nobody vouches for: a length is compared with what
// is left before anything is allocated. After the first failure every read returns zero or empty;
// ask status() before believing anything.
class ByteReader {
 public:
  // `bytes` must outlive the reader; `what` names the input in errors.
  ByteReader(std::string_view bytes, std::string what);

  uint8_t U8();
  uint32_t U32();
  int32_t I32() { return static_cast<int32_t>(U32()); }
  uint64_t U64();
  int64_t I64() { return static_cast<int64_t>(U64()); }
  float F32();
  double F64();
  std::string Text();
  std::vector<float> F32s();
  std::vector<int32_t> I32s();
  std::vector<int8_t> I8s();
  // A count of things of at least `least_bytes_each`; fails if so many cannot follow.
  uint64_t Count(uint64_t least_bytes_each);
  std::string_view Raw(uint64_t size);
  // The first bytes of a format: letters, and a last one that is its version. Fails with what was
  // found and what this program reads.
  void Magic(std::string_view needed);

  bool at_end() const { return position_ == bytes_.size(); }
  // DataLoss with the position of the first failure.
  absl::Status status() const { return status_; }
  // status(), or DataLoss if bytes are left.
  absl::Status Finish() const;
  void Fail(std::string_view reason);

 private:
  std::string_view bytes_;
  std::string what_;
  size_t position_ = 0;
  absl::Status status_;
};

}  // namespace mico
