#include "codegen/c_text.h"

#include <limits>

#include "fmt/format.h"

namespace mico {
namespace {

constexpr size_t kWordsPerLine = 8;
constexpr size_t kNumbersPerLine = 8;

// "const type name[n] = {...};" with `per_line` elements a line.
template <typename T, typename Format>
std::string CArray(std::string_view type, std::string_view name, std::span<const T> values,
                   size_t per_line, Format format) {
  if (values.empty()) return "";
  std::string text = fmt::format("const {} {}[{}] = {{", type, name, values.size());
  text.reserve(text.size() + values.size() * 13);
  for (size_t i = 0; i < values.size(); ++i) {
    text += i % per_line == 0 ? "\n    " : " ";
    format(text, values[i]);
    text += ',';
  }
  return text + "\n};\n";
}

}  // namespace

std::string CShape(const Shape& shape) {
  return fmt::format("(mico_shape_t){{{}, {}, {}}}", shape.height, shape.width, shape.channels);
}

std::string CNumber(int64_t value) {
  if (value == std::numeric_limits<int32_t>::min()) return "(-2147483647 - 1)";
  return fmt::format("{}", value);
}

std::string CWords(std::string_view name, std::span<const uint32_t> words) {
  return CArray("uint32_t", name, words, kWordsPerLine, [](std::string& text, uint32_t word) {
    fmt::format_to(std::back_inserter(text), "0x{:08x}u", word);
  });
}

std::string CNumbers(std::string_view type, std::string_view name,
                     std::span<const int32_t> values) {
  return CArray(type, name, values, kNumbersPerLine,
                [](std::string& text, int32_t value) { text += CNumber(value); });
}

std::string PlainText(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const bool is_printable = c >= ' ' && c <= '~';
    const char before = plain.empty() ? ' ' : plain.back();
    const bool makes_comment = (before == '*' && c == '/') || (before == '/' && c == '*');
    plain += is_printable && !makes_comment && c != '\\' ? c : '_';
  }
  return plain;
}

}  // namespace mico
