#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "client/output.h"
#include "client/table.h"
#include "client/terminal.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"

namespace mico {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// Clocks that differ more than this make times in lists and logs misleading.
constexpr milliseconds kMostSkew(5'000);
constexpr size_t kNameColumns = 17;
constexpr size_t kLeastTextColumns = 24;

v1::Check Make(std::string name, v1::Check::State state, std::string found,
               std::string remedy = "") {
  v1::Check check;
  check.set_name(std::move(name));
  check.set_state(state);
  check.set_found(std::move(found));
  check.set_remedy(std::move(remedy));
  return check;
}

int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// --- this machine

v1::Check CheckConfiguration(const DoctorOptions& options) {
  std::vector<std::string> sources;
  if (!options.config_file.empty()) sources.push_back(options.config_file);
  for (const char* name : {"MICO_SERVER", "MICO_OUTPUT"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') sources.push_back(fmt::format("{}={}", name, value));
  }
  std::string found = "no file, no MICO_... variable";
  if (!sources.empty()) {
    found.clear();
    for (const std::string& source : sources) found += (found.empty() ? "" : ", ") + source;
  }
  return Make("configuration", v1::Check::STATE_OK, found);
}

// Does HOST of HOST:PORT stand for an address?
v1::Check CheckResolves(const std::string& address) {
  if (address.starts_with("unix:")) {
    return Make("address", v1::Check::STATE_OK, address + ": a local socket");
  }
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int error = getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &raw);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(raw, freeaddrinfo);
  if (error != 0) {
    return Make("address", v1::Check::STATE_FAULT,
                fmt::format("{}: {}", address, gai_strerror(error)),
                "mico-cli --server HOST:PORT doctor   # or set MICO_SERVER");
  }
  char text[NI_MAXHOST];
  getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  return Make("address", v1::Check::STATE_OK, fmt::format("{} is {}", address, text));
}

v1::Check CheckVersions(const v1::Diagnosis& diagnosis) {
  std::string found =
      fmt::format("mico-cli {0}, mico-server {1}", MICO_VERSION, diagnosis.server_version());
  bool equal = diagnosis.server_version() == MICO_VERSION;
  for (const v1::WorkerHealth& worker : diagnosis.workers()) {
    if (worker.worker().version() == diagnosis.server_version()) continue;
    equal = false;
    found += fmt::format(", worker {} {}", worker.worker().name(), worker.worker().version());
  }
  return Make("versions", equal ? v1::Check::STATE_OK : v1::Check::STATE_WARNING, found,
              equal ? "" : "mico-cli --version   # bring all programs to one version");
}

// The answer was made somewhere between `before` and now.
v1::Check CheckClocks(const v1::Diagnosis& diagnosis, int64_t before) {
  const int64_t after = NowMs();
  const int64_t server = diagnosis.server_time_ms();
  const int64_t skew = server < before ? server - before : server > after ? server - after : 0;
  if (std::abs(skew) <= kMostSkew.count()) {
    return Make("clocks", v1::Check::STATE_OK, "here and on the server they agree");
  }
  return Make("clocks", v1::Check::STATE_WARNING,
              fmt::format("the server's is {} {}", FormatSeconds(std::abs(skew) / 1000.0),
                          skew > 0 ? "ahead" : "behind"),
              "timedatectl   # on both machines");
}

v1::DoctorReport Examine(Connection& server, const DoctorOptions& options, absl::Status& status) {
  v1::DoctorReport report;
  *report.add_client() = CheckConfiguration(options);
  v1::Check resolves = CheckResolves(server.address());
  const bool is_known = resolves.state() == v1::Check::STATE_OK;
  *report.add_client() = std::move(resolves);
  if (!is_known) {
    status = absl::UnavailableError(
        fmt::format("server {}: its address cannot be resolved", server.address()));
    return report;
  }
  const int64_t before = NowMs();
  absl::StatusOr<v1::Diagnosis> diagnosis = server.Call<v1::Diagnosis>(
      &v1::ExplorationService::Stub::Diagnose, v1::DiagnoseRequest(), options.patience);
  status = diagnosis.status();
  if (status.code() == absl::StatusCode::kDeadlineExceeded) {
    status = absl::DeadlineExceededError(
        fmt::format("server {} gave no answer within {} s", server.address(),
                    std::chrono::duration_cast<std::chrono::seconds>(options.patience).count()));
  }
  if (!diagnosis.ok()) {
    *report.add_client() =
        Make("server", v1::Check::STATE_FAULT, std::string(status.message()),
             options.server_is_default ? "mico-server --data-dir DIR --with-worker"
                                       : "mico-server --data-dir DIR --listen HOST:PORT");
    return report;
  }
  *report.add_client() = Make("server", v1::Check::STATE_OK, server.address() + " answers");
  *report.add_client() = CheckVersions(*diagnosis);
  *report.add_client() = CheckClocks(*diagnosis, before);
  *report.mutable_diagnosis() = *std::move(diagnosis);
  return report;
}

// --- what a person sees

// Every check with where it was made, in the order in which it is shown.
struct Place {
  std::string name;
  std::vector<v1::Check> checks;
};

std::vector<v1::Check> ChecksOf(const google::protobuf::RepeatedPtrField<v1::Check>& checks) {
  return {checks.begin(), checks.end()};
}

bool IsHeld(const v1::Diagnosis& diagnosis, const std::string& target) {
  return std::any_of(
      diagnosis.workers().begin(), diagnosis.workers().end(), [&](const v1::WorkerHealth& worker) {
        return std::any_of(worker.targets().begin(), worker.targets().end(),
                           [&](const v1::TargetHealth& held) { return held.target() == target; });
      });
}

std::vector<Place> Places(const v1::DoctorReport& report) {
  const v1::Diagnosis& diagnosis = report.diagnosis();
  std::vector<Place> places{{"this machine", ChecksOf(report.client())}};
  if (!report.has_diagnosis()) return places;
  places.push_back({"server", ChecksOf(diagnosis.server())});
  for (const v1::Check& check : diagnosis.work()) places.back().checks.push_back(check);
  for (const v1::WorkerHealth& worker : diagnosis.workers()) {
    places.push_back({"worker " + worker.worker().name(), ChecksOf(worker.checks())});
    for (const v1::TargetHealth& target : worker.targets()) {
      places.push_back({fmt::format("target {} on {}", target.target(), worker.worker().name()),
                        ChecksOf(target.checks())});
    }
  }
  for (const v1::TargetSummary& target : diagnosis.targets()) {
    const std::string& name = target.target().name();
    if (IsHeld(diagnosis, name)) continue;
    places.push_back({"target " + name,
                      {Make("worker", v1::Check::STATE_WARNING, "no connected worker holds it",
                            "mico-worker --server HOST:PORT --target FILE")}});
  }
  return places;
}

std::string StateName(v1::Check::State state) {
  switch (state) {
    case v1::Check::STATE_OK:
      return "ok";
    case v1::Check::STATE_WARNING:
      return "warning";
    case v1::Check::STATE_FAULT:
      return "fault";
    default:
      return "unknown";
  }
}

std::string Mark(v1::Check::State state) {
  switch (state) {
    case v1::Check::STATE_OK:
      return "ok";
    case v1::Check::STATE_WARNING:
      return "!";
    case v1::Check::STATE_FAULT:
      return "FAULT";
    default:
      return "?";
  }
}

// Words in lines of at most `columns`; a longer word keeps a line of its own.
std::vector<std::string> Wrap(const std::string& text, size_t columns) {
  std::vector<std::string> lines{""};
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    std::string& line = lines.back();
    const size_t width = DisplayWidth(line) + 1 + DisplayWidth(word);
    if (!line.empty() && width > columns) {
      lines.push_back(word);
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  return lines;
}

std::string Age(int64_t age_ms) {
  // What was looked at on request has no age worth saying.
  return age_ms < 1000 ? "" : fmt::format(" ({} ago)", FormatSeconds(age_ms / 1000.0));
}

std::string CheckLines(const v1::Check& check, size_t columns) {
  constexpr size_t kIndent = 2 + 5 + 2 + kNameColumns + 1;
  const size_t room = std::max(columns - std::min(columns, kIndent), kLeastTextColumns);
  const std::string blanks(kIndent, ' ');
  std::string text = fmt::format("  {:<5}  {:<{}} ", Mark(check.state()),
                                 PrintableLine(check.name()), kNameColumns);
  const bool is_bad = check.state() != v1::Check::STATE_OK;
  bool first = true;
  for (const std::string& line :
       Wrap(PrintableLine(check.found()) + (is_bad ? Age(check.age_ms()) : ""), room)) {
    text += (first ? "" : blanks) + line + "\n";
    first = false;
  }
  // A command is not wrapped: it is there to be copied.
  if (!check.remedy().empty()) text += fmt::format("    mend: {}\n", PrintableLine(check.remedy()));
  return text;
}

std::string YesNo(const std::string& why_not, bool has) {
  if (!why_not.empty()) return "NO";
  return has ? "yes" : "no";
}

// What each target is good for, one row for each worker that holds it.
std::string TargetTable(const v1::Diagnosis& diagnosis) {
  Table table({"target", "compiles", "runs", "counts", "measured", "worker"});
  for (const v1::TargetSummary& summary : diagnosis.targets()) {
    const v1::Target& target = summary.target();
    const std::string measured = FormatCount(summary.profiled_signatures());
    bool held = false;
    for (const v1::WorkerHealth& worker : diagnosis.workers()) {
      for (const v1::TargetHealth& health : worker.targets()) {
        if (health.target() != target.name()) continue;
        held = true;
        const bool runs = std::none_of(
            health.checks().begin(), health.checks().end(), [](const v1::Check& check) {
              return check.name() == "board" && check.state() != v1::Check::STATE_OK;
            });
        const bool builds = health.cannot_compile().empty();
        table.Add({target.name(), YesNo(health.cannot_compile(), true),
                   builds ? YesNo(health.cannot_run(), runs) : "-", target.counts(), measured,
                   worker.worker().name()});
      }
    }
    if (!held) table.Add({target.name(), "-", "-", target.counts(), measured, "none"});
  }
  return table.ToText();
}

std::string AsText(const v1::DoctorReport& report, const GlobalOptions& global) {
  const size_t columns =
      global.terminal ? static_cast<size_t>(std::max(StdoutSize().columns, 40)) : 100;
  std::string text;
  int faults = 0, warnings = 0;
  for (const Place& place : Places(report)) {
    text += PrintableLine(place.name) + "\n";
    for (const v1::Check& check : place.checks) {
      text += CheckLines(check, columns);
      faults += check.state() == v1::Check::STATE_FAULT ? 1 : 0;
      warnings += check.state() == v1::Check::STATE_WARNING ? 1 : 0;
    }
  }
  if (report.diagnosis().targets_size() > 0) text += "\n" + TargetTable(report.diagnosis());
  const auto count = [](int n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  text += faults + warnings == 0
              ? "\nall is well\n"
              : fmt::format("\n{}, {}\n", count(faults, "fault"), count(warnings, "warning"));
  return text;
}

std::string AsCsv(const v1::DoctorReport& report) {
  Table table({"where", "check", "state", "found", "mend", "age_seconds"});
  for (const Place& place : Places(report)) {
    for (const v1::Check& check : place.checks) {
      table.Add({place.name, check.name(), StateName(check.state()), check.found(), check.remedy(),
                 fmt::format("{:.1f}", static_cast<double>(check.age_ms()) / 1000.0)});
    }
  }
  return table.ToCsv();
}

bool HasFault(const v1::DoctorReport& report) {
  for (const Place& place : Places(report)) {
    for (const v1::Check& check : place.checks) {
      if (check.state() == v1::Check::STATE_FAULT) return true;
    }
  }
  return false;
}

}  // namespace

ExitCode Doctor(Connection& server, const GlobalOptions& global, const DoctorOptions& options) {
  absl::Status status;
  const v1::DoctorReport report = Examine(server, options, status);
  switch (global.output) {
    case OutputFormat::kTable:
      Print(AsText(report, global));
      break;
    case OutputFormat::kJson:
      Print(ToJson(report));
      break;
    case OutputFormat::kCsv:
      Print(AsCsv(report));
      break;
  }
  // A server that answers, but does not know this call or fails at it, is a fault like others.
  const ExitCode code = ToExitCode(status);
  if (code != ExitCode::kDone && code != ExitCode::kWrongInput) return code;
  return HasFault(report) ? ExitCode::kJobFailed : ExitCode::kDone;
}

}  // namespace mico
