#include "proto/convert.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace mico {
namespace {

// Nothing that we make comes near these; what is larger is a mistake or an attack.
constexpr int kMostLayers = 10'000;
constexpr int kMostSchemes = 10'000;
constexpr int kMostSignatures = 100'000;
constexpr int kMostTargets = 1'000;
constexpr size_t kMostName = 1'000;
constexpr size_t kMostSignature = 4'000;
constexpr size_t kMostError = 64'000;
constexpr int kMostChecks = 100;
constexpr size_t kMostCheckText = 4'000;
// A status travels in a trailer, where gRPC writes up to three bytes for each of ours.
constexpr size_t kMostStatusText = 64'000;
static_assert(3 * kMostStatusText < kMostMetadataBytes);

absl::Status Bad(std::string_view field, std::string_view found, std::string_view needed) {
  return absl::InvalidArgumentError(fmt::format("{}: {}; needed: {}", field, found, needed));
}

absl::Status CheckText(std::string_view field, const std::string& text, size_t most,
                       bool may_be_empty = true) {
  if (text.size() > most) {
    return Bad(field, fmt::format("{} bytes", text.size()), fmt::format("at most {}", most));
  }
  if (text.empty() && !may_be_empty) return Bad(field, "empty", "a name");
  return absl::OkStatus();
}

// A name that goes into messages, logs and tables.
absl::Status CheckName(std::string_view field, const std::string& text, bool may_be_empty = true) {
  MICO_RETURN_IF_ERROR(CheckText(field, text, kMostName, may_be_empty));
  const std::string printable = PrintableLine(text);
  if (printable == text) return absl::OkStatus();
  return Bad(field, fmt::format("'{}'", printable.substr(0, 80)),
             "a name without control characters");
}

// What a program of somebody else's said, cut to what a message may carry.
std::string Said(std::string_view text, size_t most) { return ValidUtf8(text.substr(0, most)); }

absl::Status CheckCount(std::string_view field, int count, int most) {
  if (count <= most) return absl::OkStatus();
  return Bad(field, fmt::format("{} entries", count), fmt::format("at most {}", most));
}

absl::Status CheckNotNegative(std::string_view field, int64_t value) {
  if (value >= 0) return absl::OkStatus();
  return Bad(field, fmt::format("{}", value), "0 or more");
}

absl::StatusOr<int> ReadWidth(std::string_view field, uint32_t bits) {
  if (bits >= 1 && bits <= 8) return static_cast<int>(bits);
  return Bad(field, fmt::format("{} bits", bits), "1-8");
}

absl::StatusOr<Digest> ReadDigest(std::string_view field, const std::string& hex) {
  absl::StatusOr<Digest> digest = Digest::FromHex(hex);
  if (digest.ok()) return digest;
  return Bad(field, fmt::format("'{}'", hex.substr(0, 80)), "64 lower-case hexadecimal digits");
}

// Empty stands for "none".
absl::StatusOr<Digest> ReadOptionalDigest(std::string_view field, const std::string& hex) {
  if (hex.empty()) return Digest();
  return ReadDigest(field, hex);
}

template <typename Widths>
absl::StatusOr<std::vector<int>> ReadWidths(std::string_view field, const Widths& widths) {
  MICO_RETURN_IF_ERROR(CheckCount(field, widths.size(), 8));
  std::vector<int> result;
  for (uint32_t bits : widths) {
    MICO_ASSIGN_OR_RETURN(const int width, ReadWidth(field, bits));
    result.push_back(width);
  }
  std::sort(result.rbegin(), result.rend());
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) {
    return Bad(field, "a width twice", "each once");
  }
  return result;
}

absl::StatusOr<CounterKind> ReadCounter(const std::string& text) {
  for (CounterKind kind :
       {CounterKind::kCycles, CounterKind::kInstructions, CounterKind::kNanoseconds}) {
    if (ToString(kind) == text) return kind;
  }
  return Bad("target.counts", fmt::format("'{}'", text.substr(0, 80)),
             "cycles | instructions | nanoseconds");
}

// The default is not written: what was stored or hashed before there were several stays the same.
std::string MetricName(Metric metric) {
  return metric == Metric::kTop1 ? std::string() : std::string(ToString(metric));
}

absl::StatusOr<Metric> ReadMetric(std::string_view field, const std::string& name) {
  absl::StatusOr<Metric> metric = ParseMetric(name);
  if (metric.ok()) return metric;
  return Bad(field, fmt::format("'{}'", name.substr(0, 80)), "top1, top5, mse or auc");
}

// --- tasks

v1::CalibrateTask ToProto(const CalibrateTask& task) {
  v1::CalibrateTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_train_samples(task.train_samples);
  message.set_seed(task.seed);
  message.set_metric(MetricName(task.metric));
  return message;
}

