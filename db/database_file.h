#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "db/database_connection.h"

namespace mico {

// Opens the database for writing: creates it if there is none, gives one of before there were
// checksums its checksums, and brings the schema up to date. Nobody else may have it open. Whenever
// the process is killed, the next call finds a whole file and goes on.
//
// Errors: FailedPrecondition for a file of a newer version, which stays as it is, and for a folder
// that cannot be written. ResourceExhausted: the disk is full; checksums take the room of a second
// file once. DataLoss: damaged, empty, or missing while its journal is there. Unavailable: another
// program has it open.
absl::StatusOr<std::unique_ptr<DatabaseConnection>> OpenDatabase(const std::filesystem::path& file);

}  // namespace mico
