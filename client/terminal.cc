#include "client/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "fmt/format.h"

namespace mico {
namespace {

// The length of the UTF-8 character that starts here; 1 for what is none.
size_t CharacterBytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t bytes = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return std::min(bytes, text.size());
}

// Scripts with double-width characters start at U+1100, in UTF-8 E1 84 80. Taking a narrow one for
// wide costs a blank, the reverse would wrap a line; punctuation and arrows (E2) are narrow.
size_t CharacterColumns(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character.front());
  if (character.size() < 3 || lead == 0xe0 || lead == 0xe2) return 1;
  if (lead == 0xe1 && static_cast<unsigned char>(character[1]) < 0x84) return 1;
  return 2;
}

// Takes the first line off the text.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// Rows that the text takes on a screen of this width, where long lines have been wrapped by a
// terminal that became narrower since they were painted.
int WrappedRows(std::string_view text, int columns) {
  int rows = 0;
  while (!text.empty()) {
    const auto width = static_cast<int>(DisplayWidth(TakeLine(text)));
    rows += std::max(1, (width + columns - 1) / columns);
  }
  return rows;
}

}  // namespace

bool StdoutIsTerminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

ScreenSize StdoutSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

size_t DisplayWidth(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, CharacterBytes(text));
    columns += CharacterColumns(character);
    text.remove_prefix(character.size());
  }
  return columns;
}

std::string_view ClipToWidth(std::string_view text, size_t columns) {
  size_t bytes = 0;
  size_t used = 0;
  while (bytes < text.size()) {
    const std::string_view rest = text.substr(bytes);
    const std::string_view character = rest.substr(0, CharacterBytes(rest));
    used += CharacterColumns(character);
    if (used > columns) break;
    bytes += character.size();
  }
  return text.substr(0, bytes);
}

std::string LiveBlock::Paint(std::string_view text, ScreenSize size) {
  std::string bytes = Erase(size);
  for (int row = 0; row < MostRows(size) && !text.empty(); ++row) {
    // The last column stays free: some terminals wrap as soon as it is written.
    const auto columns = static_cast<size_t>(std::max(size.columns - 1, 1));
    painted_ += std::string(ClipToWidth(TakeLine(text), columns)) + "\n";
  }
  return bytes + painted_;
}

std::string LiveBlock::Erase(ScreenSize size) {
  const int rows = WrappedRows(painted_, std::max(size.columns, 1));
  painted_.clear();
  if (rows == 0) return "";
  // Up to the first line of the block, then clear to the end of the screen.
  return fmt::format("\x1b[{}F\x1b[J", rows);
}

}  // namespace mico
