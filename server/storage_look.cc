#include "server/storage_look.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "base/file.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr uint64_t kFewBytes = uint64_t{2} << 30;       // a warning
constexpr uint64_t kTooFewBytes = uint64_t{128} << 20;  // an upload may fail any moment

std::string Mib(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }

Check Make(std::string name, Check::State state, std::string found, std::string remedy = "") {
  return {std::move(name), state, std::move(found), std::move(remedy), {}};
}

}  // namespace

std::vector<Check> StorageLook::Look() {
  absl::MutexLock lock(&mutex_);
  return {LookAtFolder(), LookAtDisk(), LookAtDatabase(), LookAtBlobs()};
}

Check StorageLook::LookAtFolder() const {
  const absl::StatusOr<TemporaryFolder> probe = TemporaryFolder::Create(data_dir_);
  const absl::Status written =
      probe.ok() ? WriteFileDurably(probe->path() / "probe", "written by mico-server\n")
                 : probe.status();
  if (written.ok()) {
    return Make("data folder", Check::State::kOk, data_dir_.string() + ": writable");
  }
  return Make("data folder", Check::State::kFault, std::string(written.message()),
              fmt::format("ls -ld {0}; df -h {0}", data_dir_.string()));
}

Check StorageLook::LookAtDisk() const {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(data_dir_, error);
  const std::string remedy = fmt::format("df -h {}", data_dir_.string());
  if (error) return Make("free disk space", Check::State::kFault, error.message(), remedy);
  const std::string found =
      fmt::format("{:.1f} GiB of {:.1f} GiB", static_cast<double>(space.available) / (1 << 30),
                  static_cast<double>(space.capacity) / (1 << 30));
  if (space.available < kTooFewBytes) {
    return Make("free disk space", Check::State::kFault, found, remedy);
  }
  if (space.available < kFewBytes) {
    return Make("free disk space", Check::State::kWarning, found, remedy);
  }
  return Make("free disk space", Check::State::kOk, found);
}

Check StorageLook::LookAtDatabase() const {
  const absl::StatusOr<std::string> result =
      store_.Read([](StoreView& view) { return view.QuickCheck(); });
  std::error_code error;
  const auto bytes = std::filesystem::file_size(data_dir_ / "mico.sqlite", error);
  const std::string size = error ? error.message() : Mib(static_cast<double>(bytes));
  if (result.ok() && *result == "ok" && !error) {
    return Make("database", Check::State::kOk, fmt::format("quick_check ok, {}", size));
  }
  return Make("database", Check::State::kFault,
              fmt::format("quick_check: {}; {}",
                          result.ok() ? *result : std::string(result.status().message()), size),
              fmt::format("sqlite3 -readonly {} 'PRAGMA integrity_check'",
                          (data_dir_ / "mico.sqlite").string()));
}

Check StorageLook::LookAtBlobs() const {
  const std::filesystem::path folder = data_dir_ / "blobs";
  if (access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return Make("blobs", Check::State::kFault,
                fmt::format("{}: not readable and writable", folder.string()),
                fmt::format("ls -ld {}", folder.string()));
  }
  const absl::StatusOr<BlobTotals> totals =
      store_.Read([](StoreView& view) { return view.TotalBlobs(); });
  if (!totals.ok()) {
    return Make("blobs", Check::State::kFault, std::string(totals.status().message()));
  }
  return Make("blobs", Check::State::kOk,
              fmt::format("{} of {}", totals->count, Mib(static_cast<double>(totals->bytes))));
}

}  // namespace mico
