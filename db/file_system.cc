#include "db/file_system.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "fmt/format.h"

namespace mico {
namespace {

absl::Status Sync(const std::filesystem::path& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "opening", path);
  absl::Status status;
  if (fsync(fd) != 0) status = SystemError(errno, "syncing", path);
  close(fd);
  return status;
}

}  // namespace

absl::Status SystemError(int error, std::string_view action, const std::filesystem::path& path) {
  const std::string text = fmt::format("{} {}: {}", action, path.string(), std::strerror(error));
  switch (error) {
    case ENOSPC:
      return absl::ResourceExhaustedError(text + "; the way back: free space on that disk");
    case EDQUOT:
      return absl::ResourceExhaustedError(text + "; the way back: free space or raise the quota");
    case EROFS:
    case EACCES:
    case EPERM:
      return absl::FailedPreconditionError(text + "; needed: a folder that mico-server may write");
    case ENOTDIR:
    case EEXIST:
      return absl::FailedPreconditionError(text + "; needed: a folder");
    case EIO:
      return absl::DataLossError(text + "; the way back: look at the disk (dmesg), it is failing");
    default:
      return absl::InternalError(text);
  }
}

absl::Status CreateFolder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return SystemError(error.value(), "creating the folder", folder);
  return absl::OkStatus();
}

absl::Status SyncFile(const std::filesystem::path& file) { return Sync(file, O_RDONLY); }

absl::Status SyncFolder(const std::filesystem::path& folder) {
  return Sync(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
}

}  // namespace mico
