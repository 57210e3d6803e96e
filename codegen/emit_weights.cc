#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "codegen/step_c.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Declarations and definitions of one step's constants, gathered.
class StepConstants {
 public:
  StepConstants(const Program& program, size_t index)
      : step_(program.step(index)), numbers_(program.numbers(index)), built_(program.steps[index]) {
    Add(DefineParameters(step_, built_.kernel, built_.symbol));
    switch (step_.kind) {
      case StepKind::kConv:
        AddRequant(built_.bias);
        AddWords("weights", built_.weights);
        break;
      case StepKind::kAveragePool:
        AddRequant(numbers_.bias);
        AddDivisors();
        break;
      case StepKind::kRequantize:
        AddRequant(numbers_.bias);
        break;
      case StepKind::kAdd:
        AddStruct("mico_add_params_t", "params",
                  fmt::format("{}, {}, {}, {}, {}", numbers_.multiplier_a, numbers_.multiplier_b,
                              numbers_.shift, numbers_.lowest, numbers_.highest));
        break;
      case StepKind::kRelu:
        AddStruct("mico_clamp_t", "params",
                  fmt::format("{}, {}", numbers_.lowest, numbers_.highest));
        break;
      case StepKind::kMaxPool:
      case StepKind::kConcat:
      case StepKind::kSlice:
      case StepKind::kPad:
        break;
    }
  }

  const std::string& declarations() const { return declarations_; }
  const std::string& definitions() const { return definitions_; }

 private:
  std::string Name(std::string_view part) const {
    return fmt::format("{}_{}", built_.symbol, part);
  }

  void Add(const CConstant& constant) {
    declarations_ += constant.declaration;
    definitions_ += constant.definition;
  }

  void AddStruct(std::string_view type, std::string_view part, const std::string& fields) {
    Add({fmt::format("extern const {} {};\n", type, Name(part)),
         fmt::format("const {} {} = {{{}}};\n", type, Name(part), fields)});
  }

  void AddWords(std::string_view part, std::span<const uint32_t> words) {
    Add({fmt::format("extern const uint32_t {}[{}];\n", Name(part), words.size()),
         CWords(Name(part), words)});
  }

  void AddNumbers(std::string_view type, std::string_view part, std::span<const int32_t> values) {
    Add({fmt::format("extern const {} {}[{}];\n", type, Name(part), values.size()),
         CNumbers(type, Name(part), values)});
  }

  void AddRequant(const std::vector<int32_t>& bias) {
    std::vector<int32_t> multipliers, shifts;
    for (const FixedPointScale& scale : numbers_.scales) {
      multipliers.push_back(scale.multiplier);
      shifts.push_back(scale.shift);
    }
    // Arrays of words: a shift takes a byte, the last word is filled.
    shifts.resize((shifts.size() + 3) / 4 * 4, 0);
    AddNumbers("int32_t", "bias", bias);
    AddNumbers("int32_t", "multiplier", multipliers);
    AddNumbers("int8_t", "shift", shifts);
    Add(DefineRequant(built_.symbol, {Name("bias"), Name("multiplier"), Name("shift"),
                                      numbers_.lowest, numbers_.highest}));
  }

  void AddDivisors() {
    AddNumbers("int32_t", "divisor", numbers_.divisors);
    AddStruct("mico_divisors_t", "divisors",
              fmt::format("{}, {}", Name("divisor"), numbers_.divisors.size()));
  }

  const Step& step_;
  const StepNumbers& numbers_;
  const ProgramStep& built_;
  std::string declarations_, definitions_;
};

}  // namespace

GeneratedFile EmitWeightsHeader(const Emission& emission) {
  std::string text = FileHeader(emission.info, "The network's constants");
  text +=
      "#ifndef MICO_WEIGHTS_H\n#define MICO_WEIGHTS_H\n\n#include \"kernels/mico_kernel.h\"\n\n";
  for (const KernelInstance& kernel : emission.program.Kernels()) {
    text += fmt::format("{}({});\n", kernel.declaration, kernel.name);
  }
  for (size_t i = 0; i < emission.program.steps.size(); ++i) {
    const std::string declarations = StepConstants(emission.program, i).declarations();
    if (!declarations.empty()) text += "\n" + declarations;
  }
  return {"weights.h", text + "\n#endif\n"};
}

GeneratedFile EmitWeightsSource(const Emission& emission) {
  std::string text = FileHeader(emission.info, "The network's constants");
  text += "#include \"weights.h\"\n";
  for (size_t i = 0; i < emission.program.steps.size(); ++i) {
    const std::string definitions = StepConstants(emission.program, i).definitions();
    if (definitions.empty()) continue;
    text +=
        fmt::format("\n/* {} {} */\n{}", i, PlainText(emission.program.step(i).name), definitions);
  }
  return {"weights.c", text};
}

}  // namespace mico
