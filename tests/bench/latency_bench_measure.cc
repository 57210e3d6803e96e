#include "tests/bench/latency_bench_measure.h"

#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/status_macros.h"
#include "codegen/generate_c.h"
#include "codegen/program_plan.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "quant/interpreter.h"
#include "quant/quantized_model.h"
#include "target/latency_model.h"
#include "worker/artifact_builder.h"
#include "worker/compiler.h"
#include "worker/profiler.h"
#include "worker/self_test.h"
#include "worker/torch/torch_evaluator.h"
#include "worker/workbench.h"

namespace mico {
namespace {

constexpr uint64_t kSeed = 1;
constexpr char kTimeSteps[] = "-DMICO_LAYER_HOOK=mico_selftest_layer";

// A scheme with its program laid out; nothing of it was run yet.
struct PlannedScheme {
  QuantizedGraph graph;
  ProgramPlan plan;
};

bool KeepMeasuring(double) { return true; }

// One network's schemes on one target.
class TargetBench {
 public:
  static absl::StatusOr<std::unique_ptr<TargetBench>> Open(const CalibratedNetwork& network,
                                                           const TargetFile& file) {
    std::unique_ptr<TargetBench> bench(new TargetBench(network));
    MICO_ASSIGN_OR_RETURN(bench->workbench_, Workbench::Open(file));
    TargetFile timed = file;
    timed.toolchain.cflags.push_back(kTimeSteps);
    MICO_ASSIGN_OR_RETURN(bench->timing_workbench_, Workbench::Open(timed));
    MICO_ASSIGN_OR_RETURN(TemporaryFolder objects, TemporaryFolder::Create());
    bench->objects_ = std::make_unique<TemporaryFolder>(std::move(objects));
    bench->options_.object_cache = bench->objects_->path();
    return bench;
  }

  absl::StatusOr<PlannedScheme> Plan(const BitScheme& scheme) const {
    PlannedScheme planned;
    MICO_ASSIGN_OR_RETURN(
        planned.graph,
        LowerGraph(network_.package.graph, network_.calibration.input_non_negative, scheme));
    MICO_ASSIGN_OR_RETURN(planned.plan, PlanProgram(planned.graph, workbench_->target()));
    return planned;
  }

  absl::Status ProfileAll(std::span<const PlannedScheme> planned) {
    std::set<std::string> distinct;
    for (const PlannedScheme& scheme : planned) {
      for (const StepPlan& step : scheme.plan.steps) distinct.insert(step.signature);
    }
    const std::vector<std::string> signatures(distinct.begin(), distinct.end());
    MICO_ASSIGN_OR_RETURN(table_, Profile(*workbench_, signatures, options_, KeepMeasuring));
    return absl::OkStatus();
  }

  absl::StatusOr<SchemeCost> Measure(const BitScheme& scheme, const PlannedScheme& planned) {
    SchemeCost cost;
    MICO_ASSIGN_OR_RETURN(cost.predicted,
                          ProfiledLatency(table_).Predict(planned.plan.Work(planned.graph)));
    MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                          Quantize(network_.package, network_.calibration, scheme));
    ArtifactTask task;
    task.quantized = DigestOf(model);
    task.model = network_.package.digest;
    task.dataset = network_.dataset.digest;
    task.target_name = workbench_->target().name;
    task.scheme = scheme;
    task.predicted = cost.predicted;
    const ArtifactRequest request{task, network_.package, model, network_.dataset, MICO_VERSION};
    MICO_ASSIGN_OR_RETURN(const BuiltArtifact built, BuildArtifact(request, *workbench_, options_));
    cost.measured = built.result;
    return cost;
  }

