// A latency table as a worker delivers it.
#include "target/latency_model.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const absl::StatusOr<LatencyTable> table = ParseLatencyTable(fuzz::Bytes(data, size));
  if (!table.ok()) return 0;
  const absl::StatusOr<LatencyTable> again = ParseLatencyTable(Serialize(*table));
  fuzz::Require(again.ok() && *again == *table, "a table survives its text");
  LatencyTable merged;
  merged.Merge(*table);
  ProgramWork work;
  for (const auto& [signature, measured] : table->steps) work.steps.push_back({"", signature, ""});
  for (const auto& [kernel, bytes] : table->kernel_code_bytes) work.kernels.push_back(kernel);
  fuzz::Require(ProfiledLatency(merged).Predict(work).ok(), "what is in a table can be predicted");
  return 0;
}
