#pragma once

#include <exception>
#include <filesystem>
#include <string>

#include "SQLiteCpp/SQLiteCpp.h"
#include "absl/status/status.h"

namespace mico {

// True if the file does not hold what was written to it.
bool IsDamage(const SQLite::Exception& error);
// "page 17 is damaged: ...", or SQLite's words.
std::string Describe(const SQLite::Exception& error);

// What an exception that `file` was the reason for means to whoever asked; names the file, and the
// way back where there is one. To be called in the thread that caught it.
absl::Status ToStatus(const std::filesystem::path& file, const std::exception& error);

// DataLoss: `found` is wrong with the file.
absl::Status DamagedDatabase(const std::filesystem::path& file, const std::string& found);

// The border: nothing thrown behind it gets past.
template <typename Action>
absl::Status Guard(const std::filesystem::path& file, Action action) {
  try {
    return action();
  } catch (const std::exception& error) {
    return ToStatus(file, error);
  }
}

}  // namespace mico
