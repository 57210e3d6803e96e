#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mico {

// What a program on a board said: docs/formats/board-protocol.md.
struct BoardRun {
  std::string program;  // "bench" or "selftest"
  std::vector<int64_t> bench_counts;
  std::optional<int64_t> overhead;
  std::vector<bool> cases_ok;
  std::optional<int64_t> run_count;
  std::vector<int64_t> layer_counts;
  int64_t passed = 0, failed = 0;
  std::string log;  // every line that was not ours, for people
};

// InvalidArgument with the line's number if a line of ours has a wrong checksum, comes out of order
// or twice, or does not agree with what came before; DataLoss if there is no last line.
absl::StatusOr<BoardRun> ParseBoardOutput(std::string_view output);

// "mico: <payload> #<checksum>\n": what a program would send.
std::string BoardLine(std::string_view payload);

}  // namespace mico
