#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mico {

// Gives the same bytes each time it is called, in pieces of at most 256 KiB, until `take` answers
// false. InvalidArgument for what cannot be read.
using ByteSource = std::function<absl::Status(const std::function<bool(std::string_view)>& take)>;

// A regular file.
ByteSource FileSource(const std::filesystem::path& path);

// A data set: a file as it is, or the archive of a folder of images (client/folder_archive.h),
// whose names are read and checked here.
absl::StatusOr<ByteSource> DataSource(const std::filesystem::path& path);

// What to call it: the last part of its path, also of "folder/" and ".", as plain text.
std::string NameOf(const std::filesystem::path& path);

}  // namespace mico
