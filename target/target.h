#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"

namespace mico {

// What a counter of a target means. Reports never call instructions cycles.
enum class CounterKind { kCycles, kInstructions, kNanoseconds };
std::string_view ToString(CounterKind kind);

// What is known of a target outside the worker that holds it: no commands, no paths.
struct Target {
  std::string name;
  std::string isa;  // c99 | rv32imc | armv7e-m | ...
  int64_t clock_hz = 0;
  int64_t flash_bytes = 0, ram_bytes = 0;
  std::vector<int> weight_bits{8, 4, 2};  // what a search may choose, descending
  std::vector<int> activation_bits{8, 4, 2};
  CounterKind counts = CounterKind::kCycles;
  std::string latency_model = "profiled";
  // Names the programs that are measured (isa, compiler, flags, bsp, kernel library), then "-" and
  // how their board is run; without a board the first alone. Equal keys share one latency table.
  std::string profile_key;
  bool has_board = false;
  friend bool operator==(const Target&, const Target&) = default;
};

struct Toolchain {
  std::string cc;
  std::vector<std::string> cflags, ldflags;
  std::filesystem::path bsp;  // folder with start-up code, linker script and mico_bsp.c
};

struct SerialPort {
  std::string port;
  int baud = 115200;
};

// How a program gets onto a board and back. Either `run` (a simulator: output on stdout) or `flash`
// and `serial`. Lists of arguments, no shell; "{elf}" is the only substitution.
struct BoardAccess {
  std::vector<std::string> run;
  std::vector<std::string> flash;
  std::optional<SerialPort> serial;
  int timeout_s = 60;
};

// A target file: contracts.md, "Target file (YAML)".
struct TargetFile {
  Target target;
  Toolchain toolchain;
  std::optional<BoardAccess> board;
};

// Parses YAML from `text`; relative bsp paths are taken from `folder`. Unknown keys, wrong types
// and values out of range are InvalidArgument with the key, what was found and what was needed.
absl::StatusOr<TargetFile> ParseTargetFile(std::string_view text,
                                           const std::filesystem::path& folder);
absl::StatusOr<TargetFile> LoadTargetFile(const std::filesystem::path& path);

}  // namespace mico
