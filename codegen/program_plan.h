#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/quantized_graph.h"
#include "target/latency_model.h"
#include "target/target.h"

namespace mico {

// Where one step's work goes: which kernel, and the bytes it needs.
struct StepPlan {
  std::string kernel;     // C function, e.g. "mico_conv2d_u8_s4_u4_c99"
  std::string signature;  // see codegen/signature.h
  int64_t scratch_bytes = 0;
  int64_t weight_bytes = 0;  // as this kernel reads them
  int64_t table_bytes = 0;   // bias, multipliers, shifts, parameters, other constants
};

// A program laid out: what GenerateC will write, known from the structure alone (no weights), so
// that a search can ask for thousands of them.
struct ProgramPlan {
  std::vector<StepPlan> steps;          // parallel to graph.steps
  std::vector<int64_t> tensor_offset;   // parallel to graph.tensors: byte offset in the arena, -1
                                        // for the network's input and outputs (the caller's)
  std::vector<int64_t> scratch_offset;  // parallel to graph.steps, -1 where there is none
  int64_t arena_bytes = 0;
  int64_t input_bytes = 0, output_bytes = 0;  // the latter of all outputs together

  ProgramWork Work(const QuantizedGraph& graph) const;
};

// Unimplemented names a step, its widths and what the target has kernels for.
absl::StatusOr<ProgramPlan> PlanProgram(const QuantizedGraph& graph, const Target& target);

// Every signature that any scheme over these widths can need on `target` (weight and activation
// widths come from the target, layers that read the network's input read 8 bits), sorted, distinct.
absl::StatusOr<std::vector<std::string>> EnumerateSignatures(const Graph& graph,
                                                             bool input_non_negative,
                                                             const Target& target);

}  // namespace mico
