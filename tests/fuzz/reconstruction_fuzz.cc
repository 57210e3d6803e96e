// The byte format of a reconstruction.
#include "quant/reconstruction.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const std::string_view bytes = fuzz::Bytes(data, size);
  const absl::StatusOr<Reconstruction> reconstruction = ParseReconstruction(bytes);
  if (reconstruction.ok()) {
    fuzz::Require(Serialize(*reconstruction) == bytes, "only what Serialize writes is accepted");
  }
  return 0;
}
