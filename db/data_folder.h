#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"

namespace mico {

// The folder in which a server keeps everything, held by one process at a time.
//   <root>/lock   <root>/mico.sqlite   <root>/blobs/
class DataFolder {
 public:
  // Creates the folder if there is none. FailedPrecondition if another server holds it, with its
  // process id, or if it is no folder or cannot be written; ResourceExhausted if the disk is full.
  static absl::StatusOr<std::unique_ptr<DataFolder>> Open(const std::filesystem::path& root);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  std::filesystem::path database() const { return root_ / "mico.sqlite"; }
  std::filesystem::path blobs() const { return root_ / "blobs"; }

 private:
  DataFolder(std::filesystem::path root, int lock) : root_(std::move(root)), lock_(lock) {}

  std::filesystem::path root_;
  int lock_;
};

}  // namespace mico
