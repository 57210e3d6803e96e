#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/text.h"
#include "client/exit_code.h"
#include "google/protobuf/message.h"

namespace mico {

// The message in the protobuf JSON mapping with a final newline: over several lines for people, or
// on one line where several messages follow one another.
std::string ToJson(const google::protobuf::Message& message);
std::string ToJsonLine(const google::protobuf::Message& message);

// Writes data to standard output, and nothing else ever goes there. FinishOutput flushes and says
// whether everything arrived (a full disk, a closed pipe).
void Print(std::string_view text);
absl::Status FinishOutput();

// A line for people to standard error.
void Note(std::string_view text);

// Prints the error to standard error and gives the exit code that it means.
ExitCode Fail(const absl::Status& status);

}  // namespace mico
