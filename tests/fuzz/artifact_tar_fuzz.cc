// An artifact as a server sends it.
#include "client/artifact_files.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  static const std::filesystem::path folder = fuzz::ScratchFolder() / "inside" / "artifact";
  const absl::StatusOr<int> files = UnpackTar(fuzz::Bytes(data, size), folder);
  std::error_code error;
  if (!files.ok()) {
    fuzz::Require(!std::filesystem::exists(folder, error), "a refused archive leaves nothing");
    return 0;
  }
  int found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    fuzz::Require(!entry.is_symlink(), "no link is unpacked");
    if (entry.is_regular_file()) ++found;
  }
  fuzz::Require(found == *files, "every file is in the folder");
  std::filesystem::remove_all(folder.parent_path());
  return 0;
}
