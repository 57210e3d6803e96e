// The byte format of a float network, which workers read.
#include "tests/fuzz/check_network.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const std::string_view bytes = fuzz::Bytes(data, size);
  const absl::StatusOr<ModelPackage> package = ParseModelPackage(bytes);
  if (!package.ok()) return 0;
  fuzz::Require(Serialize(*package) == bytes, "only what Serialize writes is accepted");
  fuzz::CheckPackage(*package);
  return 0;
}
