#include "codegen/embedded_files.h"

#include <cstdio>
#include <cstdlib>

#include "fmt/core.h"

namespace mico {

std::string_view Embedded(std::string_view path) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.path == path) return file.content;
  }
  fmt::print(stderr, "codegen: '{}' was not embedded in this program\n", path);
  std::abort();
}

}  // namespace mico
