#include "base/text.h"

#include <cstdint>

namespace mico {
namespace {

// The length that a first byte promises; 0 for a byte that begins nothing.
int LengthOf(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

// The code point at the beginning of `text`, whose length is `length`; -1 if it is not well formed.
int32_t CodePoint(std::string_view text, int length) {
  constexpr int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto first = static_cast<unsigned char>(text[0]);
  if (length == 1) return first;
  int32_t code = first & (0xff >> (length + 1));
  for (int i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return -1;
    code = code << 6 | (next & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return code < kLeast[length] || code > 0x10ffff || surrogate ? -1 : code;
}

bool IsControl(int32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

}  // namespace

bool IsPlainText(std::string_view text) {
  while (!text.empty()) {
    const int length = LengthOf(static_cast<unsigned char>(text[0]));
    if (length == 0 || text.size() < static_cast<size_t>(length)) return false;
    const int32_t code = CodePoint(text, length);
    if (code < 0 || IsControl(code)) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string Legible(std::string_view text) {
  std::string plain(text);
  if (IsPlainText(text)) return plain;
  for (char& c : plain) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code >= 0x7f) c = '?';
  }
  return plain;
}

}  // namespace mico
