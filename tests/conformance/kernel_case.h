#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quant/quantized_model.h"

namespace mico::conformance {

enum class KernelFamily { kReference, kC99 };

// One call of one kernel: the last step of a small network. Where it reads two tensors, the steps
// before it cut them out of the network's input. What goes in and what must come out is the
// oracle's (quant/interpreter.h).
struct KernelCase {
  KernelFamily family = KernelFamily::kReference;
  std::string operation;  // the template's name: "conv2d", "add", ...
  QuantizedModel model;
  std::vector<int32_t> network_input;

  const Step& step() const { return model.graph.steps.back(); }
  const StepNumbers& numbers() const { return model.numbers.back(); }
  const QuantizedTensor& input(size_t i = 0) const { return model.graph.tensors[step().inputs[i]]; }
  const QuantizedTensor& output() const { return model.graph.tensors.back(); }
  bool is_conv_like() const { return step().kind == StepKind::kConv; }
  // The function: operation, family, types of input, weights and output.
  std::string KernelName() const;
  std::string ToString() const;
};

// What the oracle says: the packed inputs of the last step and the bytes that its kernel must
// write.
struct KernelBytes {
  std::vector<std::vector<uint8_t>> inputs;
  std::vector<uint8_t> output;
};
KernelBytes RunOracle(const KernelCase& kernel_case);

// Every operation of the family x width pair x signedness x shapes that are odd in some way, with
// random, extreme and alternating values. Deterministic.
std::vector<KernelCase> AllCases(KernelFamily family);

// A convolution (or, for operations "depthwise_conv2d" and "fully_connected", what they are) with
// random integers.
struct ConvSpec {
  Shape in;
  ConvAttributes conv;
};
enum class Pattern { kRandom, kExtreme, kAlternating };
KernelCase MakeConvCase(KernelFamily family, const std::string& operation, const ConvSpec& spec,
                        TensorType input, int weight_bits, TensorType output, Pattern pattern,
                        uint64_t seed);

// Has the family a kernel for this step?
bool HasKernel(KernelFamily family, const std::string& operation, const ConvSpec& spec,
               TensorType input, int weight_bits);

}  // namespace mico::conformance
