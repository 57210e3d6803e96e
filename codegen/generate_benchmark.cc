#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "codegen/c_text.h"
#include "codegen/embedded_files.h"
#include "codegen/emitters.h"
#include "codegen/generate_c.h"
#include "codegen/pack_c99.h"
#include "codegen/signature.h"
#include "codegen/step_c.h"
#include "fmt/format.h"
#include "quant/pack.h"
#include "quant/window.h"

namespace mico {
namespace {

constexpr int64_t kMostWeightBytes = int64_t{64} << 20;
constexpr uint64_t kSeed = 20240229;
constexpr int kAddShift = 20;
// How many deviations of the accumulator the output's range covers, as calibrated networks have it.
constexpr double kDeviations = 2.5;

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// One step of its own: kernel, memory and numbers like those that a network would give it.
struct Benchmark {
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

void LayOut(Benchmark& bench) {
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
double AccumulatorDeviation(const Benchmark& bench) {
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
double RequantFactor(const Benchmark& bench) {
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

int64_t RequantEntries(const Benchmark& bench) {
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

absl::StatusOr<Benchmark> MakeBenchmark(const std::string& signature, size_t index,
                                        const Target& target) {
  Benchmark bench{.symbol = fmt::format("mico_bench_{}", index), .signature = signature};
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

// Benchmarks whose weights look alike read the same array.
struct WeightKind {
  WeightPacking packing;
  int weight_container, input_container;
  auto operator<=>(const WeightKind&) const = default;
  std::string Name() const {
    return packing == WeightPacking::kC99
               ? fmt::format("mico_bench_weights_s{}_{}_c99", weight_container, input_container)
               : fmt::format("mico_bench_weights_s{}", weight_container);
  }
};

WeightKind KindOf(const Benchmark& bench) {
  const ConvView conv = ViewConv(bench.graph, bench.step());
  const bool packed = bench.kernel.packing == WeightPacking::kC99;
  return {bench.kernel.packing, conv.weight_container, packed ? conv.input_container : 0};
}

// Random weights in the range that the kernels are proved for, as one of them reads them.
std::vector<uint32_t> RandomWeights(const WeightKind& kind, const ConvView& conv) {
  Random random(kSeed);
  const int64_t most = (int64_t{1} << (kind.weight_container - 1)) - 1;
  std::vector<int8_t> weights(conv.out_channels * conv.reduction);
  for (int8_t& weight : weights) {
    weight =
        static_cast<int8_t>(most == 0 ? 2 * random.Between(0, 1) - 1 : random.Between(-most, most));
  }
  if (kind.packing == WeightPacking::kC99) {
    return PackC99(weights, conv.out_channels, conv.reduction, kind.weight_container,
                   kind.input_container);
  }
  std::vector<uint8_t> bytes = PackWeights(weights, conv.reduction, kind.weight_container);
  std::vector<uint32_t> words((bytes.size() + 3) / 4, 0);
  for (size_t i = 0; i < bytes.size(); ++i) {
    words[i / 4] |= static_cast<uint32_t>(bytes[i]) << (8 * (i % 4));
  }
  return words;
}

std::string ShiftName(int shift) {
  return fmt::format("mico_bench_shift_{}{}", shift < 0 ? "minus_" : "", std::abs(shift));
}

// What all benchmarks share: weights, biases, multipliers, shifts.
class SharedConstants {
 public:
  explicit SharedConstants(const std::vector<Benchmark>& benchmarks) {
    for (const Benchmark& bench : benchmarks) {
      entries_ = std::max(entries_, RoundUp(bench.entries, 4));
      if (bench.entries > 0) shifts_.insert(bench.shift);
      if (bench.step().kind != StepKind::kConv) continue;
      auto& largest = largest_[KindOf(bench)];
      if (largest == nullptr || largest->kernel.weight_bytes < bench.kernel.weight_bytes) {
        largest = &bench;
      }
    }
  }

  void Write(std::string& declarations, std::string& definitions) const {
    for (const auto& [kind, bench] : largest_) {
      const std::vector<uint32_t> words =
          RandomWeights(kind, ViewConv(bench->graph, bench->step()));
      declarations += fmt::format("extern const uint32_t {}[{}];\n", kind.Name(), words.size());
      definitions += CWords(kind.Name(), words);
    }
    if (entries_ == 0) return;
    Random random(kSeed);
    std::vector<int32_t> bias(entries_), multiplier(entries_);
    for (int32_t& value : bias) value = static_cast<int32_t>(random.Between(-64, 64));
    for (int32_t& value : multiplier) {
      value = static_cast<int32_t>(random.Between(int64_t{1} << 30, (int64_t{1} << 31) - 1));
    }
    Add("int32_t", "mico_bench_bias", bias, declarations, definitions);
    Add("int32_t", "mico_bench_multiplier", multiplier, declarations, definitions);
    for (const int shift : shifts_) {
      const std::vector<int32_t> values(entries_, shift);
      Add("int8_t", ShiftName(shift), values, declarations, definitions);
    }
  }

 private:
  static void Add(std::string_view type, const std::string& name,
                  const std::vector<int32_t>& values, std::string& declarations,
                  std::string& definitions) {
    declarations += fmt::format("extern const {} {}[{}];\n", type, name, values.size());
    definitions += CNumbers(type, name, values);
  }

  int64_t entries_ = 0;
  std::set<int> shifts_;
  std::map<WeightKind, const Benchmark*> largest_;
};

// Multipliers that halve the sum of two inputs onto the output's range.
std::string AddFields(const Benchmark& bench) {
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

std::vector<CConstant> OwnConstants(const Benchmark& bench) {
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

std::string BenchmarkFunction(const Benchmark& bench) {
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

std::vector<KernelInstance> Kernels(const std::vector<Benchmark>& benchmarks) {
  std::map<std::string, KernelInstance> by_name;
  for (const Benchmark& bench : benchmarks) {
    by_name.emplace(bench.kernel.kernel.name, bench.kernel.kernel);
  }
  std::vector<KernelInstance> kernels;
  for (auto& [name, kernel] : by_name) kernels.push_back(std::move(kernel));
  return kernels;
}

GeneratedFile EmitHeader(const std::vector<Benchmark>& benchmarks, const std::string& shared) {
  int64_t ram_bytes = kArenaAlignment;
  for (const Benchmark& bench : benchmarks) ram_bytes = std::max(ram_bytes, bench.ram_bytes);
  std::string text =
      "#ifndef MICO_BENCH_H\n#define MICO_BENCH_H\n\n#include \"kernels/mico_kernel.h\"\n\n";
  text += fmt::format("#define MICO_BENCH_COUNT {}\n#define MICO_BENCH_RAM_BYTES {}\n\n",
                      benchmarks.size(), ram_bytes);
  text +=
      "/* What is measured; mico_bench_nothing is measured for the cost of measuring. */\n"
      "typedef struct {\n  void (*run)(uint8_t *ram);\n  int32_t ram_bytes;\n} mico_bench_t;\n"
      "extern const mico_bench_t mico_benches[MICO_BENCH_COUNT + 1];\n"
      "void mico_bench_nothing(uint8_t *ram);\n\n";
  for (const KernelInstance& kernel : Kernels(benchmarks)) {
    text += fmt::format("{}({});\n", kernel.declaration, kernel.name);
  }
  text += shared;
  for (const Benchmark& bench : benchmarks) {
    text += fmt::format("\nvoid {}(uint8_t *ram);\n", bench.symbol);
    for (const CConstant& constant : OwnConstants(bench)) text += constant.declaration;
  }
  return {"bench.h", text + "\n#endif\n"};
}

GeneratedFile EmitFunctions(const std::vector<Benchmark>& benchmarks) {
  std::string text =
      "/* One function for each step: the call that a network would contain. */\n"
      "#include \"bench.h\"\n\n#include <stddef.h>\n\n"
      "void mico_bench_nothing(uint8_t *ram) { (void)ram; }\n";
  for (const Benchmark& bench : benchmarks) text += BenchmarkFunction(bench);
  text +=
      "\nconst mico_bench_t mico_benches[MICO_BENCH_COUNT + 1] = {\n"
      "    {mico_bench_nothing, 0},\n";
  for (const Benchmark& bench : benchmarks) {
    text += fmt::format("    {{{}, {}}},\n", bench.symbol, bench.ram_bytes);
  }
  return {"bench.c", text + "};\n"};
}

GeneratedFile EmitData(const std::vector<Benchmark>& benchmarks, const std::string& shared) {
  std::string text = "/* Random weights and what else the steps read. */\n#include \"bench.h\"\n\n";
  text += shared;
  for (const Benchmark& bench : benchmarks) {
    for (const CConstant& constant : OwnConstants(bench)) text += constant.definition;
  }
  return {"bench_data.c", text};
}

}  // namespace

absl::StatusOr<std::vector<GeneratedFile>> GenerateBenchmark(
    std::span<const std::string> signatures, const Target& target) {
  std::vector<Benchmark> benchmarks;
  for (const std::string& signature : signatures) {
    MICO_ASSIGN_OR_RETURN(Benchmark bench, MakeBenchmark(signature, benchmarks.size(), target));
    benchmarks.push_back(std::move(bench));
  }
  std::string declarations, definitions;
  SharedConstants(benchmarks).Write(declarations, definitions);
  std::vector<GeneratedFile> files = EmitKernels(Kernels(benchmarks), "kernels");
  files.push_back(EmitHeader(benchmarks, declarations));
  files.push_back(EmitFunctions(benchmarks));
  files.push_back(EmitData(benchmarks, definitions));
  for (const char* name : {"bench_main.c", "mico_protocol.h", "mico_protocol.c"}) {
    files.push_back({name, std::string(Embedded(fmt::format("runtime/{}", name)))});
  }
  std::sort(files.begin(), files.end(),
            [](const GeneratedFile& a, const GeneratedFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace mico
