#include "db/database_error.h"

#include <sqlite3.h>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "db/checksum_vfs.h"
#include "fmt/format.h"

namespace mico {
namespace {

// SQLite says of some calls only that they failed, for instance where it makes room in
// mico.sqlite-shm.
bool IsFull(const std::filesystem::path& file) {
  constexpr uintmax_t kNothingBytes = 64 << 10;
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(file.parent_path(), error);
  return !error && space.available < kNothingBytes;
}

// Connections give extended codes; their lowest byte is the kind.
int Kind(int code) { return code & 0xFF; }

absl::Status Full(const std::filesystem::path& file, std::string_view found) {
  return absl::ResourceExhaustedError(
      fmt::format("{}: {}; the way back: free space on that disk", file.string(), found));
}

}  // namespace

bool IsDamage(const SQLite::Exception& error) {
  const int code = error.getErrorCode();
  return code == SQLITE_IOERR_DATA || Kind(code) == SQLITE_CORRUPT || Kind(code) == SQLITE_NOTADB;
}

std::string Describe(const SQLite::Exception& error) {
  const std::optional<DamagedPage> page = TakeDamagedPage();
  return page && error.getErrorCode() == SQLITE_IOERR_DATA ? ToString(*page) : error.what();
}

absl::Status DamagedDatabase(const std::filesystem::path& file, const std::string& found) {
  return absl::DataLossError(fmt::format(
      "{0}: {1}; the way back: stop mico-server, move all of {2} aside and put a copy of it, made "
      "while no server ran, in its place; without one, 'sqlite3 -readonly {0} .dump' prints what "
      "can still be read (docs/formats/database.md makes a database of it again)",
      file.string(), found, file.parent_path().string()));
}

absl::Status ToStatus(const std::filesystem::path& file, const std::exception& error) {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error);
  if (sqlite == nullptr) {
    // A row says something that it was never given.
    if (dynamic_cast<const std::runtime_error*>(&error) != nullptr) {
      return DamagedDatabase(file, error.what());
    }
    return absl::InternalError(fmt::format("{}: {}", file.string(), error.what()));
  }
  if (IsDamage(*sqlite)) return DamagedDatabase(file, Describe(*sqlite));
  const std::string text = fmt::format("{}: {}", file.string(), sqlite->what());
  switch (Kind(sqlite->getErrorCode())) {
    case SQLITE_FULL:
      return Full(file, sqlite->what());
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(text + "; does another program have it open?");
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return IsFull(file) ? Full(file, sqlite->what()) : absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace mico
