#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/quantized_graph.h"
#include "target/target.h"

namespace mico {

// In which order a kernel reads its weights.
enum class WeightPacking {
  kNone,
  kCanonical,  // docs/formats/packing.md
  kC99,        // docs/formats/packed-weights-c99.md
};

struct KernelMacro {
  std::string_view name;
  int value = 0;
  friend bool operator==(const KernelMacro&, const KernelMacro&) = default;
};

// A template of kernels/ with its macros: one C function.
struct KernelInstance {
  std::string name;                // "mico_conv2d_u8_s4_8_c99": operation, input, weights, output
  std::string_view template_path;  // below kernels/: "c99/conv2d.inc"
  std::string_view declaration;    // the macro of mico_kernel.h that declares it
  std::vector<KernelMacro> macros;
  friend bool operator==(const KernelInstance&, const KernelInstance&) = default;
};

// How one step is computed.
struct StepKernel {
  KernelInstance kernel;
  WeightPacking packing = WeightPacking::kNone;
  bool offsets_signed_input = false;  // the bias carries the correction for a signed input
  bool takes_parameters = true;       // otherwise `params` is null
  int64_t weight_bytes = 0;           // as packed, whole words
  int64_t scratch_bytes = 0;
  bool may_overwrite_input = false;  // the output may lie where an input lies that is as wide
};

// Sizes of a step with weights, as its kernel sees them.
struct ConvView {
  int weight_container = 8, input_container = 8;
  bool input_signed = false;
  int64_t out_channels = 1;
  int64_t reduction = 1;  // weights of one output channel
};
ConvView ViewConv(const QuantizedGraph& graph, const Step& step);

// Weights [out_channels][reduction] as a kernel reads them: little-endian words.
std::vector<uint32_t> PackFor(WeightPacking packing, const ConvView& conv,
                              std::span<const int8_t> weights);

// The first template, in the library's order of preference, that is legal for the step on the
// target. Unimplemented names the step, its widths and what there is.
absl::StatusOr<StepKernel> SelectKernel(const QuantizedGraph& graph, const Step& step,
                                        const Target& target);

// The files that `kernel`'s source includes, below kernels/ (mico_kernel.h apart).
std::vector<std::string_view> IncludedTemplates(const KernelInstance& kernel);
// The C file that instantiates the kernel.
std::string KernelSource(const KernelInstance& kernel);

}  // namespace mico
