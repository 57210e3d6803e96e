#include "codegen/step_benchmark.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "codegen/c_text.h"
#include "codegen/program.h"
#include "codegen/round_up.h"
#include "codegen/signature.h"
#include "fmt/format.h"
#include "quant/window.h"

namespace mico {
namespace {

constexpr int64_t kMostWeightBytes = int64_t{64} << 20;
constexpr int kAddShift = 20;
// How many deviations of the accumulator the output's range covers, as calibrated networks have it.
constexpr double kDeviations = 2.5;

void LayOut(StepBenchmark& bench) {
  for (const QuantizedTensor& tensor : bench.graph.tensors) {
    bench.tensor_offset.push_back(bench.ram_bytes);
    bench.ram_bytes += RoundUp(PackedBytes(tensor.shape, tensor.type), kArenaAlignment);
  }
  if (bench.kernel.scratch_bytes > 0) bench.scratch_offset = bench.ram_bytes;
  bench.ram_bytes += bench.kernel.scratch_bytes;
}

// The largest integer of a container: memory is filled with random bits.
double Largest(TensorType type) {
  return std::exp2(type.container_bits() - (type.is_signed ? 1 : 0)) - 1;
}

double MeanSquare(TensorType type) {
  const double most = Largest(type);
  return type.is_signed ? most * most / 3 : most * (2 * most + 1) / 6;
}

// The accumulator's deviation for independent weights and activations, all values equally likely.
double AccumulatorDeviation(const StepBenchmark& bench) {
  const ConvView conv = ViewConv(bench.graph, bench.step());
  const double most_weight = std::exp2(conv.weight_container - 1) - 1;
  const double weight_square =
      conv.weight_container == 1 ? 1.0 : most_weight * (most_weight + 1) / 3;
  double input_square = MeanSquare(bench.input().type);
  if (bench.kernel.offsets_signed_input) {
    input_square += std::exp2(2 * (conv.input_container - 1));
  }
  return std::sqrt(static_cast<double>(conv.reduction) * weight_square * input_square);
}

// The factor that spreads the results over the output's range.
double RequantFactor(const StepBenchmark& bench) {
  const double highest = bench.output().type.highest();
  switch (bench.step().kind) {
    case StepKind::kConv:
      return highest / (kDeviations * AccumulatorDeviation(bench));
    case StepKind::kAveragePool: {
      const PoolAttributes& pool = bench.step().pool();
      return highest / (Largest(bench.input().type) *
                        static_cast<double>(pool.kernel_height * pool.kernel_width));
    }
    default:
      return highest / Largest(bench.input().type);
  }
}

int64_t RequantEntries(const StepBenchmark& bench) {
  switch (bench.step().kind) {
    case StepKind::kConv:
      return bench.step().conv().out_channels;
    case StepKind::kAveragePool:
      return static_cast<int64_t>(
          PoolDivisors(bench.step().pool(), bench.input().shape, bench.output().shape).size());
    case StepKind::kRequantize:
      return 1;
    default:
      return 0;
  }
}

// Multipliers that halve the sum of two inputs onto the output's range.
std::string AddFields(const StepBenchmark& bench) {
  const TensorType output = bench.output().type;
  const auto multiplier = [&](int index) {
    const double factor = output.highest() / (2 * Largest(bench.input(index).type));
    return static_cast<int64_t>(std::floor(factor * (1 << kAddShift) + 0.5));
  };
  // 16-bit outputs would leave int32 at this shift.
  const int narrower = output.bits == 16 ? 8 : 0;
  return fmt::format("{}, {}, {}, {}, {}", multiplier(0) >> narrower, multiplier(1) >> narrower,
                     kAddShift - narrower, output.lowest(), output.highest());
}

CConstant DefineOne(std::string_view type, const std::string& name, const std::string& fields) {
  return {fmt::format("extern const {} {};\n", type, name),
          fmt::format("const {} {} = {{{}}};\n", type, name, fields)};
}

}  // namespace

std::string WeightKind::Name() const {
  return packing == WeightPacking::kC99
             ? fmt::format("mico_bench_weights_s{}_{}_c99", weight_container, input_container)
             : fmt::format("mico_bench_weights_s{}", weight_container);
}

WeightKind KindOf(const StepBenchmark& bench) {
  const ConvView conv = ViewConv(bench.graph, bench.step());
  const bool packed = bench.kernel.packing == WeightPacking::kC99;
  return {bench.kernel.packing, conv.weight_container, packed ? conv.input_container : 0};
}

absl::StatusOr<StepBenchmark> MakeStepBenchmark(const std::string& signature, size_t index,
                                                const Target& target) {
  StepBenchmark bench{.symbol = fmt::format("mico_bench_{}", index), .signature = signature};
  MICO_ASSIGN_OR_RETURN(bench.graph, ParseSignature(signature));
  MICO_ASSIGN_OR_RETURN(bench.kernel, SelectKernel(bench.graph, bench.step(), target));
  if (bench.kernel.weight_bytes > kMostWeightBytes) {
    return absl::ResourceExhaustedError(
        fmt::format("signature '{}': {} bytes of weights; at most {} can be measured", signature,
                    bench.kernel.weight_bytes, kMostWeightBytes));
  }
  LayOut(bench);
  bench.entries = RequantEntries(bench);
  if (bench.entries > 0) {
    const double factor = std::clamp(RequantFactor(bench), 0x1p-30, 0x1p28);
    MICO_ASSIGN_OR_RETURN(const FixedPointScale scale, ToFixedPoint(factor));
    bench.shift = scale.shift;
  }
  return bench;
}

std::string ShiftName(int shift) {
  return fmt::format("mico_bench_shift_{}{}", shift < 0 ? "minus_" : "", std::abs(shift));
}

std::vector<CConstant> OwnConstants(const StepBenchmark& bench) {
  const TensorType output = bench.output().type;
  std::vector<CConstant> constants{DefineParameters(bench.step(), bench.kernel, bench.symbol)};
  if (bench.entries > 0) {
    constants.push_back(
        DefineRequant(bench.symbol, {"mico_bench_bias", "mico_bench_multiplier",
                                     ShiftName(bench.shift), output.lowest(), output.highest()}));
  }
  if (bench.step().kind == StepKind::kAdd) {
    constants.push_back(DefineOne("mico_add_params_t", bench.symbol + "_params", AddFields(bench)));
  }
  if (bench.step().kind == StepKind::kRelu) {
    constants.push_back(DefineOne("mico_clamp_t", bench.symbol + "_params",
                                  fmt::format("0, {}", output.highest())));
  }
  if (bench.step().kind == StepKind::kAveragePool) {
    std::vector<int32_t> divisors;
    for (const int64_t divisor :
         PoolDivisors(bench.step().pool(), bench.input().shape, bench.output().shape)) {
      divisors.push_back(static_cast<int32_t>(divisor));
    }
    const std::string name = bench.symbol + "_divisor";
    constants.push_back({fmt::format("extern const int32_t {}[{}];\n", name, divisors.size()),
                         CNumbers("int32_t", name, divisors)});
    constants.push_back(DefineOne("mico_divisors_t", bench.symbol + "_divisors",
                                  fmt::format("{}, {}", name, divisors.size())));
  }
  return constants;
}

std::string BenchmarkFunction(const StepBenchmark& bench) {
  const auto at = [](int64_t offset) { return fmt::format("ram + {}", offset); };
  CallOperands operands;
  operands.symbol = bench.symbol;
  if (bench.step().kind == StepKind::kConv) operands.weights = KindOf(bench).Name();
  for (const int input : bench.step().inputs) {
    operands.inputs.push_back(at(bench.tensor_offset[input]));
  }
  operands.output = at(bench.tensor_offset[bench.step().output]);
  operands.scratch = bench.scratch_offset < 0 ? "NULL" : at(bench.scratch_offset);
  return fmt::format("\n/* {} */\nvoid {}(uint8_t *ram) {{\n{}}}\n", bench.signature, bench.symbol,
                     CallStep(bench.graph, bench.step(), bench.kernel, operands));
}

}  // namespace mico
