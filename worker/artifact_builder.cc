#include "worker/artifact_builder.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "codegen/program_plan.h"
#include "fmt/format.h"
#include "quant/interpreter.h"
#include "worker/board/protocol.h"
#include "worker/deployment.h"
#include "worker/elf.h"
#include "worker/process.h"
#include "worker/tar.h"

namespace mico {
namespace {

constexpr int64_t kMostSelfTests = 16;
// A simulator runs some 10^8 multiply-accumulates a second at best; a self-test should take
// seconds.
constexpr int64_t kMostSelfTestMacs = 1'500'000'000;
constexpr std::chrono::seconds kHostTimeout(60);
// Its own board support, for whoever runs `make selftest`.
constexpr std::string_view kHostSupport = "selftest/host/";

int64_t CountSelfTests(const Graph& graph, const Dataset& dataset) {
  int64_t macs = 1;
  for (const int layer : graph.QuantizedLayers()) macs += CountMacs(graph, graph.nodes[layer]);
  const int64_t affordable = std::max<int64_t>(1, kMostSelfTestMacs / macs);
  return std::min({kMostSelfTests, affordable, dataset.test.count});
}

absl::StatusOr<std::vector<SelfTestCase>> MakeSelfTests(const ArtifactRequest& request) {
  const QuantizedTensor& input = request.model.graph.tensors[request.model.graph.input];
  MICO_RETURN_IF_ERROR(CheckReadableAs(request.dataset, input.shape));
  if (request.dataset.test.count == 0) {
    return absl::InvalidArgumentError("data set: no test samples; a self-test needs one");
  }
  std::vector<SelfTestCase> cases;
  for (int64_t i = 0; i < CountSelfTests(request.package.graph, request.dataset); ++i) {
    SelfTestCase& test = cases.emplace_back();
    test.input = QuantizeInput(request.model, request.dataset.Prepared(Split::kTest, i));
    if (request.dataset.is_uint8) {
      const auto begin = request.dataset.test.bytes.begin() + i * input.shape.elements();
      test.raw.assign(begin, begin + input.shape.elements());
    }
    MICO_ASSIGN_OR_RETURN(const auto outputs, RunInteger(request.model, test.input));
    test.outputs = JoinOutputs(request.model.graph, outputs);
  }
  return cases;
}

std::optional<Score> Known(const Score& score) {
  return score.measured() ? std::optional(score) : std::nullopt;
}

absl::StatusOr<ArtifactInfo> MakeInfo(const ArtifactRequest& request) {
  ArtifactInfo info;
  info.generator_version = request.version;
  info.model_name = request.package.graph.name;
  info.model_digest = request.task.model.hex();
  info.quantized_digest = request.task.quantized.hex();
  info.scheme = request.task.scheme.ToString();
  for (const int layer : request.package.graph.QuantizedLayers()) {
    info.layer_names.push_back(request.package.graph.nodes[layer].name);
  }
  info.val = Known(request.task.val);
  info.test = Known(request.task.test);
  info.predicted = request.task.predicted;
  info.input_is_uint8 = request.dataset.is_uint8;
  info.preparation = request.dataset.preparation;
  MICO_ASSIGN_OR_RETURN(info.self_tests, MakeSelfTests(request));
  return info;
}

std::vector<GeneratedFile> WithoutHostSupport(const std::vector<GeneratedFile>& project) {
  std::vector<GeneratedFile> files;
  std::copy_if(project.begin(), project.end(), std::back_inserter(files),
               [](const GeneratedFile& file) { return !file.path.starts_with(kHostSupport); });
  return files;
}

bool AllPassed(const BoardRun& run, size_t cases) {
  return run.program == "selftest" && run.failed == 0 && run.passed == static_cast<int64_t>(cases);
}

// The project on this machine, as its own Makefile builds it.
absl::StatusOr<bool> PassesOnHost(const std::vector<GeneratedFile>& project, size_t cases,
                                  CompilerOptions options) {
  options.object_cache.clear();  // weights of every artifact are new
  MICO_ASSIGN_OR_RETURN(const Compiler host,
                        Compiler::Create({.cc = "cc", .cflags = {"-std=c99", "-O2"}}));
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  MICO_ASSIGN_OR_RETURN(const std::filesystem::path elf,
                        host.Build(project, folder.path(), options));
  ProcessOptions process;
  process.timeout = kHostTimeout;
  process.cancelled = options.cancelled;
  MICO_ASSIGN_OR_RETURN(const ProcessResult result, RunProcess({elf.string()}, process));
  const absl::StatusOr<BoardRun> run = ParseBoardOutput(result.output);
  // A program that crashes or says nonsense has failed its test.
  return result.succeeded() && run.ok() && AllPassed(*run, cases);
}

absl::Status RunOnBoard(const std::vector<GeneratedFile>& project, size_t cases,
                        const Workbench& workbench, const CompilerOptions& options,
                        ArtifactResult& result) {
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  MICO_ASSIGN_OR_RETURN(
      const std::filesystem::path elf,
      workbench.compiler().Build(WithoutHostSupport(project), folder.path(), options));
  MICO_ASSIGN_OR_RETURN(const BoardRun run, RunProgram(*workbench.board(), elf, options.cancelled));
  result.self_test_board = AllPassed(run, cases);
  result.measured_count = run.run_count.value_or(0);
  return absl::OkStatus();
}

absl::Status MeasureSize(const std::vector<GeneratedFile>& project, const QuantizedGraph& graph,
                         const Workbench& workbench, const CompilerOptions& options,
                         ArtifactResult& result) {
  MICO_ASSIGN_OR_RETURN(const ProgramPlan plan, PlanProgram(graph, workbench.target()));
  MICO_ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create());
  MICO_ASSIGN_OR_RETURN(
      const std::filesystem::path elf,
      workbench.compiler().Build(DeployedProgram(project, plan), folder.path(), options));
  MICO_ASSIGN_OR_RETURN(const ElfContent content, ReadElf(elf));
  result.measured_flash_bytes = content.flash_bytes;
  result.measured_ram_bytes = content.ram_bytes;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BuiltArtifact> BuildArtifact(const ArtifactRequest& request,
                                            const Workbench& workbench,
                                            const CompilerOptions& options) {
  MICO_ASSIGN_OR_RETURN(const ArtifactInfo info, MakeInfo(request));
  MICO_ASSIGN_OR_RETURN(const std::vector<GeneratedFile> project,
                        GenerateC(request.model, workbench.target(), info));
  BuiltArtifact built;
  MICO_ASSIGN_OR_RETURN(built.tar, WriteTar(project));
  const size_t cases = info.self_tests.size();
  MICO_ASSIGN_OR_RETURN(built.result.self_test_host, PassesOnHost(project, cases, options));
  if (workbench.board() != nullptr) {
    MICO_RETURN_IF_ERROR(RunOnBoard(project, cases, workbench, options, built.result));
  }
  MICO_RETURN_IF_ERROR(MeasureSize(project, request.model.graph, workbench, options, built.result));
  return built;
}

}  // namespace mico
