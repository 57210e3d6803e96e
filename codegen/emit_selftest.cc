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

// Then the whole way is tested, from what a camera gives to the outputs.
bool BeginsWithBytes(const Emission& emission) {
  return emission.info.input_is_uint8 && !emission.info.self_tests.front().raw.empty();
}

std::string InputRows(const Emission& emission) {
  const TensorType input = emission.program.tensor(emission.program.graph->input).type;
  const std::vector<SelfTestCase>& cases = emission.info.self_tests;
  const bool raw = BeginsWithBytes(emission);
  std::string text = fmt::format("const uint8_t mico_selftest_{}[{}][MICO_MODEL_INPUT_{}] = {{\n",
                                 raw ? "raw" : "inputs", cases.size(), raw ? "ELEMENTS" : "BYTES");
  for (const SelfTestCase& test : cases) text += Row(raw ? test.raw : Pack(test.input, input));
  return text;
}

GeneratedFile EmitVectorsHeader(const Emission& emission) {
  std::string text = FileHeader(emission.info, "Known inputs and the outputs that they must give");
  text += "#ifndef MICO_VECTORS_H\n#define MICO_VECTORS_H\n\n#include \"mico_model.h\"\n\n";
  const size_t cases = emission.info.self_tests.size();
  text += fmt::format("#define MICO_SELFTEST_CASES {}\n\n", cases);
  text +=
      BeginsWithBytes(emission)
          ? fmt::format(
                "/* Bytes for mico_model_prepare. */\n#define MICO_SELFTEST_RAW 1\n"
                "extern const uint8_t mico_selftest_raw[{}][MICO_MODEL_INPUT_ELEMENTS];\n",
                cases)
          : fmt::format("extern const uint8_t mico_selftest_inputs[{}][MICO_MODEL_INPUT_BYTES];\n",
                        cases);
  text += fmt::format(
      "extern const int16_t mico_selftest_outputs[{}][MICO_MODEL_OUTPUT_BYTES / 2];\n\n#endif\n",
      cases);
  return {"selftest/vectors.h", text};
}

GeneratedFile EmitVectorsSource(const Emission& emission) {
  const std::vector<SelfTestCase>& cases = emission.info.self_tests;
  std::string text = FileHeader(emission.info, "Known inputs and the outputs that they must give");
  text += "#include \"vectors.h\"\n\n" + InputRows(emission);
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
