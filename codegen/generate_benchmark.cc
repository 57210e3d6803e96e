#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "base/status_macros.h"
#include "codegen/c_text.h"
#include "codegen/embedded_files.h"
#include "codegen/emitters.h"
#include "codegen/generate_c.h"
#include "codegen/round_up.h"
#include "codegen/step_benchmark.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr uint64_t kSeed = 20240229;

// Random weights in the range that the kernels are proved for, as one of them reads them.
std::vector<uint32_t> RandomWeights(const WeightKind& kind, const ConvView& conv) {
  Random random(kSeed);
  const int64_t most = (int64_t{1} << (kind.weight_container - 1)) - 1;
  std::vector<int8_t> weights(conv.out_channels * conv.reduction);
  for (int8_t& weight : weights) {
    weight =
        static_cast<int8_t>(most == 0 ? 2 * random.Between(0, 1) - 1 : random.Between(-most, most));
  }
  return PackFor(kind.packing, conv, weights);
}

// What all benchmarks share: weights, biases, multipliers, shifts.
class SharedConstants {
 public:
  explicit SharedConstants(const std::vector<StepBenchmark>& benchmarks) {
    for (const StepBenchmark& bench : benchmarks) {
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
  std::map<WeightKind, const StepBenchmark*> largest_;
};

std::vector<KernelInstance> Kernels(const std::vector<StepBenchmark>& benchmarks) {
  std::map<std::string, KernelInstance> by_name;
  for (const StepBenchmark& bench : benchmarks) {
    by_name.emplace(bench.kernel.kernel.name, bench.kernel.kernel);
  }
  std::vector<KernelInstance> kernels;
  for (auto& [name, kernel] : by_name) kernels.push_back(std::move(kernel));
  return kernels;
}

GeneratedFile EmitHeader(const std::vector<StepBenchmark>& benchmarks, const std::string& shared) {
  int64_t ram_bytes = kArenaAlignment;
  for (const StepBenchmark& bench : benchmarks) ram_bytes = std::max(ram_bytes, bench.ram_bytes);
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
  for (const StepBenchmark& bench : benchmarks) {
    text += fmt::format("\nvoid {}(uint8_t *ram);\n", bench.symbol);
    for (const CConstant& constant : OwnConstants(bench)) text += constant.declaration;
  }
  return {"bench.h", text + "\n#endif\n"};
}

GeneratedFile EmitFunctions(const std::vector<StepBenchmark>& benchmarks) {
  std::string text =
      "/* One function for each step: the call that a network would contain. */\n"
      "#include \"bench.h\"\n\n#include <stddef.h>\n\n"
      "void mico_bench_nothing(uint8_t *ram) { (void)ram; }\n";
  for (const StepBenchmark& bench : benchmarks) text += BenchmarkFunction(bench);
  text +=
      "\nconst mico_bench_t mico_benches[MICO_BENCH_COUNT + 1] = {\n"
      "    {mico_bench_nothing, 0},\n";
  for (const StepBenchmark& bench : benchmarks) {
    text += fmt::format("    {{{}, {}}},\n", bench.symbol, bench.ram_bytes);
  }
  return {"bench.c", text + "};\n"};
}

GeneratedFile EmitData(const std::vector<StepBenchmark>& benchmarks, const std::string& shared) {
  std::string text = "/* Random weights and what else the steps read. */\n#include \"bench.h\"\n\n";
  text += shared;
  for (const StepBenchmark& bench : benchmarks) {
    for (const CConstant& constant : OwnConstants(bench)) text += constant.definition;
  }
  return {"bench_data.c", text};
}

}  // namespace

absl::StatusOr<std::vector<GeneratedFile>> GenerateBenchmark(
    std::span<const std::string> signatures, const Target& target) {
  std::vector<StepBenchmark> benchmarks;
  for (const std::string& signature : signatures) {
    MICO_ASSIGN_OR_RETURN(StepBenchmark bench,
                          MakeStepBenchmark(signature, benchmarks.size(), target));
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
