#include "target/target.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <functional>
#include <set>
#include <span>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "base/yaml.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "yaml-cpp/yaml.h"

namespace mico {
namespace {

constexpr uint64_t kMostFileBytes = 1 << 20;
constexpr size_t kMostArguments = 256;
constexpr int64_t kMostMemoryBytes = int64_t{1} << 40;
constexpr int64_t kMostClockHz = 100'000'000'000;

constexpr std::array<std::string_view, 5> kIsas = {"c99", "rv32imc", "armv7e-m", "armv8.1-m",
                                                   "x86_64"};
constexpr std::array<std::string_view, 1> kLatencyModels = {"profiled"};
constexpr std::array<std::string_view, 3> kCounters = {"cycles", "instructions", "nanoseconds"};
constexpr std::array<int, 12> kBaudRates = {9600,   19200,  38400,   57600,   115200,  230400,
                                            460800, 921600, 1000000, 1500000, 2000000, 3000000};

std::string Describe(const YAML::Node& node) {
  if (!node || node.IsNull()) return "nothing";
  if (node.IsMap()) return "a map";
  if (node.IsSequence()) return "a list";
  return fmt::format("'{}'", node.Scalar().substr(0, 80));
}

absl::Status Wrong(std::string_view key, std::string_view found, std::string_view needed) {
  return absl::InvalidArgumentError(
      fmt::format("target file: {}: found {}, needed {}", key, found, needed));
}

// One map of the file: hands out its values by key and refuses what nobody asked for.
class Section {
 public:
  // `path` is "" for the whole file, "memory" for a map below it.
  static absl::StatusOr<Section> Open(const YAML::Node& node, std::string path,
                                      std::set<std::string> known) {
    const std::string name = path.empty() ? "the file" : path;
    if (!node || !node.IsMap()) return Wrong(name, Describe(node), "a map");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Wrong(name, Describe(entry.first), "a key of one word");
      const std::string key = entry.first.Scalar();
      if (!known.contains(key)) {
        return Wrong(name, fmt::format("unknown key '{}'", key),
                     fmt::format("one of {}", fmt::join(known, ", ")));
      }
      if (!seen.insert(key).second) return Wrong(name, fmt::format("'{}' twice", key), "it once");
    }
    return Section(node, std::move(path));
  }

  bool Has(const std::string& key) const { return Get(key).IsDefined(); }
  YAML::Node Get(const std::string& key) const { return node_[key]; }
  std::string PathOf(const std::string& key) const {
    return path_.empty() ? key : fmt::format("{}.{}", path_, key);
  }

  absl::StatusOr<std::string> Text(const std::string& key) const {
    return TextOf(Get(key), PathOf(key));
  }

  absl::StatusOr<int64_t> Integer(const std::string& key, int64_t least, int64_t most) const {
    return IntegerOf(Get(key), PathOf(key), least, most);
  }

  // One word out of `choices`.
  absl::StatusOr<std::string> Choice(const std::string& key,
                                     std::span<const std::string_view> choices) const {
    MICO_ASSIGN_OR_RETURN(const std::string word, Text(key));
    if (std::find(choices.begin(), choices.end(), word) == choices.end()) {
      return Wrong(PathOf(key), fmt::format("'{}'", word),
                   fmt::format("one of {}", fmt::join(choices, ", ")));
    }
    return word;
  }

  // A list of arguments of a command; absent means empty.
  absl::StatusOr<std::vector<std::string>> Arguments(const std::string& key) const {
    std::vector<std::string> arguments;
    if (!Has(key)) return arguments;
    const YAML::Node list = Get(key);
    if (!list.IsSequence() || list.size() > kMostArguments) {
      return Wrong(PathOf(key), Describe(list),
                   fmt::format("a list of at most {} arguments", kMostArguments));
    }
    for (size_t i = 0; i < list.size(); ++i) {
      MICO_ASSIGN_OR_RETURN(std::string argument,
                            TextOf(list[i], fmt::format("{}[{}]", PathOf(key), i)));
      arguments.push_back(std::move(argument));
    }
    return arguments;
  }

  // Distinct widths of 1-8 bits, given back in descending order.
  absl::StatusOr<std::vector<int>> Widths(const std::string& key) const {
    const YAML::Node list = Get(key);
    if (!list.IsSequence() || list.size() == 0) {
      return Wrong(PathOf(key), Describe(list), "a list of widths of 1 to 8 bits");
    }
    std::set<int, std::greater<>> widths;
    for (size_t i = 0; i < list.size(); ++i) {
      const std::string path = fmt::format("{}[{}]", PathOf(key), i);
      MICO_ASSIGN_OR_RETURN(const int64_t width, IntegerOf(list[i], path, 1, 8));
      if (!widths.insert(static_cast<int>(width)).second) {
        return Wrong(path, fmt::format("{} again", width), "each width once");
      }
    }
    return std::vector<int>(widths.begin(), widths.end());
  }

 private:
  Section(const YAML::Node& node, std::string path) : node_(node), path_(std::move(path)) {}

