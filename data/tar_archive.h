#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace mico {

// Begins like a tar archive (POSIX ustar, which mico-cli writes, or GNU's).
bool IsTar(std::string_view bytes);

struct TarEntry {
  std::string path;  // without a final slash
  bool is_folder = false;
  int64_t bytes = 0;
  // Reads the content; empty for a folder. Valid during the visit only.
  std::function<absl::Status(std::string& content)> read;
};

// Visits the entries of an archive in memory, in order. InvalidArgument for an archive that ends
// early, and for entries that are neither regular files nor folders; ResourceExhausted for a file
// of more than `most_file_bytes`. Nothing is unpacked but what `visit` reads.
absl::Status VisitTar(std::string_view bytes, uint64_t most_file_bytes,
                      const std::function<absl::Status(const TarEntry&)>& visit);

}  // namespace mico
