#pragma once

#include <string>

namespace mico {

// Sends spdlog's lines to stderr: as text for people, or ("json") as one JSON object a line.
void LogToStandardError(const std::string& format);

}  // namespace mico
