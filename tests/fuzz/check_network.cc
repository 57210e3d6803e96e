#include "tests/fuzz/check_network.h"

#include "codegen/generate_c.h"
#include "codegen/program_plan.h"
#include "quant/interpreter.h"
#include "tests/fuzz/fuzz.h"

namespace mico::fuzz {
namespace {

// Larger networks are only read: a target should try many inputs a second.
constexpr int64_t kMostMacs = 200'000, kMostElements = 100'000;
constexpr size_t kMostSteps = 40;

Target AnyTarget() {
  Target target;
  target.name = "any";
  target.isa = "c99";
  target.clock_hz = 1'000'000;
  target.flash_bytes = target.ram_bytes = 1 << 24;
  return target;
}

bool IsSmall(const Graph& graph) {
  if (graph.nodes.size() > kMostSteps) return false;
  int64_t elements = 0, macs = 0;
  for (const Value& value : graph.values) elements += value.shape.elements();
  for (const int node : graph.QuantizedLayers()) macs += CountMacs(graph, graph.nodes[node]);
  return elements <= kMostElements && macs <= kMostMacs;
}

bool IsSmall(const QuantizedModel& model) {
  if (model.graph.steps.size() > kMostSteps) return false;
  int64_t elements = 0, macs = 0;
  for (const QuantizedTensor& tensor : model.graph.tensors) elements += tensor.shape.elements();
  for (size_t i = 0; i < model.graph.steps.size(); ++i) {
    const Step& step = model.graph.steps[i];
    if (step.kind != StepKind::kConv) continue;
    const Shape& out = model.graph.tensors[step.output].shape;
    const auto weights = static_cast<int64_t>(model.numbers[i].weights.size());
    macs += weights / out.channels * out.elements();
  }
  return elements <= kMostElements && macs <= kMostMacs;
}

// As if every value had been seen between -2 and 3, or between 0 and 3.
Calibration MadeUpCalibration(const Graph& graph, bool non_negative) {
  TensorStatistics seen;
  seen.least = non_negative ? 0.0 : -2.0;
  seen.most = 3.0;
  for (int bin = 0; bin < TensorStatistics::kBins; bin += 64) {
    seen.positive[bin] = 2048 - bin;
    seen.negative[bin] = non_negative || bin > 1365 ? 0 : 1024 - bin / 2;
  }
  const std::vector<TensorStatistics> statistics(graph.values.size(), seen);
  const absl::StatusOr<Calibration> calibration = MakeCalibration(graph, non_negative, statistics);
  Require(calibration.ok(), "a valid graph can be calibrated");
  const absl::StatusOr<Calibration> again = ParseCalibration(Serialize(*calibration));
  Require(again.ok() && Serialize(*again) == Serialize(*calibration),
          "a calibration survives its byte format");
  return *calibration;
}

}  // namespace

void CheckPackage(const ModelPackage& package) {
  Require(Validate(package.graph).ok(), "a package's graph is valid");
  const std::string bytes = Serialize(package);
  const absl::StatusOr<ModelPackage> again = ParseModelPackage(bytes);
  Require(again.ok() && again->digest == package.digest && Serialize(*again) == bytes,
          "a package survives its byte format");
  if (!IsSmall(package.graph)) return;
  for (const bool non_negative : {true, false}) {
    const Calibration calibration = MadeUpCalibration(package.graph, non_negative);
    const size_t layers = package.graph.QuantizedLayers().size();
    for (const LayerBits bits : {LayerBits{8, 8}, LayerBits{2, 4}}) {
      const BitScheme scheme(std::vector<LayerBits>(layers, bits));
      // Weights of any size may be too much for the accumulator.
      const absl::StatusOr<QuantizedModel> model = Quantize(package, calibration, scheme);
      if (model.ok()) CheckQuantizedModel(*model);
    }
  }
}

void CheckQuantizedModel(const QuantizedModel& model) {
  Require(Validate(model).ok(), "a quantized model is valid");
  const std::string bytes = Serialize(model);
  const absl::StatusOr<QuantizedModel> again = ParseQuantizedModel(bytes);
  Require(again.ok() && Serialize(*again) == bytes, "a quantized model survives its byte format");
  if (!IsSmall(model)) return;

  const QuantizedTensor& input = model.graph.tensors[model.graph.input];
  ArtifactInfo info;
  for (const int32_t value : {input.type.lowest(), input.type.highest()}) {
    const IntegerTensor integers(input.shape.elements(), value);
    const absl::StatusOr<std::vector<IntegerTensor>> outputs = RunInteger(model, integers);
    Require(outputs.ok(), "a valid model runs");
    info.self_tests.push_back({integers, JoinOutputs(model.graph, *outputs)});
  }
  for (const Step& step : model.graph.steps) {
    if (step.kind != StepKind::kConv) continue;
    info.scheme += info.layer_names.empty() ? "w8a8" : ",w8a8";
    info.layer_names.push_back(step.name);
  }
  // No kernel may know the model's widths; a plan says the same as the generator.
  if (info.layer_names.empty() || !PlanProgram(model.graph, AnyTarget()).ok()) return;
  const auto files = GenerateC(model, AnyTarget(), info);
  if (!files.ok()) std::fprintf(stderr, "%s\n", files.status().ToString().c_str());
  Require(files.ok(), "what can be planned can be generated");
}

}  // namespace mico::fuzz
