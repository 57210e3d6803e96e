#include "base/status_macros.h"
#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "quant/bit_scheme.h"

namespace mico {
namespace {

using Json = nlohmann::ordered_json;

// Counts are there for the metrics that count.
Json ScoreJson(const std::optional<Score>& score) {
  if (!score.has_value()) return nullptr;
  Json json;
  if (CountsAnswers(score->metric)) json["correct"] = score->correct;
  json["total"] = score->total;
  json["metric"] = std::string(ToString(score->metric));
  json["value"] = score->value;
  json["interval_95"] = {score->low, score->high};
  return json;
}

Json CostJson(const std::optional<Cost>& cost, CounterKind counts) {
  if (!cost.has_value()) return nullptr;
  return {{"latency", cost->latency_cycles},
          {"latency_unit", std::string(ToString(counts))},
          {"peak_ram_bytes", cost->peak_ram_bytes},
          {"flash_bytes", cost->flash_bytes}};
}

Json StepsJson(const Program& program) {
  Json steps = Json::array();
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const StepPlan& plan = program.plan.steps[i];
    steps.push_back({{"name", PlainText(program.step(i).name)},
                     {"kind", std::string(ToString(program.step(i).kind))},
                     {"signature", plan.signature},
                     {"kernel", plan.kernel},
                     {"weight_bytes", plan.weight_bytes},
                     {"table_bytes", plan.table_bytes},
                     {"scratch_bytes", plan.scratch_bytes}});
  }
  return steps;
}

Json OutputsJson(const Program& program) {
  Json outputs = Json::array();
  const OutputLayout layout = LayOutOutputs(*program.graph);
  for (size_t i = 0; i < layout.offsets.size(); ++i) {
    const QuantizedOutput& output = program.graph->outputs[i];
    const Shape& shape = program.tensor(output.tensor).shape;
    outputs.push_back({{"name", PlainText(output.name)},
                       {"offset", layout.offsets[i]},
                       {"height", shape.height},
                       {"width", shape.width},
                       {"channels", shape.channels},
                       {"elements", shape.elements()},
                       {"scale", program.model->scales[output.tensor]}});
  }
  return outputs;
}

// One line each: where an output lies, and what its integers mean.
std::string OutputLines(const Program& program) {
  std::string text;
  const OutputLayout layout = LayOutOutputs(*program.graph);
  for (size_t i = 0; i < layout.offsets.size(); ++i) {
    const QuantizedOutput& output = program.graph->outputs[i];
    const Shape& shape = program.tensor(output.tensor).shape;
    text += fmt::format("| output {}, {} | {} x {} x {} from element {}, scale {:.6g} |\n", i,
                        PlainText(output.name), shape.height, shape.width, shape.channels,
                        layout.offsets[i], program.model->scales[output.tensor]);
  }
  return text;
}

std::string ScoreLine(std::string_view split, const std::optional<Score>& score) {
  if (!score.has_value() || !score->measured()) return "";
  const Metric metric = score->metric;
  const std::string counts = CountsAnswers(metric)
                                 ? fmt::format("{} of {}", score->correct, score->total)
                                 : fmt::format("{} samples", score->total);
  return fmt::format("| {}, {} | {} ({}; 95 % interval {} to {}) |\n",
                     metric == Metric::kTop1 ? "accuracy" : ToString(metric), split,
                     FormatValue(*score), counts, FormatValue(metric, score->low),
                     FormatValue(metric, score->high));
}

std::string CostLines(const Emission& emission) {
  const std::optional<Cost>& cost = emission.info.predicted;
  if (!cost.has_value()) return "";
  return fmt::format(
      "| latency, predicted from measured layers | {} {} |\n"
      "| flash, predicted | {} bytes |\n",
      cost->latency_cycles, ToString(emission.program.target->counts), cost->flash_bytes);
}

constexpr std::string_view kHowTo = R"(
## Use
```c
#include "mico_model.h"

static uint32_t arena[MICO_MODEL_ARENA_BYTES / 4 + 1];

int16_t output[MICO_MODEL_OUTPUT_BYTES / 2];
if (mico_model_run(input, output, arena) != MICO_MODEL_OK) { /* a null or misaligned buffer */ }
```
Input and output are integers; `mico_model.h` has their sizes, layout and scales. Nothing else is
needed: no heap, no globals that change, nothing of the C library but `memcpy` and `memset`.

## Build
- `make` gives `libmico_model.a`; `make selftest` runs the self-test on this machine. Other compilers: `CC`, `CFLAGS`.
- CMake: `add_subdirectory`, then link `mico_model`. PlatformIO: the folder is a library. Zephyr: the folder is a module.
- On a board: `make selftest.elf BSP=folder CC=... CFLAGS=... LDFLAGS=...`, where the folder has the board's `mico_bsp.c`.
  `CFLAGS` with `-DMICO_LAYER_HOOK=mico_selftest_layer` also times every layer.

The self-test compares every element of every output, bit for bit, with what the search computed.
)";

}  // namespace