  static absl::StatusOr<std::string> TextOf(const YAML::Node& node, const std::string& path) {
    if (!node || !node.IsScalar()) return Wrong(path, Describe(node), "text");
    const std::string& text = node.Scalar();
    if (text.empty() || text.size() > 4096 || text.find('\0') != std::string::npos) {
      return Wrong(path, fmt::format("text of {} bytes", text.size()),
                   "1 to 4096 bytes without a zero byte");
    }
    return text;
  }

  static absl::StatusOr<int64_t> IntegerOf(const YAML::Node& node, const std::string& path,
                                           int64_t least, int64_t most) {
    const std::string needed = fmt::format("an integer from {} to {}", least, most);
    if (!node || !node.IsScalar()) return Wrong(path, Describe(node), needed);
    const std::string& text = node.Scalar();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
      return Wrong(path, Describe(node), needed);
    }
    return value;
  }

  YAML::Node node_;
  std::string path_;
};

bool IsName(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 63 && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), is_plain);
}

absl::Status ReadIdentity(const Section& file, Target& target) {
  MICO_ASSIGN_OR_RETURN(target.name, file.Text("name"));
  if (!IsName(target.name)) {
    return Wrong("name", fmt::format("'{}'", target.name),
                 "1 to 63 of a-z, 0-9, '-', '_', '.', beginning with a letter, digit or '_'");
  }
  MICO_ASSIGN_OR_RETURN(target.isa, file.Choice("isa", kIsas));
  MICO_ASSIGN_OR_RETURN(target.clock_hz, file.Integer("clock_hz", 1, kMostClockHz));
  if (file.Has("weight_bits")) {
    MICO_ASSIGN_OR_RETURN(target.weight_bits, file.Widths("weight_bits"));
  }
  if (file.Has("activation_bits")) {
    MICO_ASSIGN_OR_RETURN(target.activation_bits, file.Widths("activation_bits"));
  }
  return absl::OkStatus();
}

absl::Status ReadMemory(const YAML::Node& node, Target& target) {
  MICO_ASSIGN_OR_RETURN(const Section memory,
                        Section::Open(node, "memory", {"flash_bytes", "ram_bytes"}));
  MICO_ASSIGN_OR_RETURN(target.flash_bytes, memory.Integer("flash_bytes", 1, kMostMemoryBytes));
  MICO_ASSIGN_OR_RETURN(target.ram_bytes, memory.Integer("ram_bytes", 1, kMostMemoryBytes));
  return absl::OkStatus();
}

absl::Status ReadLatency(const YAML::Node& node, Target& target) {
  MICO_ASSIGN_OR_RETURN(const Section latency, Section::Open(node, "latency", {"model"}));
  MICO_ASSIGN_OR_RETURN(target.latency_model, latency.Choice("model", kLatencyModels));
  return absl::OkStatus();
}

absl::StatusOr<Toolchain> ReadToolchain(const YAML::Node& node,
                                        const std::filesystem::path& folder) {
  MICO_ASSIGN_OR_RETURN(const Section section,
                        Section::Open(node, "toolchain", {"cc", "cflags", "ldflags", "bsp"}));
  Toolchain toolchain;
  MICO_ASSIGN_OR_RETURN(toolchain.cc, section.Text("cc"));
  MICO_ASSIGN_OR_RETURN(toolchain.cflags, section.Arguments("cflags"));
  MICO_ASSIGN_OR_RETURN(toolchain.ldflags, section.Arguments("ldflags"));
  MICO_ASSIGN_OR_RETURN(const std::string bsp, section.Text("bsp"));
  toolchain.bsp = (folder / bsp).lexically_normal();
  return toolchain;
}

absl::StatusOr<SerialPort> ReadSerial(const YAML::Node& node) {
  MICO_ASSIGN_OR_RETURN(const Section section,
                        Section::Open(node, "board.serial", {"port", "baud"}));
  SerialPort serial;
  MICO_ASSIGN_OR_RETURN(serial.port, section.Text("port"));
  if (!section.Has("baud")) return serial;
  MICO_ASSIGN_OR_RETURN(const int64_t baud, section.Integer("baud", 1, kBaudRates.back()));
  if (std::find(kBaudRates.begin(), kBaudRates.end(), baud) == kBaudRates.end()) {
    return Wrong("board.serial.baud", fmt::format("{}", baud),
                 fmt::format("one of {}", fmt::join(kBaudRates, ", ")));
  }
  serial.baud = static_cast<int>(baud);
  return serial;
}

absl::Status NeedsElf(std::string_view key, const std::vector<std::string>& command) {
  for (const std::string& argument : command) {
    if (argument.find("{elf}") != std::string::npos) return absl::OkStatus();
  }
  return Wrong(key, fmt::format("{} arguments without {{elf}}", command.size()),
               "{elf} where the program's path goes");
}

