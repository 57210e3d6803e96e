#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "fmt/format.h"
#include "quant/interpreter.h"

namespace mico {
namespace {

constexpr int kByteValues = 256;

// Channels that are prepared alike share one table.
int64_t TableCount(const InputPreparation& preparation, const Shape& shape) {
  const bool alike = preparation.mean.size() == 1 && preparation.std.size() == 1;
  return alike ? 1 : shape.channels;
}

// The integer of every byte, as the data set and the quantizer make it: the prepared value passes
// through float, in which samples are kept.
std::vector<int32_t> Table(const Emission& emission, int64_t channel) {
  const QuantizedTensor& input = emission.program.tensor(emission.program.graph->input);
  const double scale = emission.program.model->input_scale();
  std::vector<int32_t> values;
  for (int stored = 0; stored < kByteValues; ++stored) {
    const auto prepared = static_cast<float>(emission.info.preparation.Apply(stored, channel));
    values.push_back(QuantizeInput(prepared, scale, input.type));
  }
  return values;
}

constexpr std::string_view kFunction = R"(
void mico_model_prepare(const uint8_t *raw, void *input) {
  int32_t pixel, channel;
  for (pixel = 0; pixel < MICO_MODEL_INPUT_HEIGHT * MICO_MODEL_INPUT_WIDTH; ++pixel) {
    for (channel = 0; channel < MICO_MODEL_INPUT_CHANNELS; ++channel) {
      const uint8_t stored =
          raw[channel * (MICO_MODEL_INPUT_HEIGHT * MICO_MODEL_INPUT_WIDTH) + pixel];
      mico_store((uint8_t *)input, pixel * MICO_MODEL_INPUT_CHANNELS + channel,
                 table[TABLE_OF(channel)][stored], MICO_MODEL_INPUT_BITS);
    }
  }
  mico_clear_tail((uint8_t *)input, MICO_MODEL_INPUT_ELEMENTS, MICO_MODEL_INPUT_BITS);
}
)";

}  // namespace

GeneratedFile EmitPrepareSource(const Emission& emission) {
  const QuantizedTensor& input = emission.program.tensor(emission.program.graph->input);
  const int64_t count = TableCount(emission.info.preparation, input.shape);
  std::string text = FileHeader(emission.info, "From raw bytes to input integers");
  text += "#include \"kernels/mico_kernel.h\"\n#include \"mico_model.h\"\n\n";
  text += fmt::format("#define TABLE_OF(channel) {}\n\n", count == 1 ? "0" : "(channel)");
  text += fmt::format("static const {} table[{}][{}] = {{\n",
                      input.type.is_signed ? "int8_t" : "uint8_t", count, kByteValues);
  for (int64_t channel = 0; channel < count; ++channel) {
    text += "    {";
    const std::vector<int32_t> values = Table(emission, channel);
    for (size_t i = 0; i < values.size(); ++i) {
      text += fmt::format("{}{},", i % 16 == 0 ? "\n        " : " ", values[i]);
    }
    text += "\n    },\n";
  }
  return {"mico_model_prepare.c", text + "};\n" + std::string(kFunction)};
}

}  // namespace mico