GeneratedFile EmitReadme(const Emission& emission) {
  const auto& [program, info] = emission;
  const ProgramWork work = program.plan.Work(*program.graph);
  std::string text = fmt::format("# {}\n\nA quantized network in C99, for {}.\n\n",
                                 PlainText(info.model_name), PlainText(program.target->name));
  text += fmt::format(
      "| | |\n|---|---|\n| model | {} |\n| quantized model | {} |\n| scheme | {} |\n",
      PlainText(info.model_digest), PlainText(info.quantized_digest), PlainText(info.scheme));
  text += OutputLines(program);
  text += ScoreLine("val", info.val) + ScoreLine("test", info.test) + CostLines(emission);
  text +=
      fmt::format("| RAM | {} bytes: arena {}, input {}, output {} |\n", work.peak_ram_bytes,
                  program.plan.arena_bytes, program.plan.input_bytes, program.plan.output_bytes);
  text += fmt::format("| weights and tables | {} bytes |\n| generator | {} |\n",
                      work.constant_bytes, PlainText(info.generator_version));
  return {"README.md", text + std::string(kHowTo)};
}

GeneratedFile EmitReport(const Emission& emission) {
  const auto& [program, info] = emission;
  const ProgramWork work = program.plan.Work(*program.graph);
  const Json report = {{"model", PlainText(info.model_name)},
                       {"model_digest", PlainText(info.model_digest)},
                       {"quantized_digest", PlainText(info.quantized_digest)},
                       {"generator_version", PlainText(info.generator_version)},
                       {"kernel_library", KernelLibraryDigest()},
                       {"target", PlainText(program.target->name)},
                       {"scheme", PlainText(info.scheme)},
                       {"accuracy", {{"val", ScoreJson(info.val)}, {"test", ScoreJson(info.test)}}},
                       {"predicted", CostJson(info.predicted, program.target->counts)},
                       {"ram",
                        {{"arena_bytes", program.plan.arena_bytes},
                         {"input_bytes", program.plan.input_bytes},
                         {"output_bytes", program.plan.output_bytes},
                         {"peak_bytes", work.peak_ram_bytes}}},
                       {"constant_bytes", work.constant_bytes},
                       {"outputs", OutputsJson(program)},
                       {"steps", StepsJson(program)}};
  return {"report.json", report.dump(2) + "\n"};
}

absl::StatusOr<GeneratedFile> EmitScheme(const Emission& emission) {
  const ArtifactInfo& info = emission.info;
  MICO_ASSIGN_OR_RETURN(const BitScheme scheme, BitScheme::Parse(info.scheme));
  if (scheme.size() != info.layer_names.size()) {
    return absl::InvalidArgumentError(fmt::format("scheme has {} layers, {} layer names are given",
                                                  scheme.size(), info.layer_names.size()));
  }
  Json layers = Json::array();
  for (size_t i = 0; i < scheme.size(); ++i) {
    layers.push_back({{"name", PlainText(info.layer_names[i])},
                      {"weight_bits", scheme[i].weight_bits},
                      {"input_bits", scheme[i].input_bits}});
  }
  const Json json = {{"scheme", scheme.ToString()}, {"layers", layers}};
  return GeneratedFile{"scheme.json", json.dump(2) + "\n"};
}

}  // namespace mico