absl::StatusOr<CalibrateTask> FromProto(const v1::CalibrateTask& message) {
  CalibrateTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("calibrate.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("calibrate.dataset_digest", message.dataset_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("calibrate.train_samples", message.train_samples()));
  task.train_samples = message.train_samples();
  task.seed = message.seed();
  MICO_ASSIGN_OR_RETURN(task.metric, ReadMetric("calibrate.metric", message.metric()));
  return task;
}

v1::ProfileTask ToProto(const ProfileTask& task) {
  v1::ProfileTask message;
  message.set_target_name(task.target_name);
  message.set_profile_key(task.profile_key);
  for (const std::string& signature : task.signatures) message.add_signatures(signature);
  return message;
}

absl::StatusOr<ProfileTask> FromProto(const v1::ProfileTask& message) {
  ProfileTask task;
  MICO_RETURN_IF_ERROR(CheckText("profile.target_name", message.target_name(), kMostName, false));
  MICO_RETURN_IF_ERROR(CheckText("profile.profile_key", message.profile_key(), kMostName));
  MICO_RETURN_IF_ERROR(
      CheckCount("profile.signatures", message.signatures_size(), kMostSignatures));
  task.target_name = message.target_name();
  task.profile_key = message.profile_key();
  for (const std::string& signature : message.signatures()) {
    MICO_RETURN_IF_ERROR(CheckText("profile.signatures", signature, kMostSignature, false));
    task.signatures.push_back(signature);
  }
  return task;
}

v1::EvaluateTask ToProto(const EvaluateTask& task) {
  v1::EvaluateTask message;
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_calibration_digest(task.calibration.hex());
  message.set_split(mico::ToProto(task.split));
  message.set_samples(task.samples);
  for (const BitScheme& scheme : task.schemes) *message.add_schemes() = mico::ToProto(scheme);
  message.set_upload_models(task.upload_models);
  message.set_metric(MetricName(task.metric));
  return message;
}

absl::StatusOr<EvaluateTask> FromProto(const v1::EvaluateTask& message) {
  EvaluateTask task;
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("evaluate.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("evaluate.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(task.calibration,
                        ReadDigest("evaluate.calibration_digest", message.calibration_digest()));
  MICO_ASSIGN_OR_RETURN(task.split, mico::FromProto(message.split()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("evaluate.samples", message.samples()));
  MICO_RETURN_IF_ERROR(CheckCount("evaluate.schemes", message.schemes_size(), kMostSchemes));
  task.samples = message.samples();
  for (const v1::BitScheme& scheme : message.schemes()) {
    MICO_ASSIGN_OR_RETURN(BitScheme converted, mico::FromProto(scheme));
    task.schemes.push_back(std::move(converted));
  }
  task.upload_models = message.upload_models();
  MICO_ASSIGN_OR_RETURN(task.metric, ReadMetric("evaluate.metric", message.metric()));
  return task;
}

v1::ArtifactTask ToProto(const ArtifactTask& task) {
  v1::ArtifactTask message;
  message.set_quantized_digest(task.quantized.hex());
  message.set_model_digest(task.model.hex());
  message.set_dataset_digest(task.dataset.hex());
  message.set_target_name(task.target_name);
  *message.mutable_scheme() = mico::ToProto(task.scheme);
  *message.mutable_val() = mico::ToProto(task.val);
  *message.mutable_test() = mico::ToProto(task.test);
  *message.mutable_predicted() = mico::ToProto(task.predicted);
  return message;
}

absl::StatusOr<ArtifactTask> FromProto(const v1::ArtifactTask& message) {
  ArtifactTask task;
  MICO_ASSIGN_OR_RETURN(task.quantized,
                        ReadDigest("artifact.quantized_digest", message.quantized_digest()));
  MICO_ASSIGN_OR_RETURN(task.model, ReadDigest("artifact.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(task.dataset,
                        ReadDigest("artifact.dataset_digest", message.dataset_digest()));
  MICO_RETURN_IF_ERROR(CheckText("artifact.target_name", message.target_name(), kMostName, false));
  task.target_name = message.target_name();
  MICO_ASSIGN_OR_RETURN(task.scheme, mico::FromProto(message.scheme()));
  MICO_ASSIGN_OR_RETURN(task.val, mico::FromProto(message.val()));
  MICO_ASSIGN_OR_RETURN(task.test, mico::FromProto(message.test()));
  MICO_ASSIGN_OR_RETURN(task.predicted, mico::FromProto(message.predicted()));
  return task;
}

void SetTask(const CalibrateTask& task, v1::TaskOrder& message) {
  *message.mutable_calibrate() = ToProto(task);
}
void SetTask(const ProfileTask& task, v1::TaskOrder& message) {
  *message.mutable_profile() = ToProto(task);
}
void SetTask(const EvaluateTask& task, v1::TaskOrder& message) {
  *message.mutable_evaluate() = ToProto(task);
}
void SetTask(const ArtifactTask& task, v1::TaskOrder& message) {
  *message.mutable_artifact() = ToProto(task);
}

// --- results

void SetResult(std::monostate, v1::TaskResult&) {}

void SetResult(const CalibrateResult& result, v1::TaskResult& message) {
  v1::CalibrateResult& out = *message.mutable_calibrate();
  out.set_calibration_digest(result.calibration.hex());
  out.set_input_non_negative(result.input_non_negative);
  *out.mutable_float_val() = mico::ToProto(result.float_val);
  *out.mutable_float_test() = mico::ToProto(result.float_test);
}

void SetResult(const ProfileResult& result, v1::TaskResult& message) {
  message.mutable_profile()->set_latency_table_digest(result.latency_table.hex());
}

void SetResult(const EvaluateResult& result, v1::TaskResult& message) {
  v1::EvaluateResult& out = *message.mutable_evaluate();
  for (const SchemeResult& scheme : result.schemes) {
    v1::SchemeResult& added = *out.add_schemes();
    added.set_error(Said(scheme.error, kMostError));
    *added.mutable_accuracy() = mico::ToProto(scheme.score);
    added.set_kl(scheme.divergence);
    added.set_quantized_digest(scheme.quantized.hex());
    added.set_evaluation_ms(scheme.evaluation.count());
  }
}

void SetResult(const ArtifactResult& result, v1::TaskResult& message) {
  v1::ArtifactResult& out = *message.mutable_artifact();
  out.set_artifact_digest(result.artifact.hex());
  out.set_self_test_host(result.self_test_host);
  out.set_self_test_board(result.self_test_board);
  out.set_measured_count(result.measured_count);
  out.set_measured_flash_bytes(result.measured_flash_bytes);
  out.set_measured_ram_bytes(result.measured_ram_bytes);
}

absl::StatusOr<CalibrateResult> FromProto(const v1::CalibrateResult& message) {
  CalibrateResult result;
  MICO_ASSIGN_OR_RETURN(result.calibration,
                        ReadDigest("calibrate.calibration_digest", message.calibration_digest()));
  result.input_non_negative = message.input_non_negative();
  MICO_ASSIGN_OR_RETURN(result.float_val, mico::FromProto(message.float_val()));
  MICO_ASSIGN_OR_RETURN(result.float_test, mico::FromProto(message.float_test()));
  return result;
}

absl::StatusOr<SchemeResult> FromProto(const v1::SchemeResult& message) {
  SchemeResult result;
  MICO_RETURN_IF_ERROR(CheckText("schemes.error", message.error(), kMostError));
  result.error = message.error();
  MICO_ASSIGN_OR_RETURN(result.score, mico::FromProto(message.accuracy()));
  if (!std::isfinite(message.kl()) || message.kl() < -1e-6) {
    return Bad("schemes.kl", fmt::format("{}", message.kl()), "a finite number, 0 or more");
  }
  result.divergence = std::max(message.kl(), 0.0);
  MICO_ASSIGN_OR_RETURN(result.quantized,
                        ReadOptionalDigest("schemes.quantized_digest", message.quantized_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("schemes.evaluation_ms", message.evaluation_ms()));
  result.evaluation = std::chrono::milliseconds(message.evaluation_ms());
  return result;
}

absl::StatusOr<EvaluateResult> FromProto(const v1::EvaluateResult& message) {
  MICO_RETURN_IF_ERROR(CheckCount("evaluate.schemes", message.schemes_size(), kMostSchemes));
  EvaluateResult result;
  for (const v1::SchemeResult& scheme : message.schemes()) {
    MICO_ASSIGN_OR_RETURN(SchemeResult converted, FromProto(scheme));
    result.schemes.push_back(std::move(converted));
  }
  return result;
}

absl::StatusOr<ArtifactResult> FromProto(const v1::ArtifactResult& message) {
  ArtifactResult result;
  MICO_ASSIGN_OR_RETURN(result.artifact,
                        ReadDigest("artifact.artifact_digest", message.artifact_digest()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("artifact.measured_count", message.measured_count()));
  MICO_RETURN_IF_ERROR(
      CheckNotNegative("artifact.measured_flash_bytes", message.measured_flash_bytes()));
  MICO_RETURN_IF_ERROR(
      CheckNotNegative("artifact.measured_ram_bytes", message.measured_ram_bytes()));
  result.self_test_host = message.self_test_host();
  result.self_test_board = message.self_test_board();
  result.measured_count = message.measured_count();
  result.measured_flash_bytes = message.measured_flash_bytes();
  result.measured_ram_bytes = message.measured_ram_bytes();
  return result;
}

// --- worker reports

void SetState(const Idle&, v1::SynchronizeRequest& message) { message.mutable_idle(); }
void SetState(const Running& running, v1::SynchronizeRequest& message) {
  message.mutable_running()->set_lease_id(running.lease_id);
  message.mutable_running()->set_progress(running.progress);
}
void SetState(const Finished& finished, v1::SynchronizeRequest& message) {
  message.mutable_finished()->set_lease_id(finished.lease_id);
  *message.mutable_finished()->mutable_result() = mico::ToProto(finished.result);
}

absl::Status ReadState(const v1::SynchronizeRequest& message, WorkerReport& report) {
  switch (message.state_case()) {
    case v1::SynchronizeRequest::kIdle:
      report.state = Idle{};
      return absl::OkStatus();
    case v1::SynchronizeRequest::kRunning: {
      const v1::Running& running = message.running();
      MICO_RETURN_IF_ERROR(CheckText("running.lease_id", running.lease_id(), kMostName, false));
      if (!(running.progress() >= 0.0 && running.progress() <= 1.0)) {
        return Bad("running.progress", fmt::format("{}", running.progress()), "0 to 1");
      }
      report.state = Running{running.lease_id(), running.progress()};
      return absl::OkStatus();
    }
    case v1::SynchronizeRequest::kFinished: {
      const v1::Finished& finished = message.finished();
      MICO_RETURN_IF_ERROR(CheckText("finished.lease_id", finished.lease_id(), kMostName, false));
      MICO_ASSIGN_OR_RETURN(TaskResult result, mico::FromProto(finished.result()));
      report.state = Finished{finished.lease_id(), std::move(result)};
      return absl::OkStatus();
    }
    case v1::SynchronizeRequest::STATE_NOT_SET:
      break;
  }
  return Bad("state", "none", "one of idle, running, finished");
}

template <typename Checks>
absl::StatusOr<std::vector<Check>> ReadChecks(std::string_view field, const Checks& messages) {
  MICO_RETURN_IF_ERROR(CheckCount(field, messages.size(), kMostChecks));
  std::vector<Check> checks;
  for (const v1::Check& message : messages) {
    MICO_ASSIGN_OR_RETURN(Check check, mico::FromProto(message));
    checks.push_back(std::move(check));
  }
  return checks;
}

// --- limits

v1::Limit ToProto(const RequestedLimit& limit) {
  v1::Limit message;
  switch (limit.kind) {
    case RequestedLimit::Kind::kAbsolute:
      message.set_absolute(limit.value);
      break;
    case RequestedLimit::Kind::kRelative:
      message.set_relative(limit.value);
      break;
    case RequestedLimit::Kind::kSeconds:
      message.set_absolute_seconds(limit.value);
      break;
  }
  return message;
}

absl::StatusOr<RequestedLimit> ReadLimit(std::string_view field, const v1::Limit& message) {
  RequestedLimit limit;
  switch (message.bound_case()) {
    case v1::Limit::kAbsolute:
      limit = {RequestedLimit::Kind::kAbsolute, message.absolute()};
      break;
    case v1::Limit::kRelative:
      limit = {RequestedLimit::Kind::kRelative, message.relative()};
      break;
    case v1::Limit::kAbsoluteSeconds:
      limit = {RequestedLimit::Kind::kSeconds, message.absolute_seconds()};
      break;
    case v1::Limit::BOUND_NOT_SET:
      return Bad(field, "no bound", "absolute, relative or absolute_seconds");
  }
  if (!std::isfinite(limit.value) || limit.value <= 0.0 || limit.value > 1e15) {
    return Bad(field, fmt::format("{}", limit.value), "a number above 0 and up to 1e15");
  }
  if (limit.kind == RequestedLimit::Kind::kSeconds && field != "limits.max_latency") {
    return Bad(field, "a time", "absolute or relative");
  }
  if (field == "limits.min_accuracy" && limit.kind == RequestedLimit::Kind::kAbsolute &&
      limit.value > 1.0) {
    return Bad(field, fmt::format("{}", limit.value), "at most 1");
  }
  return limit;
}

absl::StatusOr<RequestedLimits> ReadLimits(const v1::Limits& message) {
  RequestedLimits limits;
  if (message.has_max_latency()) {
    MICO_ASSIGN_OR_RETURN(limits.max_latency,
                          ReadLimit("limits.max_latency", message.max_latency()));
  }
  if (message.has_max_ram()) {
    MICO_ASSIGN_OR_RETURN(limits.max_ram, ReadLimit("limits.max_ram", message.max_ram()));
  }
  if (message.has_max_flash()) {
    MICO_ASSIGN_OR_RETURN(limits.max_flash, ReadLimit("limits.max_flash", message.max_flash()));
  }
  if (message.has_min_accuracy()) {
    MICO_ASSIGN_OR_RETURN(limits.min_accuracy,
                          ReadLimit("limits.min_accuracy", message.min_accuracy()));
  }
  if (message.has_max_error()) {
    MICO_ASSIGN_OR_RETURN(limits.max_error, ReadLimit("limits.max_error", message.max_error()));
  }
  return limits;
}

// A limit on the value is for metrics where more is better, or for one where less is.
absl::Status CheckLimitsSuit(const RequestedLimits& limits, Metric metric) {
  if (limits.min_accuracy && LowerIsBetter(metric)) {
    return Bad("limits.min_accuracy", fmt::format("with metric {}", ToString(metric)),
               "max_error, or a metric where more is better: top1, top5, auc");
  }
  if (limits.max_error && !LowerIsBetter(metric)) {
    return Bad("limits.max_error", fmt::format("with metric {}", ToString(metric)),
               "min_accuracy, or metric mse");
  }
  return absl::OkStatus();
}

void WriteLimits(const RequestedLimits& limits, v1::Limits& message) {
  if (limits.max_latency) *message.mutable_max_latency() = ToProto(*limits.max_latency);
  if (limits.max_ram) *message.mutable_max_ram() = ToProto(*limits.max_ram);
  if (limits.max_flash) *message.mutable_max_flash() = ToProto(*limits.max_flash);
  if (limits.min_accuracy) *message.mutable_min_accuracy() = ToProto(*limits.min_accuracy);
  if (limits.max_error) *message.mutable_max_error() = ToProto(*limits.max_error);
}

}  // namespace

v1::BitScheme ToProto(const BitScheme& scheme) {
  v1::BitScheme message;
  for (const LayerBits& layer : scheme.layers()) {
    v1::LayerBits& added = *message.add_layers();
    added.set_weight_bits(static_cast<uint32_t>(layer.weight_bits));
    added.set_input_bits(static_cast<uint32_t>(layer.input_bits));
  }
  return message;
}

absl::StatusOr<BitScheme> FromProto(const v1::BitScheme& message) {
  MICO_RETURN_IF_ERROR(CheckCount("scheme.layers", message.layers_size(), kMostLayers));
  std::vector<LayerBits> layers;
  for (const v1::LayerBits& layer : message.layers()) {
    MICO_ASSIGN_OR_RETURN(const int weight_bits,
                          ReadWidth("scheme.weight_bits", layer.weight_bits()));
    MICO_ASSIGN_OR_RETURN(const int input_bits, ReadWidth("scheme.input_bits", layer.input_bits()));
    layers.push_back({weight_bits, input_bits});
  }
  return BitScheme(std::move(layers));
}

v1::Cost ToProto(const Cost& cost) {
  v1::Cost message;
  message.set_latency_cycles(cost.latency_cycles);
  message.set_peak_ram_bytes(cost.peak_ram_bytes);
  message.set_flash_bytes(cost.flash_bytes);
  return message;
}

absl::StatusOr<Cost> FromProto(const v1::Cost& message) {
  MICO_RETURN_IF_ERROR(CheckNotNegative("cost.latency_cycles", message.latency_cycles()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("cost.peak_ram_bytes", message.peak_ram_bytes()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("cost.flash_bytes", message.flash_bytes()));
  return Cost{message.latency_cycles(), message.peak_ram_bytes(), message.flash_bytes()};
}

v1::Accuracy ToProto(const Score& score) {
  v1::Accuracy message;
  message.set_correct(score.correct);
  message.set_total(score.total);
  message.set_metric(std::string(ToString(score.metric)));
  message.set_value(score.value);
  message.set_low(score.low);
  message.set_high(score.high);
  return message;
}

absl::StatusOr<Score> FromProto(const v1::Accuracy& message) {
  MICO_ASSIGN_OR_RETURN(const Metric metric, ReadMetric("accuracy.metric", message.metric()));
  if (message.correct() < 0 || message.correct() > message.total()) {
    return Bad("accuracy", fmt::format("{} of {}", message.correct(), message.total()),
               "0 <= correct <= total");
  }
  if (CountsAnswers(metric)) return CountScore(metric, message.correct(), message.total());
  const double most = metric == Metric::kAuc ? 1.0 : std::numeric_limits<double>::max();
  // Not a number compares with nothing.
  if (!(0.0 <= message.low() && message.low() <= message.value() &&
        message.value() <= message.high() && message.high() <= most)) {
    return Bad("accuracy",
               fmt::format("{} {} from {} to {}", ToString(metric), message.value(), message.low(),
                           message.high()),
               fmt::format("0 <= low <= value <= high <= {}", most));
  }
  return Score{metric, 0, message.total(), message.value(), message.low(), message.high()};
}

v1::Target ToProto(const Target& target) {
  v1::Target message;
  message.set_name(target.name);
  message.set_isa(target.isa);
  message.set_clock_hz(target.clock_hz);
  message.set_flash_bytes(target.flash_bytes);
  message.set_ram_bytes(target.ram_bytes);
  for (int bits : target.weight_bits) message.add_weight_bits(static_cast<uint32_t>(bits));
  for (int bits : target.activation_bits) message.add_activation_bits(static_cast<uint32_t>(bits));
  message.set_counts(std::string(ToString(target.counts)));
  message.set_latency_model(target.latency_model);
  message.set_profile_key(target.profile_key);
  message.set_has_board(target.has_board);
  return message;
}

absl::StatusOr<Target> FromProto(const v1::Target& message) {
  MICO_RETURN_IF_ERROR(CheckName("target.name", message.name(), false));
  MICO_RETURN_IF_ERROR(CheckName("target.isa", message.isa(), false));
  MICO_RETURN_IF_ERROR(CheckName("target.latency_model", message.latency_model()));
  MICO_RETURN_IF_ERROR(CheckName("target.profile_key", message.profile_key()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("target.clock_hz", message.clock_hz()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("target.flash_bytes", message.flash_bytes()));
  MICO_RETURN_IF_ERROR(CheckNotNegative("target.ram_bytes", message.ram_bytes()));
  Target target;
  target.name = message.name();
  target.isa = message.isa();
  target.clock_hz = message.clock_hz();
  target.flash_bytes = message.flash_bytes();
  target.ram_bytes = message.ram_bytes();
  MICO_ASSIGN_OR_RETURN(target.weight_bits,
                        ReadWidths("target.weight_bits", message.weight_bits()));
  MICO_ASSIGN_OR_RETURN(target.activation_bits,
                        ReadWidths("target.activation_bits", message.activation_bits()));
  MICO_ASSIGN_OR_RETURN(target.counts, ReadCounter(message.counts()));
  target.latency_model = message.latency_model();
  target.profile_key = message.profile_key();
  target.has_board = message.has_board();
  return target;
}

v1::Check ToProto(const Check& check) {
  v1::Check message;
  message.set_name(Said(check.name, kMostName));
  switch (check.state) {
    case Check::State::kUnknown:
      break;
    case Check::State::kOk:
      message.set_state(v1::Check::STATE_OK);
      break;
    case Check::State::kWarning:
      message.set_state(v1::Check::STATE_WARNING);
      break;
    case Check::State::kFault:
      message.set_state(v1::Check::STATE_FAULT);
      break;
  }
  message.set_found(Said(check.found, kMostCheckText));
  message.set_remedy(Said(check.remedy, kMostCheckText));
  message.set_age_ms(check.age.count());
  return message;
}

absl::StatusOr<Check> FromProto(const v1::Check& message) {
  MICO_RETURN_IF_ERROR(CheckName("check.name", message.name()));
  MICO_RETURN_IF_ERROR(CheckText("check.found", message.found(), kMostCheckText));
  MICO_RETURN_IF_ERROR(CheckText("check.remedy", message.remedy(), kMostCheckText));
  MICO_RETURN_IF_ERROR(CheckNotNegative("check.age_ms", message.age_ms()));
  Check check;
  check.name = message.name();
  if (message.state() == v1::Check::STATE_OK) check.state = Check::State::kOk;
  if (message.state() == v1::Check::STATE_WARNING) check.state = Check::State::kWarning;
  if (message.state() == v1::Check::STATE_FAULT) check.state = Check::State::kFault;
  check.found = message.found();
  check.remedy = message.remedy();
  check.age = std::chrono::milliseconds(message.age_ms());
  return check;
}

v1::TargetHealth ToProto(const TargetHealth& health) {
  v1::TargetHealth message;
  message.set_target(health.target);
  message.set_cannot_compile(Said(health.cannot_compile, kMostCheckText));
  message.set_cannot_run(Said(health.cannot_run, kMostCheckText));
  for (const Check& check : health.checks) *message.add_checks() = ToProto(check);
  return message;
}

absl::StatusOr<TargetHealth> FromProto(const v1::TargetHealth& message) {
  MICO_RETURN_IF_ERROR(CheckName("target_health.target", message.target(), false));
  MICO_RETURN_IF_ERROR(
      CheckText("target_health.cannot_compile", message.cannot_compile(), kMostCheckText));
  MICO_RETURN_IF_ERROR(CheckText("target_health.cannot_run", message.cannot_run(), kMostCheckText));
  TargetHealth health{message.target(), message.cannot_compile(), message.cannot_run(), {}};
  MICO_ASSIGN_OR_RETURN(health.checks, ReadChecks("target_health.checks", message.checks()));
  return health;
}

v1::Split ToProto(Split split) {
  switch (split) {
    case Split::kTrain:
      return v1::SPLIT_TRAIN;
    case Split::kVal:
      return v1::SPLIT_VAL;
    case Split::kTest:
      return v1::SPLIT_TEST;
  }
  return v1::SPLIT_UNSPECIFIED;
}

absl::StatusOr<Split> FromProto(v1::Split split) {
  switch (split) {
    case v1::SPLIT_TRAIN:
      return Split::kTrain;
    case v1::SPLIT_VAL:
      return Split::kVal;
    case v1::SPLIT_TEST:
      return Split::kTest;
    default:
      return Bad("split", fmt::format("{}", static_cast<int>(split)), "train, val or test");
  }
}

v1::TaskOrder ToProto(const TaskOrder& order) {
  v1::TaskOrder message;
  message.set_lease_id(order.lease_id);
  message.set_task_id(order.task_id);
  message.set_attempt(order.attempt);
  std::visit([&message](const auto& task) { SetTask(task, message); }, order.task);
  return message;
}

absl::StatusOr<TaskOrder> FromProto(const v1::TaskOrder& message) {
  TaskOrder order{message.lease_id(), message.task_id(), message.attempt(), {}};
  switch (message.task_case()) {
    case v1::TaskOrder::kCalibrate: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.calibrate()));
      return order;
    }
    case v1::TaskOrder::kProfile: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.profile()));
      return order;
    }
    case v1::TaskOrder::kEvaluate: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.evaluate()));
      return order;
    }
    case v1::TaskOrder::kArtifact: {
      MICO_ASSIGN_OR_RETURN(order.task, FromProto(message.artifact()));
      return order;
    }
    case v1::TaskOrder::TASK_NOT_SET:
      break;
  }
  return Bad("order.task", "none that this version knows",
             "calibrate, profile, evaluate or artifact");
}

