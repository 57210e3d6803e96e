#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/exit_code.h"
#include "client/options.h"
#include "google/protobuf/message.h"
#include "proto/exploration.pb.h"

namespace mico {

// Columns aligned for reading, or comma-separated with quotes where needed.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToText() const;
  std::string ToCsv() const;
  std::string Render(OutputFormat format) const {
    return format == OutputFormat::kCsv ? ToCsv() : ToText();
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Text from a server without control characters: a name cannot repaint a terminal.
std::string Printable(std::string_view text);

// The message in the protobuf JSON mapping, with a final newline.
std::string ToJson(const google::protobuf::Message& message);

// "preparing", "searching", ...
std::string JobStateName(v1::JobState state);

// One line: state, progress, rate, time left.
std::string ProgressLine(const v1::Job& job);

// The front and the uniform networks, one row a trial: widths as one digit a layer.
std::string RenderFront(const v1::Job& job, OutputFormat format);

// Accuracy over latency in characters: o front, u uniform networks.
std::string RenderChart(const v1::Job& job, int columns, int rows);

// Prints the error to standard error and gives the exit code that it means.
ExitCode Fail(const absl::Status& status);

}  // namespace mico