// A word in braces that we do not know would reach the command as it is: "{elf }" stays, because it
// may be the command's own language (Tcl in openocd's), "{elv}" is a mistake.
absl::Status CheckPlaceholders(std::string_view key, const std::vector<std::string>& command) {
  for (size_t i = 0; i < command.size(); ++i) {
    std::string_view rest = command[i];
    for (size_t open = 0; (open = rest.find('{')) != std::string_view::npos;) {
      rest.remove_prefix(open + 1);
      const std::string_view word = rest.substr(0, rest.find('}'));
      const bool is_word = word.size() < rest.size() && !word.empty() &&
                           std::all_of(word.begin(), word.end(), [](unsigned char c) {
                             return c < 128 && (std::isalnum(c) || c == '_' || c == '-');
                           });
      if (is_word && word != "elf") {
        return Wrong(fmt::format("{}[{}]", key, i), fmt::format("placeholder '{{{}}}'", word),
                     "{elf}, the only one there is");
      }
    }
  }
  return absl::OkStatus();
}

CounterKind CounterFrom(std::string_view word) {
  if (word == "instructions") return CounterKind::kInstructions;
  if (word == "nanoseconds") return CounterKind::kNanoseconds;
  return CounterKind::kCycles;
}

absl::StatusOr<BoardAccess> ReadBoard(const YAML::Node& node, Target& target) {
  MICO_ASSIGN_OR_RETURN(
      const Section section,
      Section::Open(node, "board", {"run", "flash", "serial", "counts", "timeout_s"}));
  BoardAccess board;
  MICO_ASSIGN_OR_RETURN(board.run, section.Arguments("run"));
  MICO_ASSIGN_OR_RETURN(board.flash, section.Arguments("flash"));
  if (section.Has("serial")) {
    MICO_ASSIGN_OR_RETURN(board.serial, ReadSerial(section.Get("serial")));
  }
  const bool is_simulator = !board.run.empty() && board.flash.empty() && !board.serial;
  const bool is_wired = board.run.empty() && !board.flash.empty() && board.serial;
  if (!is_simulator && !is_wired) {
    return Wrong(
        "board",
        fmt::format("run {}, flash {}, serial {}", board.run.empty() ? "absent" : "present",
                    board.flash.empty() ? "absent" : "present",
                    board.serial ? "present" : "absent"),
        "either run alone, or flash and serial");
  }
  MICO_RETURN_IF_ERROR(is_simulator ? NeedsElf("board.run", board.run)
                                    : NeedsElf("board.flash", board.flash));
  MICO_RETURN_IF_ERROR(CheckPlaceholders("board.run", board.run));
  MICO_RETURN_IF_ERROR(CheckPlaceholders("board.flash", board.flash));
  if (section.Has("counts")) {
    MICO_ASSIGN_OR_RETURN(const std::string counts, section.Choice("counts", kCounters));
    target.counts = CounterFrom(counts);
  }
  if (section.Has("timeout_s")) {
    MICO_ASSIGN_OR_RETURN(const int64_t timeout, section.Integer("timeout_s", 1, 3600));
    board.timeout_s = static_cast<int>(timeout);
  }
  target.has_board = true;
  return board;
}

absl::StatusOr<TargetFile> ReadTargetFile(const YAML::Node& root,
                                          const std::filesystem::path& folder) {
  MICO_ASSIGN_OR_RETURN(const Section file,
                        Section::Open(root, "",
                                      {"name", "isa", "clock_hz", "memory", "toolchain",
                                       "weight_bits", "activation_bits", "latency", "board"}));
  TargetFile result;
  MICO_RETURN_IF_ERROR(ReadIdentity(file, result.target));
  MICO_RETURN_IF_ERROR(ReadMemory(file.Get("memory"), result.target));
  if (file.Has("latency")) MICO_RETURN_IF_ERROR(ReadLatency(file.Get("latency"), result.target));
  MICO_ASSIGN_OR_RETURN(result.toolchain, ReadToolchain(file.Get("toolchain"), folder));
  if (file.Has("board")) {
    MICO_ASSIGN_OR_RETURN(result.board, ReadBoard(file.Get("board"), result.target));
  }
  return result;
}

}  // namespace

std::string_view ToString(CounterKind kind) {
  switch (kind) {
    case CounterKind::kCycles:
      return "cycles";
    case CounterKind::kInstructions:
      return "instructions";
    case CounterKind::kNanoseconds:
      return "nanoseconds";
  }
  return "unknown";
}

absl::StatusOr<TargetFile> ParseTargetFile(std::string_view text,
                                           const std::filesystem::path& folder) {
  const absl::Status checked = CheckYaml(text);
  if (!checked.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("target file: {}", std::string(checked.message())));
  }
  // yaml-cpp throws; this is its border.
  try {
    return ReadTargetFile(YAML::Load(std::string(text)), folder);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(fmt::format("target file: not YAML: {}", error.what()));
  }
}

absl::StatusOr<TargetFile> LoadTargetFile(const std::filesystem::path& path) {
  MICO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostFileBytes));
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return absl::InternalError(fmt::format("{}: {}", path.string(), error.message()));
  absl::StatusOr<TargetFile> file = ParseTargetFile(text, absolute.parent_path());
  if (file.ok()) return file;
  return absl::Status(file.status().code(),
                      fmt::format("{}: {}", path.string(), std::string(file.status().message())));
}

}  // namespace mico