  // The counts of a program that reads its counter after each step.
  absl::StatusOr<std::vector<StepCount>> TimeSteps(const BitScheme& scheme,
                                                   const PlannedScheme& planned) {
    MICO_ASSIGN_OR_RETURN(const std::vector<GeneratedFile> project, GenerateOneTest(scheme));
    MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
    MICO_RETURN_IF_ERROR(WriteGeneratedFiles(project, folder.path()));
    MICO_ASSIGN_OR_RETURN(const BoardRun run, RunSelfTest(*timing_workbench_, folder.path()));
    if (run.layer_counts.size() != planned.plan.steps.size()) {
      return absl::DataLossError(fmt::format("board: counts of {} steps, needed {}",
                                             run.layer_counts.size(), planned.plan.steps.size()));
    }
    std::vector<StepCount> steps;
    for (size_t i = 0; i < run.layer_counts.size(); ++i) {
      const std::string& signature = planned.plan.steps[i].signature;
      steps.push_back({planned.graph.steps[i].name, signature, table_.steps[signature].count,
                       run.layer_counts[i]});
    }
    return steps;
  }

 private:
  explicit TargetBench(const CalibratedNetwork& network) : network_(network) {}

  absl::StatusOr<std::vector<GeneratedFile>> GenerateOneTest(const BitScheme& scheme) const {
    MICO_ASSIGN_OR_RETURN(const QuantizedModel model,
                          Quantize(network_.package, network_.calibration, scheme));
    ArtifactInfo info;
    info.generator_version = MICO_VERSION;
    info.model_name = network_.package.graph.name;
    info.scheme = scheme.ToString();
    for (const int layer : network_.package.graph.QuantizedLayers()) {
      info.layer_names.push_back(network_.package.graph.nodes[layer].name);
    }
    SelfTestCase test;
    test.input = QuantizeInput(model, network_.dataset.Prepared(Split::kTest, 0));
    MICO_ASSIGN_OR_RETURN(const auto outputs, RunInteger(model, test.input));
    test.outputs = JoinOutputs(model.graph, outputs);
    info.self_tests.push_back(std::move(test));
    return GenerateC(model, workbench_->target(), info);
  }

  const CalibratedNetwork& network_;
  std::unique_ptr<Workbench> workbench_, timing_workbench_;
  std::unique_ptr<TemporaryFolder> objects_;
  CompilerOptions options_;
  LatencyTable table_;
};

}  // namespace

absl::StatusOr<CalibratedNetwork> LoadNetwork(const std::filesystem::path& onnx,
                                              const std::filesystem::path& npz) {
  CalibratedNetwork network;
  MICO_ASSIGN_OR_RETURN(const std::string model, ReadFile(onnx));
  MICO_ASSIGN_OR_RETURN(network.package, OnnxImporter().Import(model));
  MICO_ASSIGN_OR_RETURN(const std::string data, ReadFile(npz));
  MICO_ASSIGN_OR_RETURN(network.dataset, ParseDataset(data));
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<TorchEvaluator> evaluator, TorchEvaluator::Create());
  MICO_ASSIGN_OR_RETURN(CalibrationOutcome outcome,
                        evaluator->Calibrate(network.package, network.dataset,
                                             /*train_samples=*/0, kSeed, Metric::kTop1, nullptr));
  network.calibration = std::move(outcome.calibration);
  return network;
}

absl::StatusOr<std::vector<SchemeCost>> MeasureSchemes(const CalibratedNetwork& network,
                                                       const TargetFile& file,
                                                       std::span<const LabelledScheme> schemes,
                                                       bool with_steps) {
  MICO_ASSIGN_OR_RETURN(const std::unique_ptr<TargetBench> bench, TargetBench::Open(network, file));
  std::vector<PlannedScheme> planned;
  for (const LabelledScheme& labelled : schemes) {
    MICO_ASSIGN_OR_RETURN(planned.emplace_back(), bench->Plan(labelled.scheme));
  }
  MICO_RETURN_IF_ERROR(bench->ProfileAll(planned));
  std::vector<SchemeCost> costs;
  for (size_t i = 0; i < schemes.size(); ++i) {
    MICO_ASSIGN_OR_RETURN(costs.emplace_back(), bench->Measure(schemes[i].scheme, planned[i]));
    if (!with_steps) continue;
    MICO_ASSIGN_OR_RETURN(costs.back().steps, bench->TimeSteps(schemes[i].scheme, planned[i]));
  }
  return costs;
}

}  // namespace mico
