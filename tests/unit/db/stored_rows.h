#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "db/store.h"

namespace mico {

// Where thousands of small files cost no time: in memory if the system has such a folder.
TemporaryFolder FastFolder();

// Fills every table: a job with `trials` trials, and what belongs to it.
absl::Status WriteRows(Store& store, int trials);

// Opens the database and reads every row of WriteRows, as one text.
absl::StatusOr<std::string> ReadRows(const std::filesystem::path& file);

// A database of before there were checksums, and before the second migration, with `trials` trials.
// As of a server that was killed: some of the rows are in its journal alone.
void WriteOldDatabase(const std::filesystem::path& file, int trials);

}  // namespace mico
