#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "codegen/step_c.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr std::string_view kHeaderIntroduction = R"(#ifndef MICO_MODEL_H
#define MICO_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

)";

constexpr std::string_view kRunDeclaration = R"(
enum {
  MICO_MODEL_OK = 0,
  MICO_MODEL_BAD_BUFFER = 1, /* input or output is null */
  MICO_MODEL_BAD_ARENA = 2   /* the arena is null or not aligned */
};

/* One inference. No heap, no state: two calls at the same time need two arenas.
 *
 * input   MICO_MODEL_INPUT_BYTES: integers on the grid of MICO_MODEL_INPUT_SCALE, packed height x
 *         width x channels)";

constexpr std::string_view kRunDeclarationEnd = R"(; not changed
 * output  MICO_MODEL_OUTPUT_BYTES: int16_t, the MICO_MODEL_OUTPUTS outputs one behind the other.
 *         Output i begins at element MICO_MODEL_OUTPUT_<i>_OFFSET and is packed height x width x
 *         channels on the grid of MICO_MODEL_OUTPUT_<i>_SCALE. A classifier's class is the largest
 *         element of the first, ties to the lower index
 * arena   MICO_MODEL_ARENA_BYTES, aligned to MICO_MODEL_ARENA_ALIGNMENT; its content before and
 *         after does not matter
 *
 * Returns MICO_MODEL_OK, or what is wrong; then nothing was written. */
int mico_model_run(const void *input, void *output, void *arena);
)";

constexpr std::string_view kPrepareDeclaration = R"(
/* From bytes as a camera or a data set has them (channels x height x width, one byte each) to the
 * input of mico_model_run: scaling, quantization and layout by one table, without floating point. */
void mico_model_prepare(const uint8_t *raw, void *input);
)";

// For data that are no bytes there is no table; this is what QuantizeInput computes.
constexpr std::string_view kFloatInput = R"(
/* From a number x as the network was trained on it (of a data set: (stored * scale - mean) / std, in
 * double, rounded to float) to an integer of the input:
 *
 *     floor((double)x / MICO_MODEL_INPUT_SCALE + 0.5)
 *
 * not below MICO_MODEL_INPUT_LOWEST, not above MICO_MODEL_INPUT_HIGHEST. The data set of this network
 * has {}. */
)";

std::string Numbers(const std::vector<double>& numbers) {
  constexpr size_t kMost = 16;
  if (numbers.size() > kMost)
    return fmt::format("of its own for each of {} channels", numbers.size());
  std::vector<std::string> texts;
  for (const double number : numbers) texts.push_back(fmt::format("{:.17g}", number));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string FloatInput(const InputPreparation& preparation) {
  return fmt::format(fmt::runtime(kFloatInput),
                     fmt::format("scale {:.17g}, mean {}, std {}", preparation.scale,
                                 Numbers(preparation.mean), Numbers(preparation.std)));
}

constexpr std::string_view kHeaderEnd = R"(
#ifdef __cplusplus
}
#endif

#endif
)";

std::string Define(std::string_view name, std::string_view value) {
  return fmt::format("#define MICO_MODEL_{} {}\n", name, value);
}

std::string Define(std::string_view name, int64_t value) {
  return Define(name, fmt::format("{}", value));
}

std::string InputMacros(const Program& program) {
  const QuantizedTensor& input = program.tensor(program.graph->input);
  return Define("INPUT_HEIGHT", input.shape.height) + Define("INPUT_WIDTH", input.shape.width) +
         Define("INPUT_CHANNELS", input.shape.channels) +
         Define("INPUT_ELEMENTS", input.shape.elements()) +
         Define("INPUT_BITS", input.type.container_bits()) +
         Define("INPUT_SIGNED", input.type.is_signed ? 1 : 0) +
         Define("INPUT_LOWEST", fmt::format("({})", input.type.lowest())) +
         Define("INPUT_HIGHEST", input.type.highest()) +
         Define("INPUT_BYTES", program.plan.input_bytes) +
         Define("INPUT_SCALE", fmt::format("{:.17g}", program.model->input_scale()));
}

// Names without a number are the first output's, but for the bytes, which are those of all.
std::string OutputMacros(const Program& program) {
  const std::vector<QuantizedOutput>& outputs = program.graph->outputs;
  const Shape& first = program.tensor(outputs.front().tensor).shape;
  std::string text = Define("OUTPUT_ELEMENTS", first.elements()) +
                     Define("CLASSES", first.elements()) +
                     Define("OUTPUT_BYTES", program.plan.output_bytes) +
                     Define("OUTPUT_SCALE", fmt::format("{:.17g}", program.model->output_scale())) +
                     Define("OUTPUTS", static_cast<int64_t>(outputs.size()));
  const OutputLayout layout = LayOutOutputs(*program.graph);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Shape& shape = program.tensor(outputs[i].tensor).shape;
    const auto define = [&](std::string_view what, const auto& value) {
      text += Define(fmt::format("OUTPUT_{}_{}", i, what), value);
    };
    define("NAME", fmt::format("\"{}\"", PlainText(outputs[i].name)));
    define("OFFSET", layout.offsets[i]);
    define("HEIGHT", shape.height);
    define("WIDTH", shape.width);
    define("CHANNELS", shape.channels);
    define("ELEMENTS", shape.elements());
    define("SCALE", fmt::format("{:.17g}", program.model->scales[outputs[i].tensor]));
  }
  return text;
}

