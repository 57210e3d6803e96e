#pragma once

#include <string>
#include <string_view>

namespace mico {

// Well-formed UTF-8 without control characters (C0, DEL, C1): a name that a message can carry and a
// terminal can show as it is.
bool IsPlainText(std::string_view text);

// The same text where it is plain; otherwise with '?' for every byte that is not printable ASCII.
std::string Legible(std::string_view text);

}  // namespace mico
