#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "base/file.h"
#include "fmt/format.h"
#include "worker/equipment.h"
#include "worker/process.h"
#include "worker/remedy.h"

namespace mico {
namespace {

constexpr uint64_t kLeastFreeBytes = uint64_t{1} << 30;
constexpr int64_t kLeastMemoryKib = int64_t{512} * 1024;

std::string Gib(double bytes) { return fmt::format("{:.1f} GiB", bytes / (1 << 30)); }

Check CheckFolder(std::string name, const std::filesystem::path& folder) {
  Check check{std::move(name), Check::State::kFault, "", "", {}};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  // What is left behind of it when this process is killed is empty and has a name of its own.
  const absl::StatusOr<TemporaryFolder> probe = TemporaryFolder::Create(folder);
  const absl::Status written =
      probe.ok() ? WriteFileDurably(probe->path() / "probe", "written by mico-worker\n")
                 : probe.status();
  if (!written.ok()) {
    check.found = fmt::format("{}: {}", folder.string(), std::string(written.message()));
    check.remedy = fmt::format("ls -ld {0}; df -h {0}", folder.string());
    return check;
  }
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  check.found = fmt::format("{}: writable, {} free", folder.string(),
                            error ? "?" : Gib(static_cast<double>(space.available)));
  const bool is_short = !error && space.available < kLeastFreeBytes;
  check.state = is_short ? Check::State::kWarning : Check::State::kOk;
  if (is_short) check.remedy = fmt::format("df -h {}", folder.string());
  return check;
}

// Artifacts are tested on this machine, whatever their target.
Check CheckHostCompiler() {
  const absl::StatusOr<std::string> program = FindProgram("cc");
  if (program.ok()) return {"host compiler", Check::State::kOk, *program, "", {}};
  return {"host compiler",
          Check::State::kFault,
          fmt::format("{}; artifacts are tested with it", std::string(program.status().message())),
          HowToInstall("cc"),
          {}};
}

// The kernel's own estimate of what a program could still take.
std::optional<int64_t> AvailableMemoryKib() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    long long kib = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kib) == 1) return kib;
  }
  return std::nullopt;
}

Check CheckMemory() {
  const std::optional<int64_t> kib = AvailableMemoryKib();
  if (!kib) return {"memory", Check::State::kUnknown, "/proc/meminfo does not say", "", {}};
  const bool is_short = *kib < kLeastMemoryKib;
  return {"memory",
          is_short ? Check::State::kWarning : Check::State::kOk,
          Gib(static_cast<double>(*kib) * 1024.0) + " available",
          is_short ? "free -h   # end other programs, or start fewer workers" : "",
          {}};
}

}  // namespace

std::vector<Check> LookAtMachine(const std::filesystem::path& cache_dir) {
  std::error_code error;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(error);
  return {CheckFolder("scratch folder", cache_dir),
          CheckFolder("temporary folder", error ? "/tmp" : temporary), CheckHostCompiler(),
          CheckMemory()};
}

}  // namespace mico
