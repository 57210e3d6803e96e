#include "proto/convert.h"

#include <limits>
#include <utility>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "proto/fields.h"

namespace mico {
namespace {

using namespace fields;

absl::StatusOr<CounterKind> ReadCounter(const std::string& text) {
  for (CounterKind kind :
       {CounterKind::kCycles, CounterKind::kInstructions, CounterKind::kNanoseconds}) {
    if (ToString(kind) == text) return kind;
  }
  return Bad("target.counts", fmt::format("'{}'", text.substr(0, 80)),
             "cycles | instructions | nanoseconds");
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

absl::StatusOr<std::vector<Check>> ReadChecks(
    std::string_view field, const google::protobuf::RepeatedPtrField<v1::Check>& messages) {
  MICO_RETURN_IF_ERROR(CheckCount(field, messages.size(), kMostChecks));
  std::vector<Check> checks;
  for (const v1::Check& message : messages) {
    MICO_ASSIGN_OR_RETURN(Check check, mico::FromProto(message));
    checks.push_back(std::move(check));
  }
  return checks;
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

absl::StatusOr<std::vector<int64_t>> ReadInputShape(
    std::string_view field, const google::protobuf::RepeatedField<int64_t>& extents) {
  constexpr int kMostExtents = 3;
  constexpr int64_t kMostElements = int64_t{1} << 28;
  if (extents.empty() || extents.size() > kMostExtents) {
    return Bad(field, fmt::format("{} extents", extents.size()),
               "1 to 3: features; channels and length; channels, height and width");
  }
  int64_t elements = 1;
  for (const int64_t extent : extents) {
    if (extent < 1 || extent > kMostElements / elements) {
      return Bad(field, fmt::format("{}", extent), "extents from 1, together at most 2^28");
    }
    elements *= extent;
  }
  return std::vector<int64_t>(extents.begin(), extents.end());
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

}  // namespace mico