v1::TaskResult ToProto(const TaskResult& result) {
  v1::TaskResult message;
  message.set_error_code(static_cast<int32_t>(result.status.code()));
  const absl::string_view error = result.status.message();
  message.set_error(Said({error.data(), error.size()}, kMostError));
  if (result.status.ok()) {
    std::visit([&message](const auto& kind) { SetResult(kind, message); }, result.result);
  }
  return message;
}

absl::StatusOr<TaskResult> FromProto(const v1::TaskResult& message) {
  TaskResult result;
  if (message.error_code() != 0) {
    if (message.error_code() < 0 || message.error_code() > 16) {
      return Bad("result.error_code", fmt::format("{}", message.error_code()), "0-16");
    }
    MICO_RETURN_IF_ERROR(CheckText("result.error", message.error(), kMostError));
    result.status =
        absl::Status(static_cast<absl::StatusCode>(message.error_code()), message.error());
    return result;
  }
  switch (message.result_case()) {
    case v1::TaskResult::kCalibrate: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.calibrate()));
      return result;
    }
    case v1::TaskResult::kProfile: {
      MICO_ASSIGN_OR_RETURN(
          const Digest table,
          ReadDigest("profile.latency_table_digest", message.profile().latency_table_digest()));
      result.result = ProfileResult{table};
      return result;
    }
    case v1::TaskResult::kEvaluate: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.evaluate()));
      return result;
    }
    case v1::TaskResult::kArtifact: {
      MICO_ASSIGN_OR_RETURN(result.result, FromProto(message.artifact()));
      return result;
    }
    case v1::TaskResult::RESULT_NOT_SET:
      break;
  }
  return Bad("finished.result", "none", "an error or a result");
}

