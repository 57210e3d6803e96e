#include "tests/fuzz/scratch_folder.h"

#include <fstream>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

namespace mico::fuzz {

const std::filesystem::path& ScratchFolder() {
  static const TemporaryFolder folder = [] {
    std::error_code error;
    const bool in_memory = std::filesystem::is_directory("/dev/shm", error);
    return TemporaryFolder::Create(in_memory ? "/dev/shm" : "").value();
  }();
  return folder.path();
}

void WriteScratch(const std::filesystem::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  Require(file.good(), "the scratch folder takes a file");
}

}  // namespace mico::fuzz
