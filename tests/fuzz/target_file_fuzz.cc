// A target file.
#include "target/target.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = mico::ParseTargetFile(mico::fuzz::Bytes(data, size), "/folder");
  if (file.ok()) mico::fuzz::Require(!file->target.name.empty(), "a target has a name");
  return 0;
}