v1::SynchronizeRequest ToProto(const WorkerReport& report) {
  v1::SynchronizeRequest message;
  message.set_worker_id(report.worker_id);
  message.set_worker_name(report.worker_name);
  message.set_version(report.version);
  for (const Target& target : report.targets) *message.add_targets() = ToProto(target);
  message.set_evaluates(report.evaluates);
  for (const Check& check : report.checks) *message.add_checks() = ToProto(check);
  for (const TargetHealth& health : report.target_health) {
    *message.add_target_health() = ToProto(health);
  }
  std::visit([&message](const auto& state) { SetState(state, message); }, report.state);
  message.set_leaving(report.leaving);
  return message;
}

absl::StatusOr<WorkerReport> FromProto(const v1::SynchronizeRequest& message) {
  MICO_RETURN_IF_ERROR(CheckName("worker_id", message.worker_id(), false));
  MICO_RETURN_IF_ERROR(CheckName("worker_name", message.worker_name()));
  MICO_RETURN_IF_ERROR(CheckName("version", message.version()));
  MICO_RETURN_IF_ERROR(CheckCount("targets", message.targets_size(), kMostTargets));
  WorkerReport report;
  report.worker_id = message.worker_id();
  report.worker_name = message.worker_name();
  report.version = message.version();
  for (const v1::Target& target : message.targets()) {
    MICO_ASSIGN_OR_RETURN(Target converted, FromProto(target));
    report.targets.push_back(std::move(converted));
  }
  MICO_ASSIGN_OR_RETURN(report.checks, ReadChecks("checks", message.checks()));
  MICO_RETURN_IF_ERROR(CheckCount("target_health", message.target_health_size(), kMostTargets));
  for (const v1::TargetHealth& health : message.target_health()) {
    MICO_ASSIGN_OR_RETURN(TargetHealth converted, FromProto(health));
    report.target_health.push_back(std::move(converted));
  }
  report.evaluates = message.evaluates();
  report.leaving = message.leaving();
  MICO_RETURN_IF_ERROR(ReadState(message, report));
  return report;
}

