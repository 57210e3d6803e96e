#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/file.h"

namespace mico {

// A disk of a few MiB (tmpfs) that can be filled to the last byte and emptied again. Only this
// process and its children see it, and it is gone with them at the latest. To be mounted before
// there are threads that shall see it.
class SmallDisk {
 public:
  // Null where this process may not mount: tests skip then, and say so.
  static std::unique_ptr<SmallDisk> Mount(int64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::filesystem::path& path() const { return folder_.path(); }
  // Nothing can be written until MakeRoom.
  void Fill() const;
  void MakeRoom() const;
  // From now on, or no longer, nothing may be changed at all; false if a file is open for writing.
  bool SetReadOnly(bool read_only) const;

 private:
  explicit SmallDisk(TemporaryFolder folder) : folder_(std::move(folder)) {}

  TemporaryFolder folder_;
};

}  // namespace mico
