// A network from a stranger.
#include "model/importer.h"
#include "tests/fuzz/check_network.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const absl::StatusOr<ModelPackage> package = OnnxImporter().Import(fuzz::Bytes(data, size));
  if (package.ok()) fuzz::CheckPackage(*package);
  return 0;
}
