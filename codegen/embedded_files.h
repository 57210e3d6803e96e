#pragma once

#include <span>
#include <string_view>

namespace mico {

// A source file that was copied into this library when it was built (embed_files.cmake).
struct EmbeddedFile {
  std::string_view path;  // below codegen/ or target/catalogue/: "kernels/reference/add.inc"
  std::string_view content;
};

// Sorted by path.
std::span<const EmbeddedFile> EmbeddedFiles();
// The content of one; a missing one is a mistake in this room and ends the program.
std::string_view Embedded(std::string_view path);

}  // namespace mico
