#include "codegen/embedded_files.h"
#include "codegen/emitters.h"
#include "fmt/format.h"
#include "quant/pack.h"

namespace mico {
namespace {

template <typename T>
std::string Row(const std::vector<T>& values) {
  std::string text = "    {";
  for (size_t i = 0; i < values.size(); ++i) {
    text += fmt::format("{}{},", i % 16 == 0 ? "\n        " : " ", static_cast<int>(values[i]));
  }
  return text + "\n    },\n";
}

GeneratedFile EmitVectorsHeader(const Emission& emission) {
  std::string text = FileHeader(emission.info, "Known inputs and the outputs that they must give");
  text += "#ifndef MICO_VECTORS_H\n#define MICO_VECTORS_H\n\n#include \"mico_model.h\"\n\n";
  const size_t cases = emission.info.self_tests.size();
  text += fmt::format("#define MICO_SELFTEST_CASES {}\n\n", cases);
  text += fmt::format("extern const uint8_t mico_selftest_inputs[{}][MICO_MODEL_INPUT_BYTES];\n",
                      cases);
  text += fmt::format(
      "extern const int16_t mico_selftest_outputs[{}][MICO_MODEL_OUTPUT_BYTES / 2];\n\n#endif\n",
      cases);
  return {"selftest/vectors.h", text};
}

GeneratedFile EmitVectorsSource(const Emission& emission) {
  const std::vector<SelfTestCase>& cases = emission.info.self_tests;
  const TensorType input = emission.program.tensor(emission.program.graph->input).type;
  std::string text = FileHeader(emission.info, "Known inputs and the outputs that they must give");
  text += fmt::format(
      "#include \"vectors.h\"\n\n"
      "const uint8_t mico_selftest_inputs[{}][MICO_MODEL_INPUT_BYTES] = {{\n",
      cases.size());
  for (const SelfTestCase& test : cases) text += Row(Pack(test.input, input));
  text += fmt::format(
      "}};\n\nconst int16_t mico_selftest_outputs[{}][MICO_MODEL_OUTPUT_BYTES / 2] = {{\n",
      cases.size());
  for (const SelfTestCase& test : cases) text += Row(test.outputs);
  return {"selftest/vectors.c", text + "};\n"};
}

GeneratedFile Copy(std::string_view embedded, const std::string& path) {
  return {path, std::string(Embedded(embedded))};
}

}  // namespace

std::vector<GeneratedFile> EmitSelfTest(const Emission& emission) {
  return {
      EmitVectorsHeader(emission),
      EmitVectorsSource(emission),
      Copy("runtime/selftest_main.c", "selftest/main.c"),
      Copy("runtime/mico_protocol.h", "selftest/mico_protocol.h"),
      Copy("runtime/mico_protocol.c", "selftest/mico_protocol.c"),
      Copy("bsp/host/mico_bsp.h", "selftest/host/mico_bsp.h"),
      Copy("bsp/host/mico_bsp.c", "selftest/host/mico_bsp.c"),
  };
}

}  // namespace mico
