#include "worker/equipment.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "spdlog/spdlog.h"

namespace mico {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long the thread sleeps at most: a look that a task stopped is taken up after this.
constexpr milliseconds kPause(1000);
// Disks and memory fill faster than compilers go away, and looking costs little.
constexpr milliseconds kKeepMachine(60'000);

milliseconds Since(steady_clock::time_point then) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - then);
}

bool HasFault(const TargetHealth& health) {
  return std::any_of(health.checks.begin(), health.checks.end(),
                     [](const Check& check) { return check.state == Check::State::kFault; });
}

void LogFaults(const TargetHealth& health) {
  for (const Check& check : health.checks) {
    if (check.state != Check::State::kFault) continue;
    spdlog::warn("target {}: {}: {}; mend: {}", health.target, check.name, check.found,
                 check.remedy);
  }
}

std::string Said(const TargetHealth& health) {
  std::string text;
  for (const Check& check : health.checks) text += fmt::format("{}: {}\n", check.name, check.found);
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Equipment>> Equipment::Open(
    std::span<const std::filesystem::path> target_files, EquipmentOptions options) {
  std::unique_ptr<Equipment> equipment(new Equipment(std::move(options)));
  const absl::MutexLock lock(&equipment->mutex_);
  std::set<std::string> names;
  for (const std::filesystem::path& path : target_files) {
    MICO_ASSIGN_OR_RETURN(TargetFile file, LoadTargetFile(path));
    if (!names.insert(file.target.name).second) {
      return absl::InvalidArgumentError(
          fmt::format("{}: target '{}' is in another file already; needed: one file for each name",
                      path.string(), file.target.name));
    }
    Held held{std::move(file), path, {}, steady_clock::now(), false};
    held.look = LookAtTarget(held.file, path);
    LogFaults(held.look.health);
    equipment->held_.push_back(std::move(held));
  }
  equipment->machine_ = LookAtMachine(equipment->options_.cache_dir);
  equipment->machine_looked_ = steady_clock::now();
  return equipment;
}

Equipment::~Equipment() {
  {
    const absl::MutexLock lock(&mutex_);
    stopping_ = true;
    stop_look_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Equipment::KeepLooking() {
  thread_ = std::thread([this] { LookUntilStopped(); });
}

void Equipment::LookUntilStopped() {
  // The pause comes first: whoever starts with work waiting gets to it.
  while (true) {
    {
      const absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(kPause))) return;
    }
    LookNow();
  }
}

Equipment::Time Equipment::DueAt(const Held& held) const {
  if (!held.tried) return Time{};
  return held.looked + (HasFault(held.look.health) ? options_.keep_fault : options_.keep);
}

bool Equipment::LookNow() {
  size_t count = 0;
  bool machine_is_due = false;
  {
    const absl::MutexLock lock(&mutex_);
    count = held_.size();
    machine_is_due = Since(machine_looked_) >= std::min(options_.keep, kKeepMachine);
  }
  if (machine_is_due) {
    std::vector<Check> machine = LookAtMachine(options_.cache_dir);
    const absl::MutexLock lock(&mutex_);
    machine_ = std::move(machine);
    machine_looked_ = steady_clock::now();
  }
  bool undisturbed = true;
  for (size_t i = 0; i < count; ++i) undisturbed = LookAt(i) && undisturbed;
  return undisturbed;
}

bool Equipment::LookAt(size_t index) {
  TargetFile file;
  std::filesystem::path path;
  {
    const absl::MutexLock lock(&mutex_);
    const Held& held = held_[index];
    if (DueAt(held) > steady_clock::now()) return true;
    if (reservations_ > 0 || stopping_ || looking_) return false;
    looking_ = true;
    stop_look_ = false;
    file = held.file;
    path = held.path;
  }
  TargetLook look = LookAtTarget(file, path);
  CompilerOptions compiler = options_.compiler;
  compiler.cancelled = &stop_look_;
  const absl::Status tried = TryTarget(path, compiler, look);

  const absl::MutexLock lock(&mutex_);
  looking_ = false;
  if (absl::IsCancelled(tried)) return false;
  if (!tried.ok()) {  // no temporary folder: nothing can be built
    look.health.cannot_compile = std::string(tried.message());
    look.health.checks.push_back({"builds", Check::State::kFault, look.health.cannot_compile,
                                  "df -h ${TMPDIR:-/tmp}", milliseconds(0)});
  }
  Held& held = held_[index];
  if (!held.tried || Said(look.health) != Said(held.look.health)) LogFaults(look.health);
  held.look = std::move(look);
  held.looked = steady_clock::now();
  held.tried = true;
  return true;
}

void Equipment::Describe(WorkerReport& report) const {
  const absl::MutexLock lock(&mutex_);
  report.checks = options_.found_at_start;
  for (Check& check : report.checks) check.age = Since(started_);
  for (Check check : machine_) {
    check.age = Since(machine_looked_);
    report.checks.push_back(std::move(check));
  }
  for (const Held& held : held_) {
    report.targets.push_back(held.look.target);
    TargetHealth& health = report.target_health.emplace_back(held.look.health);
    for (Check& check : health.checks) check.age = Since(held.looked);
  }
}

absl::StatusOr<std::shared_ptr<const Workbench>> Equipment::Find(const std::string& target) const {
  const absl::MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const Held& held : held_) {
    names.push_back(held.file.target.name);
    if (held.file.target.name != target) continue;
    if (held.look.workbench != nullptr) return held.look.workbench;
    return absl::FailedPreconditionError(
        fmt::format("target '{}': {}", target, held.look.health.cannot_compile));
  }
  return absl::NotFoundError(
      fmt::format("target '{}': this worker has {}", target,
                  names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

Equipment::Reservation::Reservation(Equipment& equipment) : equipment_(equipment) {
  const absl::MutexLock lock(&equipment.mutex_);
  ++equipment.reservations_;
  equipment.stop_look_ = true;
  const auto is_quiet = [&equipment] {
    equipment.mutex_.AssertReaderHeld();
    return !equipment.looking_;
  };
  equipment.mutex_.Await(absl::Condition(&is_quiet));
}

Equipment::Reservation::~Reservation() {
  const absl::MutexLock lock(&equipment_.mutex_);
  --equipment_.reservations_;
}

}  // namespace mico
