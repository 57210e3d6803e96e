#include "base/random.h"
#include "base/status_macros.h"
#include "client/byte_source.h"
#include "client/convert_model.h"
#include "client/job_file.h"
#include "client/output.h"
#include "client/table.h"
#include "client/units.h"
#include "client/verbs.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "nlohmann/json.hpp"

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

// The server would refuse these too, but only after an upload.
absl::Status CheckCounts(const SubmitOptions& options) {
  const auto positive = [](std::string_view name, const std::optional<int64_t>& count) {
    if (!count || *count > 0) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("{}: {}; needed: at least 1", name, *count));
  };
  MICO_RETURN_IF_ERROR(positive("trials", options.trials));
  return positive("calibration-samples", options.calibration_samples);
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
  if (options.max_error) {
    MICO_ASSIGN_OR_RETURN(*limits.mutable_max_error(), ParseErrorLimit(*options.max_error));
  }
  return absl::OkStatus();
}

absl::Status FillTraining(const SubmitOptions& options, v1::JobSpec& spec) {
  if (options.qat) spec.set_qat(*options.qat);
  if (options.qat_epochs) {
    MICO_ASSIGN_OR_RETURN(const double epochs, ParseAmount("qat-epochs", *options.qat_epochs));
    spec.set_qat_epochs(epochs);
  }
  if (options.qat_minutes) {
    MICO_ASSIGN_OR_RETURN(const double minutes, ParseAmount("qat-minutes", *options.qat_minutes));
    spec.set_qat_minutes(minutes);
  }
  if (options.qat_optimizer) spec.set_qat_optimizer(*options.qat_optimizer);
  if (options.qat_augment) spec.set_qat_augmentation(*options.qat_augment);
  return absl::OkStatus();
}

// Whether the model is TorchScript.
absl::StatusOr<bool> CheckKind(const SubmitOptions& options) {
  MICO_ASSIGN_OR_RETURN(const bool is_script, IsTorchScript(*options.model));
  if (!options.input_shape) return is_script;
  if (!is_script) {
    return absl::InvalidArgumentError(fmt::format(
        "input-shape: {} is not TorchScript; ONNX files say what they read", *options.model));
  }
  MICO_RETURN_IF_ERROR(ParseInputShape(*options.input_shape).status());
  return is_script;
}

absl::StatusOr<v1::SubmitJobRequest> BuildRequest(Connection& server,
                                                  const SubmitOptions& options) {
  MICO_RETURN_IF_ERROR(RequireFields(options));
  MICO_RETURN_IF_ERROR(CheckCounts(options));
  v1::SubmitJobRequest request;
  request.set_request_id(Random(EntropySeed()).Hex(16));
  request.set_validate_only(options.dry_run);
  v1::JobSpec& spec = *request.mutable_spec();
  MICO_RETURN_IF_ERROR(FillLimits(options, *spec.mutable_limits()));
  spec.set_target(*options.target);
  if (options.metric) spec.set_metric(*options.metric);
  if (options.strategy) spec.set_strategy(*options.strategy);
  if (options.ptq) spec.set_ptq(*options.ptq);
  MICO_RETURN_IF_ERROR(FillTraining(options, spec));
  if (options.trials) spec.set_trials(*options.trials);
  if (options.seed) spec.set_seed(*options.seed);
  if (options.calibration_samples) spec.set_calibration_samples(*options.calibration_samples);
  MICO_ASSIGN_OR_RETURN(const ByteSource samples, DataSource(*options.data));
  MICO_ASSIGN_OR_RETURN(const bool is_script, CheckKind(options));
  MICO_ASSIGN_OR_RETURN(Digest model, server.UploadOnce(*options.model));
  MICO_ASSIGN_OR_RETURN(const Digest data, server.UploadOnce(samples));
  if (is_script) {
    MICO_ASSIGN_OR_RETURN(
        model, ConvertModel(server, {NameOf(*options.model), model, data, options.input_shape}));
  }
  spec.set_model_name(NameOf(*options.model));
  spec.set_model_digest(model.hex());
  spec.set_dataset_name(NameOf(*options.data));
  spec.set_dataset_digest(data.hex());
  return request;
}

