#include "client/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "fmt/format.h"
#include "google/protobuf/util/json_util.h"

namespace mico {
namespace {

std::string Json(const google::protobuf::Message& message, bool whitespace) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = whitespace;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  // Our messages have no `Any`, the one thing that the mapping can fail at.
  if (!status.ok()) Note(fmt::format("JSON of {}: {}", message.GetTypeName(), status.ToString()));
  if (text.empty() || text.back() != '\n') text += '\n';
  return text;
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) { return Json(message, true); }

std::string ToJsonLine(const google::protobuf::Message& message) { return Json(message, false); }

// What could not be written sets the stream's error mark, which FinishOutput looks at.
void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

absl::Status FinishOutput() {
  const bool flushed = std::fflush(stdout) == 0;
  if (flushed && std::ferror(stdout) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "standard output: {}", errno != 0 ? std::strerror(errno) : "not all was written"));
}

void Note(std::string_view text) {
  const std::string line = fmt::format("mico-cli: {}\n", Printable(text));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

ExitCode Fail(const absl::Status& status) {
  const std::string_view message(status.message().data(), status.message().size());
  Note(message.empty() ? absl::StatusCodeToString(status.code()) : std::string(message));
  return ToExitCode(status);
}

}  // namespace mico
