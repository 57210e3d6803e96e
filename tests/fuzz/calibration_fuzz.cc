// The byte format of a calibration.
#include "quant/calibration.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const std::string_view bytes = fuzz::Bytes(data, size);
  const absl::StatusOr<Calibration> calibration = ParseCalibration(bytes);
  if (calibration.ok()) {
    fuzz::Require(Serialize(*calibration) == bytes, "only what Serialize writes is accepted");
  }
  return 0;
}
