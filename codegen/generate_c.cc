#include "codegen/generate_c.h"

#include <algorithm>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "codegen/c_text.h"
#include "codegen/emitters.h"
#include "codegen/program.h"
#include "fmt/format.h"

namespace mico {
namespace {

constexpr Pass kLowering[] = {
    {"select-kernels", SelectKernels},
    {"pack-weights", PackWeights},
    {"plan-memory", PlanMemory},
    {"name-symbols", NameSymbols},
};

absl::Status CheckCase(const QuantizedGraph& graph, const SelfTestCase& test, size_t index) {
  const auto check = [index](std::span<const int32_t> values, const QuantizedTensor& tensor) {
    if (static_cast<int64_t>(values.size()) != tensor.shape.elements()) {
      return absl::InvalidArgumentError(fmt::format("self-test {}: {} values for '{}'; needed {}",
                                                    index, values.size(), tensor.name,
                                                    tensor.shape.elements()));
    }
    for (const int32_t value : values) {
      if (value >= tensor.type.lowest() && value <= tensor.type.highest()) continue;
      return absl::InvalidArgumentError(fmt::format("self-test {}: value {} for '{}'; needed {}",
                                                    index, value, tensor.name,
                                                    tensor.type.ToString()));
    }
    return absl::OkStatus();
  };
  MICO_RETURN_IF_ERROR(check(test.input, graph.tensors[graph.input]));
  const OutputLayout layout = LayOutOutputs(graph);
  if (static_cast<int64_t>(test.outputs.size()) != layout.elements) {
    return absl::InvalidArgumentError(fmt::format("self-test {}: {} output values; needed {}",
                                                  index, test.outputs.size(), layout.elements));
  }
  std::span<const int32_t> rest = test.outputs;
  for (const int tensor : layout.tensors) {
    const int64_t elements = graph.tensors[tensor].shape.elements();
    MICO_RETURN_IF_ERROR(check(rest.first(elements), graph.tensors[tensor]));
    rest = rest.subspan(elements);
  }
  return absl::OkStatus();
}

// All self-tests begin with bytes, or none does.
absl::Status CheckRaw(const QuantizedGraph& graph, const ArtifactInfo& info) {
  const bool raw = !info.self_tests.front().raw.empty();
  const int64_t needed = raw ? graph.tensors[graph.input].shape.elements() : 0;
  for (size_t i = 0; i < info.self_tests.size(); ++i) {
    const auto found = static_cast<int64_t>(info.self_tests[i].raw.size());
    if (found == needed && (!raw || info.input_is_uint8)) continue;
    return absl::InvalidArgumentError(fmt::format("self-test {}: {} bytes; needed {}{}", i, found,
                                                  needed, raw ? ", and data of bytes" : ""));
  }
  return absl::OkStatus();
}

absl::Status CheckPreparation(const InputPreparation& preparation, const Shape& shape) {
  const auto fits = [&](size_t count) {
    return count == 1 || static_cast<int64_t>(count) == shape.channels;
  };
  if (fits(preparation.mean.size()) && fits(preparation.std.size())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("input preparation: {} means and {} deviations; needed 1 or {}",
                  preparation.mean.size(), preparation.std.size(), shape.channels));
}

absl::Status CheckInfo(const QuantizedGraph& graph, const ArtifactInfo& info) {
  if (info.self_tests.empty()) {
    return absl::InvalidArgumentError("an artifact needs at least one self-test");
  }
  for (size_t i = 0; i < info.self_tests.size(); ++i) {
    MICO_RETURN_IF_ERROR(CheckCase(graph, info.self_tests[i], i));
  }
  MICO_RETURN_IF_ERROR(CheckRaw(graph, info));
  return CheckPreparation(info.preparation, graph.tensors[graph.input].shape);
}

absl::StatusOr<std::vector<GeneratedFile>> Emit(const Emission& emission) {
  std::vector<GeneratedFile> files = {
      EmitReadme(emission),        EmitModelHeader(emission),   EmitModelSource(emission),
      EmitWeightsHeader(emission), EmitWeightsSource(emission), EmitReport(emission),
  };
  if (emission.info.input_is_uint8) files.push_back(EmitPrepareSource(emission));
  MICO_ASSIGN_OR_RETURN(GeneratedFile scheme, EmitScheme(emission));
  files.push_back(std::move(scheme));
  const auto append = [&files](std::vector<GeneratedFile> more) {
    std::move(more.begin(), more.end(), std::back_inserter(files));
  };
  append(EmitKernels(emission.program.Kernels(), "kernels"));
  append(EmitBuildFiles(emission));
  append(EmitSelfTest(emission));
  std::sort(files.begin(), files.end(),
            [](const GeneratedFile& a, const GeneratedFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace

std::string FileHeader(const ArtifactInfo& info, std::string_view what) {
  return fmt::format(
      "/* {}: {}, quantized as {}.\n *\n * model     {}\n * quantized {}\n * generator {}\n"
      " * Generated; changes are lost. */\n",
      what, PlainText(info.model_name), PlainText(info.scheme), PlainText(info.model_digest),
      PlainText(info.quantized_digest), PlainText(info.generator_version));
}

absl::StatusOr<std::vector<GeneratedFile>> GenerateC(const QuantizedModel& model,
                                                     const Target& target,
                                                     const ArtifactInfo& info) {
  MICO_RETURN_IF_ERROR(Validate(model));
  MICO_RETURN_IF_ERROR(CheckInfo(model.graph, info));
  Program program{.graph = &model.graph, .model = &model, .target = &target};
  MICO_RETURN_IF_ERROR(RunPasses(kLowering, program));
  return Emit({program, info});
}

}  // namespace mico
