#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mico {

struct ScreenSize {
  int columns = 80;
  int rows = 24;
};

// Standard output is a terminal that can move its cursor.
bool StdoutIsTerminal();
// Of the terminal at standard output, now; 80 x 24 where it does not say.
ScreenSize StdoutSize();

// Columns that UTF-8 text without line breaks takes; wide characters take two.
size_t DisplayWidth(std::string_view text);
// The beginning of the text that fits into `columns`.
std::string_view ClipToWidth(std::string_view text, size_t columns);

// A block of lines that repaints itself in place. It never wraps a line and is never as high as the
// screen: either would scroll, and what has scrolled cannot be repainted.
class LiveBlock {
 public:
  // The characters that replace the last painted block by `text`.
  std::string Paint(std::string_view text, ScreenSize size);
  // The characters that remove the last painted block.
  std::string Erase(ScreenSize size);

  // The most lines of `text` that Paint shows.
  static int MostRows(ScreenSize size) { return size.rows > 2 ? size.rows - 1 : 1; }

 private:
  std::string painted_;
};

}  // namespace mico
