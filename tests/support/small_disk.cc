#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace mico {

std::unique_ptr<SmallDisk> SmallDisk::Mount(int64_t bytes) {
  absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
  if (!folder.ok()) return nullptr;
  const std::string options = "size=" + std::to_string(bytes);
  if (unshare(CLONE_NEWNS) != 0) return nullptr;
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return nullptr;
  if (mount("tmpfs", folder->path().c_str(), "tmpfs", 0, options.c_str()) != 0) return nullptr;
  return std::unique_ptr<SmallDisk>(new SmallDisk(*std::move(folder)));
}

SmallDisk::~SmallDisk() { umount2(folder_.path().c_str(), MNT_DETACH); }

void SmallDisk::Fill() const {
  const int file = open((path() / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const std::string block(1 << 16, 'f');
  size_t size = block.size();
  while (size > 0) {
    if (write(file, block.data(), size) <= 0) size /= 2;
  }
  close(file);
}

void SmallDisk::MakeRoom() const { std::filesystem::remove(path() / "filler"); }

bool SmallDisk::SetReadOnly(bool read_only) const {
  const unsigned long flags = MS_REMOUNT | (read_only ? MS_RDONLY : 0);
  return mount("tmpfs", path().c_str(), "tmpfs", flags, nullptr) == 0;
}

}  // namespace mico
