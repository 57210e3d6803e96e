// The byte format of a quantized model, from which C is generated.
#include "tests/fuzz/check_network.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const absl::StatusOr<QuantizedModel> model = ParseQuantizedModel(fuzz::Bytes(data, size));
  if (model.ok()) fuzz::CheckQuantizedModel(*model);
  return 0;
}
