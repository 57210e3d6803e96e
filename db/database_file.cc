#include "db/database_file.h"

#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "db/checksum_vfs.h"
#include "db/database_error.h"
#include "db/file_system.h"
#include "db/migrations.h"
#include "fmt/format.h"

namespace mico {
namespace {

std::filesystem::path Beside(const std::filesystem::path& file, const char* suffix) {
  return file.string() + suffix;
}

// A file is made under this name and renamed when it is whole.
std::filesystem::path FreshName(const std::filesystem::path& file) { return Beside(file, ".new"); }

absl::Status RemoveFresh(const std::filesystem::path& file) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    std::error_code error;
    const std::filesystem::path left = Beside(FreshName(file), suffix);
    std::filesystem::remove(left, error);
    if (error) return SystemError(error.value(), "removing", left);
  }
  return absl::OkStatus();
}

uintmax_t BytesOf(const std::filesystem::path& file) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(file, error);
  return error ? 0 : bytes;
}

void ReserveRoomForChecksums(SQLite::Database& database) {
  int reserved_bytes = kReservedBytes;
  sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved_bytes);
}

void StampApplicationId(SQLite::Database& database) {
  database.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
}

// SQLite would apply a journal that lies there to whatever file gets the name.
absl::Status CheckNoJournal(const std::filesystem::path& file) {
  for (const char* suffix : {"-wal", "-journal"}) {
    const std::filesystem::path journal = Beside(file, suffix);
    if (BytesOf(journal) == 0) continue;
    return DamagedDatabase(file, fmt::format("no such file, but there is its journal {}",
                                             journal.filename().string()));
  }
  return absl::OkStatus();
}

absl::Status MoveIntoPlace(const std::filesystem::path& file) {
  const std::filesystem::path fresh = FreshName(file), folder = file.parent_path();
  MICO_RETURN_IF_ERROR(SyncFile(fresh));
  MICO_RETURN_IF_ERROR(SyncFolder(folder));
  if (std::rename(fresh.c_str(), file.c_str()) != 0) return SystemError(errno, "renaming to", file);
  return SyncFolder(folder);
}

absl::Status Create(const std::filesystem::path& file) {
  MICO_RETURN_IF_ERROR(CheckNoJournal(file));
  MICO_RETURN_IF_ERROR(RemoveFresh(file));
  MICO_RETURN_IF_ERROR(Guard(FreshName(file), [&] {
    DatabaseConnection fresh(FreshName(file), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    fresh.database().exec(fmt::format("PRAGMA page_size = {}", kPageBytes));
    ReserveRoomForChecksums(fresh.database());
    StampApplicationId(fresh.database());
    return absl::OkStatus();
  }));
  return MoveIntoPlace(file);
}

absl::Status CheckVersion(DatabaseConnection& connection) {
  const int known = static_cast<int>(Migrations().size());
  const int found = connection.database().execAndGet("PRAGMA user_version").getInt();
  if (found <= known) return absl::OkStatus();
  // Not even what waits in its journal is moved into a file that is not ours.
  sqlite3_db_config(connection.database().getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                    nullptr);
  return absl::FailedPreconditionError(fmt::format(
      "{}: schema version {}, of a newer mico-server; this one knows versions up to {}; the way "
      "back: start a newer mico-server, or give this one another --data-dir",
      connection.file().string(), found, known));
}

// Into one file, so that nothing is left beside it.
absl::Status CloseJournal(DatabaseConnection& connection) {
  const std::string mode =
      connection.database().execAndGet("PRAGMA journal_mode = DELETE").getString();
  if (mode == "delete") return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("{}: another program has it open", connection.file().string()));
}

// What is already damaged in a file without checksums would be vouched for from now on.
absl::Status CheckSound(DatabaseConnection& connection) {
  const std::string found =
      connection.database().execAndGet("PRAGMA integrity_check(1)").getString();
  return found == "ok" ? absl::OkStatus() : DamagedDatabase(connection.file(), found);
}

absl::Status WriteWithChecksums(const std::filesystem::path& file) {
  MICO_RETURN_IF_ERROR(Guard(file, [&]() -> absl::Status {
    DatabaseConnection old(file, SQLite::OPEN_READWRITE);
    MICO_RETURN_IF_ERROR(CheckVersion(old));
    MICO_RETURN_IF_ERROR(CheckSound(old));
    MICO_RETURN_IF_ERROR(CloseJournal(old));
    old.database().exec(fmt::format("PRAGMA page_size = {}", kPageBytes));
    ReserveRoomForChecksums(old.database());
    SQLite::Statement into(old.database(), "VACUUM INTO ?");
    into.bind(1, FreshName(file).string());
    into.exec();
    return absl::OkStatus();
  }));
  return Guard(FreshName(file), [&] {
    StampApplicationId(DatabaseConnection(FreshName(file), SQLite::OPEN_READWRITE).database());
    return absl::OkStatus();
  });
}

// One of before there were checksums is written anew.
absl::Status Convert(const std::filesystem::path& file) {
  MICO_RETURN_IF_ERROR(RemoveFresh(file));
  absl::Status status = WriteWithChecksums(file);
  if (status.ok()) status = MoveIntoPlace(file);
  // A half file would only take the room that may be missing.
  if (!status.ok()) RemoveFresh(file).IgnoreError();
  return status;
}

absl::StatusOr<bool> LooksLikeOneWithChecksums(const std::filesystem::path& file) {
  std::array<char, 100> header;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return SystemError(errno, "opening", file);
  stream.read(header.data(), header.size());
  return HasChecksums({header.data(), static_cast<size_t>(stream.gcount())});
}

// root may write anywhere but where nothing can be written.
absl::Status CheckWritable(const std::filesystem::path& path) {
  if (access(path.c_str(), R_OK | W_OK) == 0) return absl::OkStatus();
  return SystemError(errno, "writing to", path);
}

absl::Status Prepare(const std::filesystem::path& file) {
  std::error_code error;
  const bool exists = std::filesystem::exists(file, error);
  if (error) return SystemError(error.value(), "looking for", file);
  MICO_RETURN_IF_ERROR(CheckWritable(file.parent_path()));
  if (exists) MICO_RETURN_IF_ERROR(CheckWritable(file));
  if (!exists) return Create(file);
  // Created whole, it never has been empty.
  if (BytesOf(file) == 0) return DamagedDatabase(file, "0 bytes; needed: a database");
  MICO_ASSIGN_OR_RETURN(const bool has_checksums, LooksLikeOneWithChecksums(file));
  return has_checksums ? absl::OkStatus() : Convert(file);
}

void Configure(SQLite::Database& database) {
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
}

void Migrate(SQLite::Database& database) {
  const int known = static_cast<int>(Migrations().size());
  const int found = database.execAndGet("PRAGMA user_version").getInt();
  for (int version = found; version < known; ++version) {
    SQLite::Transaction transaction(database);
    database.exec(std::string(Migrations()[version]));
    database.exec(fmt::format("PRAGMA user_version = {}", version + 1));
    transaction.commit();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<DatabaseConnection>> OpenDatabase(
    const std::filesystem::path& file) {
  MICO_RETURN_IF_ERROR(Prepare(file));
  std::unique_ptr<DatabaseConnection> connection;
  MICO_RETURN_IF_ERROR(Guard(file, [&]() -> absl::Status {
    connection = std::make_unique<DatabaseConnection>(file, SQLite::OPEN_READWRITE);
    MICO_RETURN_IF_ERROR(CheckVersion(*connection));
    Configure(connection->database());
    Migrate(connection->database());
    return absl::OkStatus();
  }));
  return connection;
}

}  // namespace mico
