#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mico {

enum class NpyType { kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64, kF32, kF64 };

// "uint8", "float32", ...: NumPy's names.
std::string_view ToString(NpyType type);
int64_t BytesOf(NpyType type);
bool IsInteger(NpyType type);

// One array of an .npy file, in C order, little-endian. `values` points into the file's bytes and
// has exactly elements() * BytesOf(type) of them; it need not be aligned.
struct NpyArray {
  NpyType type = NpyType::kU8;
  std::vector<int64_t> shape;  // empty: a scalar
  std::string_view values;

  int64_t elements() const;
  // Element `index` of any type; exact but for 64-bit integers beyond 2^53.
  double Number(int64_t index) const;
  // Element `index` of an integer type. Unsigned 64-bit values from 2^63 on are given as -1, which
  // no caller accepts.
  int64_t Integer(int64_t index) const;
};

// "(1000, 1, 28, 28)", as NumPy prints it.
std::string ShapeText(const std::vector<int64_t>& shape);

// Parses an .npy file, versions 1.0 to 3.0; `name` names it in errors. Objects, strings, structured
// types, big-endian numbers and Fortran order are refused by name.
absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes, std::string_view name);

}  // namespace mico
