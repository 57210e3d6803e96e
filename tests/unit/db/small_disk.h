#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "fmt/format.h"

namespace mico {

// A file system of its own with little room, which this process alone sees. It is gone with the
// object, and with the process at the latest.
class SmallDisk {
 public:
  // Unless this process may not mount anything.
  static std::optional<SmallDisk> Mount(int kibibytes) {
    absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
    if (!folder.ok() || unshare(CLONE_NEWNS) != 0) return std::nullopt;
    const std::string options = fmt::format("size={}k", kibibytes);
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", folder->path().c_str(), "tmpfs", 0, options.c_str()) != 0) {
      return std::nullopt;
    }
    return SmallDisk(*std::move(folder));
  }
  ~SmallDisk() {
    if (!path().empty()) umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(SmallDisk&&) = default;
  SmallDisk& operator=(SmallDisk&&) = delete;

  const std::filesystem::path& path() const { return folder_.path(); }

  // Takes what room there is.
  void Fill() {
    std::ofstream ballast(path() / "ballast", std::ios::binary);
    const std::string block(512, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void Free() { std::filesystem::remove(path() / "ballast"); }
  void MakeReadOnly() { mount("none", path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr); }

 private:
  explicit SmallDisk(TemporaryFolder folder) : folder_(std::move(folder)) {}
  TemporaryFolder folder_;
};

}  // namespace mico
