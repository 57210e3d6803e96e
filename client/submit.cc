#include <filesystem>

#include "base/random.h"
#include "base/status_macros.h"
#include "client/job_file.h"
#include "client/render.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

absl::Status RequireFields(const SubmitOptions& options) {
  std::vector<std::string> missing;
  if (!options.model) missing.emplace_back("--model");
  if (!options.data) missing.emplace_back("--data");
  if (!options.target) missing.emplace_back("--target");
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("submit: missing {} (as flags or in --file)", fmt::join(missing, ", ")));
}

absl::Status FillLimits(const SubmitOptions& options, v1::Limits& limits) {
  if (options.max_latency) {
    MICO_ASSIGN_OR_RETURN(*limits.mutable_max_latency(), ParseLatencyLimit(*options.max_latency));
  }
  if (options.max_ram) {
    MICO_ASSIGN_OR_RETURN(*limits.mutable_max_ram(), ParseBytesLimit("max-ram", *options.max_ram));
  }
  if (options.max_flash) {
    MICO_ASSIGN_OR_RETURN(*limits.mutable_max_flash(),
                          ParseBytesLimit("max-flash", *options.max_flash));
  }
  if (options.min_accuracy) {
    MICO_ASSIGN_OR_RETURN(*limits.mutable_min_accuracy(),
                          ParseAccuracyLimit(*options.min_accuracy));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::SubmitJobRequest> BuildRequest(Connection& server,
                                                  const SubmitOptions& options) {
  MICO_RETURN_IF_ERROR(RequireFields(options));
  v1::SubmitJobRequest request;
  request.set_request_id(Random(EntropySeed()).Hex(16));
  request.set_validate_only(options.dry_run);
  v1::JobSpec& spec = *request.mutable_spec();
  MICO_RETURN_IF_ERROR(FillLimits(options, *spec.mutable_limits()));
  spec.set_target(*options.target);
  if (options.strategy) spec.set_strategy(*options.strategy);
  if (options.trials) spec.set_trials(*options.trials);
  if (options.seed) spec.set_seed(*options.seed);
  if (options.calibration_samples) spec.set_calibration_samples(*options.calibration_samples);
  MICO_ASSIGN_OR_RETURN(const Digest model, server.UploadOnce(*options.model));
  MICO_ASSIGN_OR_RETURN(const Digest data, server.UploadOnce(*options.data));
  spec.set_model_name(std::filesystem::path(*options.model).filename().string());
  spec.set_model_digest(model.hex());
  spec.set_dataset_name(std::filesystem::path(*options.data).filename().string());
  spec.set_dataset_digest(data.hex());
  return request;
}

template <typename Bits>
std::string Options(const Bits& bits) {
  return fmt::format("{}", fmt::join(bits, " "));
}

void PrintPreview(const v1::SubmitJobResponse& response) {
  const v1::Preview& preview = response.preview();
  Table table({"layer", "type", "input", "output", "MACs", "parameters", "weight bits",
               "input bits"});
  for (const v1::LayerSummary& layer : preview.layers()) {
    table.Add({Printable(layer.name()), Printable(layer.type()), layer.input_shape(),
               layer.output_shape(), FormatCount(layer.macs()), FormatCount(layer.parameters()),
               Options(layer.weight_bits()), Options(layer.input_bits())});
  }
  fmt::print("{}", table.ToText());
  fmt::print("space        10^{:.1f} schemes\n", preview.log10_space());
  fmt::print("uniform 8    RAM {}  flash {}{}\n", FormatBytes(preview.uniform8().peak_ram_bytes()),
             FormatBytes(preview.uniform8().flash_bytes()),
             preview.latency_known()
                 ? "  latency " + FormatCount(preview.uniform8().latency_cycles())
                 : "");
  fmt::print("least        RAM {}  flash {}{}\n",
             FormatBytes(preview.floor_cost().peak_ram_bytes()),
             FormatBytes(preview.floor_cost().flash_bytes()),
             preview.latency_known()
                 ? "  latency " + FormatCount(preview.floor_cost().latency_cycles())
                 : "");
  fmt::print("to profile   {} measurements\n", preview.signatures_to_profile());
  for (const std::string& warning : preview.warnings()) {
    fmt::print("warning      {}\n", Printable(warning));
  }
  fmt::print("nothing was stored\n");
}

}  // namespace

ExitCode Submit(Connection& server, const GlobalOptions& global, SubmitOptions options) {
  if (!options.file.empty()) {
    const absl::Status merged = MergeJobFile(options.file, options);
    if (!merged.ok()) return Fail(merged);
  }
  const absl::StatusOr<v1::SubmitJobRequest> request = BuildRequest(server, options);
  if (!request.ok()) return Fail(request.status());
  const absl::StatusOr<v1::SubmitJobResponse> response = server.Call<v1::SubmitJobResponse>(
      &v1::ExplorationService::Stub::SubmitJob, *request);
  if (!response.ok()) return Fail(response.status());
  if (options.dry_run) {
    if (global.output == OutputFormat::kJson) {
      fmt::print("{}", ToJson(response->preview()));
    } else {
      PrintPreview(*response);
    }
    return ExitCode::kDone;
  }
  const std::string job = response->job().id();
  if (global.output == OutputFormat::kJson) {
    fmt::print("{{\"job\": \"{}\"}}\n", job);
  } else {
    fmt::print("job {}{}\n", job, response->existed() ? " (already known)" : "");
  }
  std::fflush(stdout);
  return options.watch ? WatchUntilEnd(server, global, job) : ExitCode::kDone;
}

}  // namespace mico
