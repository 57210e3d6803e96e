#pragma once

#include <filesystem>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "db/store.h"
#include "proto/messages.h"

namespace mico {

// Looks at what the server keeps: is the data folder writable, has the disk room, is the database
// sound. Thread-safe; several callers wait for one look after another, because each reads the
// whole database.
class StorageLook {
 public:
  // `store` must outlive the object.
  StorageLook(std::filesystem::path data_dir, Store& store)
      : data_dir_(std::move(data_dir)), store_(store) {}

  std::vector<Check> Look();

 private:
  Check LookAtFolder() const;
  Check LookAtDisk() const;
  Check LookAtDatabase() const;
  Check LookAtBlobs() const;

  const std::filesystem::path data_dir_;
  Store& store_;
  absl::Mutex mutex_;
};

}  // namespace mico
