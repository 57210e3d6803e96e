#include "db/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "fmt/format.h"

namespace mico {

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Open(const std::filesystem::path& root) {
  std::error_code error;
  std::filesystem::create_directories(root, error);
  if (error) {
    return absl::FailedPreconditionError(
        fmt::format("data folder {}: {}", root.string(), error.message()));
  }
  const std::filesystem::path lock_path = root / "lock";
  const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) {
    return absl::FailedPreconditionError(
        fmt::format("opening {}: {}", lock_path.string(), std::strerror(errno)));
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return absl::FailedPreconditionError(
        fmt::format("data folder {}: another mico-server uses it", root.string()));
  }
  return std::unique_ptr<DataFolder>(new DataFolder(root, lock));
}

DataFolder::~DataFolder() { close(lock_); }

}  // namespace mico