std::string LayerTable(const v1::Preview& preview, OutputFormat format) {
  const auto count = [&](int64_t n) {
    return format == OutputFormat::kCsv ? std::to_string(n) : FormatCount(n);
  };
  Table table(
      {"layer", "type", "input", "output", "MACs", "parameters", "weight bits", "input bits"});
  for (const v1::LayerSummary& layer : preview.layers()) {
    table.Add({layer.name(), layer.type(), layer.input_shape(), layer.output_shape(),
               count(layer.macs()), count(layer.parameters()),
               fmt::format("{}", fmt::join(layer.weight_bits(), " ")),
               fmt::format("{}", fmt::join(layer.input_bits(), " "))});
  }
  return table.Render(format);
}

std::string CostLine(std::string_view name, const v1::Cost& cost, bool latency_known) {
  // Code is measured with the latency.
  const std::string latency = latency_known ? "  latency " + FormatCount(cost.latency_cycles())
                                            : " without code  latency not yet known";
  return fmt::format("{:<12} RAM {}  flash {}{}\n", name, FormatBytes(cost.peak_ram_bytes()),
                     FormatBytes(cost.flash_bytes()), latency);
}

std::string SpaceAndCost(const v1::Preview& preview) {
  std::string text = fmt::format("{:<12} {}\n", "metric", PrintableLine(preview.metric()));
  text += fmt::format("{:<12} 10^{:.1f} schemes\n", "space", preview.log10_space());
  text += CostLine("uniform 8", preview.uniform8(), preview.latency_known());
  text += CostLine("least", preview.floor_cost(), preview.latency_known());
  text += fmt::format("{:<12} {} measurements\n", "to profile", preview.signatures_to_profile());
  for (const std::string& warning : preview.warnings()) {
    text += fmt::format("{:<12} {}\n", "warning", PrintableLine(warning));
  }
  return text + "no job was made; the server keeps the two files for the real submit\n";
}

void PrintPreview(const v1::Preview& preview, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return Print(LayerTable(preview, format) + SpaceAndCost(preview));
    case OutputFormat::kJson:
      return Print(ToJson(preview));
    case OutputFormat::kCsv:
      return Print(LayerTable(preview, format));
  }
}

// ASCII, so that nothing in it is a control character of any terminal.
std::string JsonText(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

void PrintJob(const v1::SubmitJobResponse& response, const GlobalOptions& global, bool watch) {
  const std::string& job = response.job().id();
  const std::string line =
      fmt::format("job {}{}", PrintableLine(job), response.existed() ? " (already known)" : "");
  switch (global.output) {
    case OutputFormat::kTable:
      return Print(line + "\n");
    case OutputFormat::kJson:
      return Print(fmt::format("{{\"job\": {}}}\n", JsonText(job)));
    case OutputFormat::kCsv:
      // With a watch, the table on standard output is the front at the end.
      return watch ? Note(line) : Print(fmt::format("job\n{}\n", PrintableLine(job)));
  }
}

}  // namespace

ExitCode Submit(Connection& server, const GlobalOptions& global, SubmitOptions options) {
  if (!options.file.empty()) {
    const absl::Status merged = MergeJobFile(options.file, options);
    if (!merged.ok()) return Fail(merged);
  }
  const absl::StatusOr<v1::SubmitJobRequest> request = BuildRequest(server, options);
  if (!request.ok()) return Fail(request.status());
  const absl::StatusOr<v1::SubmitJobResponse> response =
      server.Call<v1::SubmitJobResponse>(&v1::ExplorationService::Stub::SubmitJob, *request);
  if (!response.ok()) return Fail(response.status());
  if (options.dry_run) {
    PrintPreview(response->preview(), global.output);
    return ExitCode::kDone;
  }
  PrintJob(*response, global, options.watch);
  std::fflush(stdout);
  return options.watch ? WatchUntilEnd(server, global, response->job().id()) : ExitCode::kDone;
}

}  // namespace mico
