#pragma once

#include <string>
#include <string_view>

namespace mico {

// Well-formed UTF-8 without control characters (C0, DEL, C1): a name that a message can carry and a
// terminal can show as it is.
bool IsPlainText(std::string_view text);

// The text with a '?' for each byte that is not part of valid UTF-8. Protobuf strings must be
// valid: what a compiler, a board or a file name says goes through here before it goes on the wire.
std::string ValidUtf8(std::string_view text);

// Text from a stranger for a terminal or a log: valid UTF-8 in which every control character (C0,
// DEL, C1) and every character that changes the direction of writing is a '?'. Nobody's name
// repaints a screen. Line breaks stay, tabs become blanks.
std::string Printable(std::string_view text);
// The same, on one line.
std::string PrintableLine(std::string_view text);

}  // namespace mico
