#include "db/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include "base/status_macros.h"
#include "db/file_system.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Who holds the folder, as far as the lock file says so.
std::string Holder(int lock) {
  std::array<char, 32> text;
  const ssize_t bytes = pread(lock, text.data(), text.size(), 0);
  int64_t process = 0;
  if (bytes <= 0 || std::from_chars(text.data(), text.data() + bytes, process).ec != std::errc()) {
    return "another mico-server";
  }
  return fmt::format("the mico-server with process id {}", process);
}

absl::Status Lock(int lock, const std::filesystem::path& root) {
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return SystemError(errno, "locking", root);
  return absl::FailedPreconditionError(
      fmt::format("data folder {}: {} uses it; the way back: stop that one, or give this one "
                  "another --data-dir",
                  root.string(), Holder(lock)));
}

// For people, and for the next server's error message; the lock itself is flock's.
absl::Status WriteProcessId(int lock, const std::filesystem::path& path) {
  const std::string text = fmt::format("{}\n", getpid());
  if (ftruncate(lock, 0) != 0 || pwrite(lock, text.data(), text.size(), 0) < 0) {
    return SystemError(errno, "writing", path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Open(const std::filesystem::path& root) {
  MICO_RETURN_IF_ERROR(CreateFolder(root));
  const std::filesystem::path path = root / "lock";
  const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return SystemError(errno, "opening", path);
  std::unique_ptr<DataFolder> folder(new DataFolder(root, lock));
  MICO_RETURN_IF_ERROR(Lock(lock, root));
  MICO_RETURN_IF_ERROR(WriteProcessId(lock, path));
  return folder;
}

DataFolder::~DataFolder() { close(lock_); }

}  // namespace mico
