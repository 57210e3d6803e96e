#include "worker/board/protocol.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr std::string_view kPrefix = "mico: ";
constexpr int64_t kMostResults = 1'000'000;
constexpr size_t kMostLogBytes = 64 * 1024;

std::string Checksum(std::string_view payload) {
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(payload.data()), static_cast<uInt>(payload.size()));
  return fmt::format("{:08x}", crc);
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(' ', begin);
    words.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return words;
    begin = end + 1;
  }
}

// A decimal number without sign or superfluous zeros.
std::optional<int64_t> Number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return value;
}

// Takes payloads in the order in which they came.
class RunReader {
 public:
  absl::Status Take(std::string_view payload) {
    const std::vector<std::string_view> words = Words(payload);
    const std::string_view verb = words[0];
    if (ended_) return Wrong("a line after 'end'");
    if (verb == "begin") return Begin(words);
    if (!begun_) return Wrong("a line before 'begin'");
    if (verb == "bench") return Append(words, "bench", run_.bench_counts);
    if (verb == "overhead") return Once(words, run_.overhead);
    if (verb == "case") return Case(words);
    if (verb == "run") return Once(words, run_.run_count);
    if (verb == "layer") return Append(words, "", run_.layer_counts);
    if (verb == "end") return End(words);
    return Wrong(fmt::format("unknown word '{}'", verb));
  }

  void Log(std::string_view line) {
    if (run_.log.size() + line.size() < kMostLogBytes) run_.log.append(line).push_back('\n');
  }

  absl::StatusOr<BoardRun> Finish() && {
    if (!begun_) return absl::DataLossError("the program said nothing of ours");
    if (!ended_) {
      return absl::DataLossError(
          fmt::format("the program stopped after {} of {} results, without its last line",
                      Results(), announced_));
    }
    return std::move(run_);
  }

 private:
  static absl::Status Wrong(std::string_view what) {
    return absl::InvalidArgumentError(std::string(what));
  }

  int64_t Results() const {
    return static_cast<int64_t>(run_.program == "bench" ? run_.bench_counts.size()
                                                        : run_.cases_ok.size());
  }

  absl::Status Begin(const std::vector<std::string_view>& words) {
    if (begun_) return Wrong("'begin' twice");
    if (words.size() != 3 || (words[1] != "bench" && words[1] != "selftest")) {
      return Wrong("needed 'begin bench|selftest <count>'");
    }
    const std::optional<int64_t> count = Number(words[2]);
    if (!count || *count > kMostResults) return Wrong("a count that is no number or too large");
    run_.program = words[1];
    announced_ = *count;
    begun_ = true;
    return absl::OkStatus();
  }

  // `program`: the only one that may say this; empty: both.
  absl::Status Append(const std::vector<std::string_view>& words, std::string_view program,
                      std::vector<int64_t>& counts) {
    MICO_RETURN_IF_ERROR(CheckIndex(words, counts.size()));
    const std::optional<int64_t> count = Number(words[2]);
    if (!count) return Wrong(fmt::format("'{}' is no count", words[2]));
    if (!program.empty() && run_.program != program) {
      return Wrong(fmt::format("'{}' from a {} program", words[0], run_.program));
    }
    if (program == "bench" && Results() >= announced_) return Wrong("more results than announced");
    if (static_cast<int64_t>(counts.size()) >= kMostResults) return Wrong("too many results");
    counts.push_back(*count);
    return absl::OkStatus();
  }

  absl::Status Case(const std::vector<std::string_view>& words) {
    MICO_RETURN_IF_ERROR(CheckIndex(words, run_.cases_ok.size()));
    if (run_.program != "selftest") return Wrong("'case' from a bench program");
    if (words[2] != "ok" && words[2] != "fail") return Wrong("a case that is neither ok nor fail");
    if (Results() >= announced_) return Wrong("more results than announced");
    run_.cases_ok.push_back(words[2] == "ok");
    return absl::OkStatus();
  }

  static absl::Status CheckIndex(const std::vector<std::string_view>& words, size_t expected) {
    if (words.size() != 3) return Wrong(fmt::format("'{}' needs an index and a result", words[0]));
    const std::optional<int64_t> index = Number(words[1]);
    if (!index || *index != static_cast<int64_t>(expected)) {
      return Wrong(fmt::format("'{}' with index {}, needed {}", words[0], words[1], expected));
    }
    return absl::OkStatus();
  }

  static absl::Status Once(const std::vector<std::string_view>& words,
                           std::optional<int64_t>& value) {
    if (value) return Wrong(fmt::format("'{}' twice", words[0]));
    if (words.size() == 2) value = Number(words[1]);
    return value ? absl::OkStatus() : Wrong(fmt::format("'{}' needs one count", words[0]));
  }

  absl::Status End(const std::vector<std::string_view>& words) {
    if (words.size() != 4 || words[1] != run_.program) {
      return Wrong(fmt::format("needed 'end {} <passed> <failed>'", run_.program));
    }
    const std::optional<int64_t> passed = Number(words[2]), failed = Number(words[3]);
    if (!passed || !failed) return Wrong("'end' needs two counts");
    if (Results() != announced_) {
      return Wrong(fmt::format("{} results, announced were {}", Results(), announced_));
    }
    int64_t ok = Results();
    for (const bool is_ok : run_.cases_ok) ok -= is_ok ? 0 : 1;
    if (*passed != ok || *failed != Results() - ok) {
      return Wrong(fmt::format("'end' says {} passed, {} failed; the lines say {} and {}", *passed,
                               *failed, ok, Results() - ok));
    }
    run_.passed = *passed;
    run_.failed = *failed;
    ended_ = true;
    return absl::OkStatus();
  }

  BoardRun run_;
  int64_t announced_ = 0;
  bool begun_ = false, ended_ = false;
};

// The payload, if the checksum is right.
absl::StatusOr<std::string_view> PayloadOf(std::string_view line) {
  const size_t mark = line.rfind(" #");
  if (mark == std::string_view::npos || mark < kPrefix.size()) {
    return absl::InvalidArgumentError("no checksum");
  }
  const std::string_view payload = line.substr(kPrefix.size(), mark - kPrefix.size());
  const std::string_view found = line.substr(mark + 2);
  const std::string needed = Checksum(payload);
  if (found != needed) {
    return absl::InvalidArgumentError(fmt::format("checksum {}, needed {}", found, needed));
  }
  return payload;
}

}  // namespace

std::string BoardLine(std::string_view payload) {
  return fmt::format("{}{} #{}\n", kPrefix, payload, Checksum(payload));
}

absl::StatusOr<BoardRun> ParseBoardOutput(std::string_view output) {
  RunReader reader;
  for (int number = 1; !output.empty(); ++number) {
    std::string_view line = output.substr(0, output.find('\n'));
    output.remove_prefix(std::min(output.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);  // some UARTs and terminals add it
    if (!line.starts_with(kPrefix)) {
      reader.Log(line);
      continue;
    }
    const absl::StatusOr<std::string_view> payload = PayloadOf(line);
    const absl::Status status = payload.ok() ? reader.Take(*payload) : payload.status();
    if (!status.ok()) {
      return absl::InvalidArgumentError(fmt::format("board output, line {} ('{}'): {}", number,
                                                    line.substr(0, 100),
                                                    std::string(status.message())));
    }
  }
  return std::move(reader).Finish();
}

}  // namespace mico