std::string ArenaMacros(const Program& program) {
  return Define("ARENA_BYTES", program.plan.arena_bytes) +
         Define("ARENA_ALIGNMENT", kArenaAlignment) +
         Define("STEPS", static_cast<int64_t>(program.steps.size()));
}

// "ram + 128": where a tensor's bytes are.
std::string TensorExpression(const Program& program, int tensor) {
  if (tensor == program.graph->input) return "in";
  const OutputLayout layout = LayOutOutputs(*program.graph);
  for (size_t i = 0; i < layout.offsets.size(); ++i) {
    if (program.graph->outputs[i].tensor != tensor) continue;
    const int64_t bytes = layout.offsets[i] * static_cast<int64_t>(sizeof(int16_t));
    return bytes == 0 ? "out" : fmt::format("out + {}", bytes);
  }
  return fmt::format("ram + {}", program.plan.tensor_offset[tensor]);
}

std::string TensorComment(const QuantizedTensor& tensor) {
  return fmt::format("{}x{}x{} {}", tensor.shape.height, tensor.shape.width, tensor.shape.channels,
                     tensor.type.ToString());
}

// "/* 3 conv1 (Conv): 16x16x32 u8, weights s4 -> 16x16x32 u4 */"
std::string StepComment(const Program& program, size_t index) {
  const Step& step = program.step(index);
  std::vector<std::string> inputs;
  for (const int input : step.inputs) inputs.push_back(TensorComment(program.tensor(input)));
  const std::string weights =
      step.kind == StepKind::kConv ? fmt::format(", weights s{}", step.weight_bits) : "";
  return fmt::format("  /* {} {} ({}): {}{} -> {} */\n", index, PlainText(step.name),
                     ToString(step.kind), fmt::join(inputs, ", "), weights,
                     TensorComment(program.tensor(step.output)));
}

std::string StepCode(const Program& program, size_t index) {
  const Step& step = program.step(index);
  CallOperands operands;
  operands.symbol = program.steps[index].symbol;
  operands.weights = operands.symbol + "_weights";
  for (const int input : step.inputs) operands.inputs.push_back(TensorExpression(program, input));
  operands.output = TensorExpression(program, step.output);
  const int64_t scratch = program.plan.scratch_offset[index];
  operands.scratch = scratch < 0 ? "NULL" : fmt::format("ram + {}", scratch);
  return StepComment(program, index) +
         CallStep(*program.graph, step, program.steps[index].kernel, operands) +
         fmt::format("  MICO_LAYER_HOOK({});\n", index);
}

constexpr std::string_view kSourceIntroduction = R"(#include "mico_model.h"

#include <stddef.h>

#include "kernels/mico_kernel.h"
#include "weights.h"

/* -DMICO_LAYER_HOOK=f: f(i) is called after step i, so that a program can time the steps. */
#ifdef MICO_LAYER_HOOK
void MICO_LAYER_HOOK(int index);
#else
#define MICO_LAYER_HOOK(index) ((void)0)
#endif

int mico_model_run(const void *input, void *output, void *arena) {
  const uint8_t *const in = (const uint8_t *)input;
  uint8_t *const out = (uint8_t *)output;
)";

}  // namespace

GeneratedFile EmitModelHeader(const Emission& emission) {
  const Program& program = emission.program;
  std::string text = FileHeader(emission.info, "A quantized neural network");
  text += kHeaderIntroduction;
  text += InputMacros(program) + "\n" + OutputMacros(program) + "\n" + ArenaMacros(program);
  const int bits = program.tensor(program.graph->input).type.container_bits();
  const std::string packing =
      bits == 8 ? ", one byte each"
                : fmt::format(", {} bits each, the first in the low bits of the first byte", bits);
  text += kRunDeclaration;
  text += packing;
  text += kRunDeclarationEnd;
  text += emission.info.input_is_uint8 ? std::string(kPrepareDeclaration)
                                       : FloatInput(emission.info.preparation);
  text += kHeaderEnd;
  return {"mico_model.h", text};
}

GeneratedFile EmitModelSource(const Emission& emission) {
  const Program& program = emission.program;
  std::string text = FileHeader(emission.info, "The network's steps, in order");
  text += kSourceIntroduction;
  const bool has_arena = program.plan.arena_bytes > 0;
  if (has_arena) text += "  uint8_t *const ram = (uint8_t *)arena;\n";
  text += "  if (input == NULL || output == NULL) return MICO_MODEL_BAD_BUFFER;\n";
  text += has_arena
              ? "  if (arena == NULL || (uintptr_t)arena % MICO_MODEL_ARENA_ALIGNMENT != 0) {\n"
                "    return MICO_MODEL_BAD_ARENA;\n  }\n"
              : "  (void)arena;\n";
  for (size_t i = 0; i < program.steps.size(); ++i) text += "\n" + StepCode(program, i);
  text += "  return MICO_MODEL_OK;\n}\n";
  return {"mico_model.c", text};
}

}  // namespace mico
