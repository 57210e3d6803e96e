#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "codegen/kernel_library.h"
#include "codegen/step_c.h"
#include "quant/quantized_graph.h"
#include "target/target.h"

namespace mico {

// One step of its own: kernel, memory and numbers like those that a network would give it.
struct StepBenchmark {
  std::string symbol;
  std::string signature;
  QuantizedGraph graph;
  StepKernel kernel;
  std::vector<int64_t> tensor_offset;
  int64_t scratch_offset = -1;
  int64_t ram_bytes = 0;
  int64_t entries = 0;  // of its requantization, 0 where there is none
  int shift = 0;

  const Step& step() const { return graph.steps[0]; }
  const QuantizedTensor& input(int index = 0) const { return graph.tensors[step().inputs[index]]; }
  const QuantizedTensor& output() const { return graph.tensors[step().output]; }
};

// Benchmarks whose weights look alike read the same array.
struct WeightKind {
  WeightPacking packing;
  int weight_container, input_container;
  auto operator<=>(const WeightKind&) const = default;
  std::string Name() const;  // of their array
};

WeightKind KindOf(const StepBenchmark& bench);

// InvalidArgument or Unimplemented name the signature or the step; ResourceExhausted: too many
// weights to measure.
absl::StatusOr<StepBenchmark> MakeStepBenchmark(const std::string& signature, size_t index,
                                                const Target& target);

// The array that holds this shift for every channel.
std::string ShiftName(int shift);
// Parameters, clamps and divisors of this step alone.
std::vector<CConstant> OwnConstants(const StepBenchmark& bench);
// "void mico_bench_3(uint8_t *ram) {...}": the call that a network would contain.
std::string BenchmarkFunction(const StepBenchmark& bench);

}  // namespace mico
