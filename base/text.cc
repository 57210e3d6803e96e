#include "base/text.h"

#include <algorithm>
#include <cstdint>

namespace mico {
namespace {

constexpr char32_t kInvalid = 0xffff'ffff;

struct Character {
  char32_t code = kInvalid;
  size_t bytes = 1;
};

// The character that `text` begins with; kInvalid and one byte where that is not UTF-8 (too long a
// form, a surrogate, beyond U+10FFFF, cut off).
Character FirstOf(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  char32_t code = first & (0xffu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[bytes] || is_surrogate || code > 0x10ffff) return {};
  return {code, bytes};
}

bool IsControl(char32_t code) { return code < 0x20 || (code >= 0x7f && code <= 0x9f); }

// Marks, embeddings, overrides and isolates of bidirectional text, and its line breaks.
bool ChangesDirection(char32_t code) {
  return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

// `keep` says of each valid character whether it stays; every other becomes a '?'.
template <typename Keep>
std::string Filter(std::string_view text, Keep keep) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = FirstOf(text);
    if (character.code != kInvalid && keep(character.code)) {
      result.append(text.substr(0, character.bytes));
    } else {
      result.push_back('?');
    }
    text.remove_prefix(character.bytes);
  }
  return result;
}

}  // namespace

bool IsPlainText(std::string_view text) {
  while (!text.empty()) {
    const Character character = FirstOf(text);
    if (character.code == kInvalid || IsControl(character.code)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

std::string ValidUtf8(std::string_view text) {
  return Filter(text, [](char32_t) { return true; });
}

std::string Printable(std::string_view text) {
  std::string clean = Filter(text, [](char32_t code) {
    return code == '\n' || code == '\t' || !(IsControl(code) || ChangesDirection(code));
  });
  std::replace(clean.begin(), clean.end(), '\t', ' ');
  return clean;
}

std::string PrintableLine(std::string_view text) {
  std::string line = Printable(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace mico
