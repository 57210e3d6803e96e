#pragma once

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "codegen/generate_c.h"

namespace mico {

// A POSIX ustar archive of these files, sorted by path, all owned by user 0, of time 0 and mode
// 0644: equal files give equal bytes, whatever their order. InvalidArgument for two files of one
// path or a path that the format cannot hold.
absl::StatusOr<std::string> WriteTar(std::span<const GeneratedFile> files);

}  // namespace mico