v1::SynchronizeResponse ToProto(const WorkerOrder& order) {
  v1::SynchronizeResponse message;
  message.set_lease_lost(order.lease_lost);
  if (order.order) *message.mutable_order() = ToProto(*order.order);
  message.set_next_call_ms(order.next_call.count());
  return message;
}

absl::StatusOr<WorkerOrder> FromProto(const v1::SynchronizeResponse& message) {
  WorkerOrder order;
  order.lease_lost = message.lease_lost();
  if (message.has_order()) {
    MICO_ASSIGN_OR_RETURN(order.order, FromProto(message.order()));
  }
  MICO_RETURN_IF_ERROR(CheckNotNegative("next_call_ms", message.next_call_ms()));
  order.next_call = std::chrono::milliseconds(message.next_call_ms());
  return order;
}

v1::JobSpec ToProto(const JobSpec& spec) {
  v1::JobSpec message;
  message.set_model_name(spec.model_name);
  message.set_model_digest(spec.model.hex());
  message.set_dataset_name(spec.dataset_name);
  message.set_dataset_digest(spec.dataset.hex());
  message.set_target(spec.target);
  WriteLimits(spec.limits, *message.mutable_limits());
  message.set_strategy(spec.strategy);
  message.set_trials(spec.trials);
  message.set_seed(spec.seed);
  message.set_calibration_samples(spec.calibration_samples);
  message.set_metric(MetricName(spec.metric));
  return message;
}

