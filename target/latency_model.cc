#include "target/latency_model.h"

#include <limits>
#include <set>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace mico {
namespace {

using Json = nlohmann::json;

// Far above any program, and small enough that sums of millions of them fit 64 bits.
constexpr int64_t kMostCount = int64_t{1} << 48;

absl::Status Wrong(std::string_view field, std::string_view found, std::string_view needed) {
  return absl::InvalidArgumentError(
      fmt::format("latency table: {}: found {}, needed {}", field, found, needed));
}

absl::StatusOr<int64_t> CountOf(const Json& value, std::string_view field) {
  if (!value.is_number_integer()) return Wrong(field, value.type_name(), "an integer");
  const bool too_large =
      value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(kMostCount);
  if (too_large || value.get<int64_t>() < 0) {
    return Wrong(field, value.dump(), fmt::format("0 to {}", kMostCount));
  }
  return value.get<int64_t>();
}

absl::StatusOr<Json> MemberOf(const Json& object, const std::string& key, Json::value_t type) {
  const auto member = object.find(key);
  if (member == object.end()) return Wrong(key, "nothing", Json(type).type_name());
  if (member->type() != type) return Wrong(key, member->type_name(), Json(type).type_name());
  return *member;
}

absl::StatusOr<int64_t> CountMember(const Json& object, const std::string& key) {
  const auto member = object.find(key);
  if (member == object.end()) return Wrong(key, "nothing", "an integer");
  return CountOf(*member, key);
}

absl::StatusOr<Measurement> MeasurementOf(const Json& value, const std::string& signature) {
  const std::string field = fmt::format("steps['{}']", signature);
  if (!value.is_array() || value.size() != 2) {
    return Wrong(field, value.type_name(), "a list of two: count and spread");
  }
  Measurement measurement;
  MICO_ASSIGN_OR_RETURN(measurement.count, CountOf(value[0], field));
  MICO_ASSIGN_OR_RETURN(measurement.spread, CountOf(value[1], field));
  return measurement;
}

absl::Status RefuseUnknownKeys(const Json& object) {
  static const std::set<std::string> kKnown = {
      "base_flash_bytes", "format", "kernel_code_bytes", "profile_key", "run_overhead",
      "step_code_bytes",  "steps"};
  for (const auto& entry : object.items()) {
    if (!kKnown.contains(entry.key())) {
      return Wrong("the file", fmt::format("unknown key '{}'", entry.key()),
                   "the keys of docs/formats/latency-table.md");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LatencyTable> TableOf(const Json& object) {
  if (!object.is_object()) return Wrong("the file", object.type_name(), "an object");
  MICO_RETURN_IF_ERROR(RefuseUnknownKeys(object));
  MICO_ASSIGN_OR_RETURN(const Json format, MemberOf(object, "format", Json::value_t::string));
  if (format != "mico-latency-table-1")
    return Wrong("format", format.dump(), "mico-latency-table-1");

  LatencyTable table;
  MICO_ASSIGN_OR_RETURN(const Json key, MemberOf(object, "profile_key", Json::value_t::string));
  table.profile_key = key.get<std::string>();
  MICO_ASSIGN_OR_RETURN(const Json steps, MemberOf(object, "steps", Json::value_t::object));
  for (const auto& entry : steps.items()) {
    MICO_ASSIGN_OR_RETURN(table.steps[entry.key()], MeasurementOf(entry.value(), entry.key()));
  }
  MICO_ASSIGN_OR_RETURN(const Json kernels,
                        MemberOf(object, "kernel_code_bytes", Json::value_t::object));
  for (const auto& entry : kernels.items()) {
    MICO_ASSIGN_OR_RETURN(
        table.kernel_code_bytes[entry.key()],
        CountOf(entry.value(), fmt::format("kernel_code_bytes['{}']", entry.key())));
  }
  MICO_ASSIGN_OR_RETURN(table.base_flash_bytes, CountMember(object, "base_flash_bytes"));
  MICO_ASSIGN_OR_RETURN(table.step_code_bytes, CountMember(object, "step_code_bytes"));
  MICO_ASSIGN_OR_RETURN(table.run_overhead, CountMember(object, "run_overhead"));
  return table;
}

}  // namespace

void LatencyTable::Merge(const LatencyTable& other) {
  if (!other.profile_key.empty()) profile_key = other.profile_key;
  for (const auto& [signature, measurement] : other.steps) steps[signature] = measurement;
  for (const auto& [kernel, bytes] : other.kernel_code_bytes) kernel_code_bytes[kernel] = bytes;
  if (other.base_flash_bytes != 0) base_flash_bytes = other.base_flash_bytes;
  if (other.step_code_bytes != 0) step_code_bytes = other.step_code_bytes;
  if (other.run_overhead != 0) run_overhead = other.run_overhead;
}

std::string Serialize(const LatencyTable& table) {
  Json steps = Json::object();
  for (const auto& [signature, measurement] : table.steps) {
    steps[signature] = Json::array({measurement.count, measurement.spread});
  }
  const Json object = {{"format", "mico-latency-table-1"},
                       {"profile_key", table.profile_key},
                       {"steps", std::move(steps)},
                       {"kernel_code_bytes", Json(table.kernel_code_bytes)},
                       {"base_flash_bytes", table.base_flash_bytes},
                       {"step_code_bytes", table.step_code_bytes},
                       {"run_overhead", table.run_overhead}};
  return object.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<LatencyTable> ParseLatencyTable(std::string_view text) {
  const Json object = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) {
    return Wrong("the file", fmt::format("{} bytes that are not JSON", text.size()), "JSON");
  }
  return TableOf(object);
}

absl::StatusOr<Cost> ProfiledLatency::Predict(const ProgramWork& work) const {
  Cost cost;
  cost.latency_cycles = table_.run_overhead;
  cost.peak_ram_bytes = work.peak_ram_bytes;
  cost.flash_bytes = table_.base_flash_bytes + work.constant_bytes +
                     table_.step_code_bytes * static_cast<int64_t>(work.steps.size());
  for (const StepWork& step : work.steps) {
    const auto measured = table_.steps.find(step.signature);
    if (measured == table_.steps.end()) {
      return absl::NotFoundError(fmt::format(
          "layer '{}': no measurement of '{}' in the latency table", step.name, step.signature));
    }
    cost.latency_cycles += measured->second.count;
  }
  for (const std::string& kernel :
       std::set<std::string>(work.kernels.begin(), work.kernels.end())) {
    const auto size = table_.kernel_code_bytes.find(kernel);
    if (size == table_.kernel_code_bytes.end()) {
      return absl::NotFoundError(
          fmt::format("kernel '{}': its code size is not in the latency table", kernel));
    }
    cost.flash_bytes += size->second;
  }
  return cost;
}

}  // namespace mico
