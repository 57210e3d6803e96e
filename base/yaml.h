#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace mico {

// Says whether yaml-cpp may be given this text: one document without anchors and aliases (a few
// lines of them expand to gigabytes), not deeper than 32 levels (the parser is recursive) and of at
// most 10,000 values and 128 KiB. InvalidArgument names the line, what was found and what is
// needed.
absl::Status CheckYaml(std::string_view text);

}  // namespace mico