absl::StatusOr<JobSpec> FromProto(const v1::JobSpec& message) {
  JobSpec spec;
  MICO_RETURN_IF_ERROR(CheckName("spec.model_name", message.model_name()));
  MICO_RETURN_IF_ERROR(CheckName("spec.dataset_name", message.dataset_name()));
  MICO_RETURN_IF_ERROR(CheckName("spec.target", message.target(), false));
  MICO_RETURN_IF_ERROR(CheckName("spec.strategy", message.strategy()));
  spec.model_name = message.model_name();
  spec.dataset_name = message.dataset_name();
  spec.target = message.target();
  MICO_ASSIGN_OR_RETURN(spec.model, ReadDigest("spec.model_digest", message.model_digest()));
  MICO_ASSIGN_OR_RETURN(spec.dataset, ReadDigest("spec.dataset_digest", message.dataset_digest()));
  MICO_ASSIGN_OR_RETURN(spec.limits, ReadLimits(message.limits()));
  if (!message.strategy().empty()) spec.strategy = message.strategy();
  if (message.trials() != 0) spec.trials = message.trials();
  if (spec.trials < 1 || spec.trials > 1'000'000) {
    return Bad("spec.trials", fmt::format("{}", spec.trials), "1 to 1000000");
  }
  if (message.calibration_samples() != 0) spec.calibration_samples = message.calibration_samples();
  if (spec.calibration_samples < 1 || spec.calibration_samples > 1'000'000) {
    return Bad("spec.calibration_samples", fmt::format("{}", spec.calibration_samples),
               "1 to 1000000");
  }
  spec.seed = message.seed();
  MICO_ASSIGN_OR_RETURN(spec.metric, ReadMetric("spec.metric", message.metric()));
  MICO_RETURN_IF_ERROR(CheckLimitsSuit(spec.limits, spec.metric));
  return spec;
}

