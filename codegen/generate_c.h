#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "quant/quantized_model.h"
#include "quant/score.h"
#include "target/latency_model.h"
#include "target/target.h"

namespace mico {

struct GeneratedFile {
  std::string path;  // relative, '/' separated
  std::string content;
};

// Inputs and the outputs that they must give, bit for bit (from the oracle).
struct SelfTestCase {
  std::vector<int32_t> input;    // integers, NHWC
  std::vector<int32_t> outputs;  // integers, all outputs one behind the other (JoinOutputs)
  // The bytes that mico_model_prepare makes `input` of, CHW; then the self-test begins with them.
  // Empty for float32 data.
  std::vector<uint8_t> raw;
};

// What the artifact says about itself; everything that is not in the model.
struct ArtifactInfo {
  std::string generator_version;
  std::string model_name;
  std::string model_digest;              // of the ModelPackage
  std::string quantized_digest;          // of the QuantizedModel
  std::string scheme;                    // BitScheme::ToString
  std::vector<std::string> layer_names;  // of the quantized layers
  std::optional<Score> val, test;
  std::optional<Cost> predicted;
  // Present for uint8 data: mico_model_prepare gets one 256-entry table per channel.
  bool input_is_uint8 = false;
  InputPreparation preparation;
  std::vector<SelfTestCase> self_tests;
};

// A complete C project, contracts.md "Artifact". Pure: the same inputs give the same bytes; no
// dates, no paths. The model is validated first.
absl::StatusOr<std::vector<GeneratedFile>> GenerateC(const QuantizedModel& model,
                                                     const Target& target,
                                                     const ArtifactInfo& info);

// A program of micro-benchmarks: one per signature, calling the kernels exactly as GenerateC does,
// on random data, each between two readings of mico_bsp_cycles. It prints the lines of
// docs/formats/board-protocol.md ("bench <index> <count>").
absl::StatusOr<std::vector<GeneratedFile>> GenerateBenchmark(
    std::span<const std::string> signatures, const Target& target);

// Names the kernel sources compiled into this generator: a part of every profile key.
std::string KernelLibraryDigest();

}  // namespace mico
