#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <unordered_map>

#include "SQLiteCpp/SQLiteCpp.h"
#include "db/checksum_vfs.h"

namespace mico {

// One SQLite connection and the statements prepared on it. Used by one thread at a time.
class DatabaseConnection {
 public:
  DatabaseConnection(const std::filesystem::path& file, int flags)
      : file_(file), database_(file.string(), flags, kBusyMilliseconds, ChecksumVfs()) {
    // Without these a damaged page of the schema is "disk I/O error" alone.
    sqlite3_extended_result_codes(database_.getHandle(), 1);
  }

  const std::filesystem::path& file() const { return file_; }
  SQLite::Database& database() { return database_; }

  // The statement of `sql`, a string literal (its address is its name), reset and unbound.
  SQLite::Statement& Prepare(const char* sql) {
    std::unique_ptr<SQLite::Statement>& statement = statements_[sql];
    if (statement == nullptr) statement = std::make_unique<SQLite::Statement>(database_, sql);
    statement->tryReset();
    statement->clearBindings();
    return *statement;
  }
  // Open cursors would keep a read transaction alive.
  void ResetAll() {
    for (auto& [sql, statement] : statements_) statement->tryReset();
  }

 private:
  static constexpr int kBusyMilliseconds = 10'000;

  std::filesystem::path file_;
  SQLite::Database database_;
  std::unordered_map<const char*, std::unique_ptr<SQLite::Statement>> statements_;
};

}  // namespace mico