v1::Trial ToProto(const Trial& trial) {
  v1::Trial message;
  message.set_number(trial.number);
  *message.mutable_scheme() = ToProto(trial.scheme);
  message.set_scheme_text(trial.scheme.ToString());
  switch (trial.state) {
    case TrialState::kWaiting:
      message.set_state(v1::TRIAL_STATE_WAITING);
      break;
    case TrialState::kRunning:
      message.set_state(v1::TRIAL_STATE_RUNNING);
      break;
    case TrialState::kFinished:
      message.set_state(v1::TRIAL_STATE_FINISHED);
      break;
    case TrialState::kFailed:
      message.set_state(v1::TRIAL_STATE_FAILED);
      break;
  }
  if (trial.val.measured()) *message.mutable_val() = ToProto(trial.val);
  message.set_kl(trial.divergence);
  *message.mutable_cost() = ToProto(trial.cost);
  message.set_quantized_digest(trial.quantized_digest);
  message.set_error(trial.error);
  message.set_label(trial.label);
  message.set_probe(trial.is_probe());
  return message;
}

std::string SerializeDeterministically(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(status.message());
  if (text.size() > kMostStatusText) {
    const size_t all = text.size();
    text.resize(kMostStatusText);
    text += fmt::format(" ... (cut; {} bytes in all)", all);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), text);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace mico
