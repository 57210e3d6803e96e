// Signatures of kernels, which a worker is told to measure.
#include "codegen/generate_c.h"
#include "codegen/signature.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mico;
  const std::string text(fuzz::Bytes(data, size));
  const absl::StatusOr<QuantizedGraph> graph = ParseSignature(text);
  if (!graph.ok()) return 0;
  fuzz::Require(StepSignature(*graph, graph->steps[0]) == text,
                "only what StepSignature writes is accepted");
  Target target;
  target.name = "any";
  target.isa = "c99";
  const std::vector<std::string> signatures = {text};
  GenerateBenchmark(signatures, target).IgnoreError();
  return 0;
}
