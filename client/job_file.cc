#include "client/job_file.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/file.h"
#include "base/yaml.h"
#include "client/units.h"
#include "fmt/format.h"
#include "yaml-cpp/yaml.h"

namespace mico {
namespace {

constexpr uint64_t kMostBytes = 1 << 20;

// Takes a value into its field; the answer is what was needed where the value does not do.
using Setter = std::function<std::optional<std::string>(const YAML::Node&)>;

template <typename T>
Setter IntoNumber(std::optional<T>& field) {
  return [&field](const YAML::Node& node) -> std::optional<std::string> {
    if (!node.IsScalar()) return "a whole number";
    const std::optional<T> value = ParseWholeNumber<T>(node.Scalar());
    if (!value) return "a whole number";
    if (!field) field = value;
    return std::nullopt;
  };
}

Setter IntoText(std::optional<std::string>& field) {
  return [&field](const YAML::Node& node) -> std::optional<std::string> {
    if (!node.IsScalar() || node.Scalar().empty()) return "one value";
    if (!field) field = node.Scalar();
    return std::nullopt;
  };
}

Setter IntoPath(const std::filesystem::path& folder, std::optional<std::string>& field) {
  return [&folder, &field](const YAML::Node& node) -> std::optional<std::string> {
    if (!node.IsScalar() || node.Scalar().empty()) return "the name of a file";
    if (!field) field = (folder / node.Scalar()).lexically_normal().string();
    return std::nullopt;
  };
}

absl::Status Wrong(const std::filesystem::path& path, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", path.string(), what));
}

absl::Status Apply(const YAML::Node& root, const std::map<std::string, Setter>& setters,
                   const std::filesystem::path& path) {
  if (!root.IsMap()) {
    return Wrong(path, "needed: a map of submit's fields, like `model: net.onnx`");
  }
  std::set<std::string> seen;
  for (const auto& entry : root) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto setter = setters.find(key);
    if (setter == setters.end()) return Wrong(path, fmt::format("unknown key '{}'", key));
    if (!seen.insert(key).second) return Wrong(path, fmt::format("key '{}' comes twice", key));
    if (const std::optional<std::string> needed = setter->second(entry.second)) {
      const std::string found = entry.second.IsScalar() ? entry.second.Scalar() : "";
      return Wrong(path, fmt::format("key '{}': '{}'; needed: {}", key, found, *needed));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MergeJobFile(const std::filesystem::path& path, SubmitOptions& options) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMostBytes);
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  const std::filesystem::path folder = path.parent_path();
  const std::map<std::string, Setter> setters{
      {"model", IntoPath(folder, options.model)},
      {"data", IntoPath(folder, options.data)},
      {"input-shape", IntoText(options.input_shape)},
      {"target", IntoText(options.target)},
      {"metric", IntoText(options.metric)},
      {"strategy", IntoText(options.strategy)},
      {"ptq", IntoText(options.ptq)},
      {"qat", IntoText(options.qat)},
      {"qat-epochs", IntoText(options.qat_epochs)},
      {"qat-minutes", IntoText(options.qat_minutes)},
      {"qat-optimizer", IntoText(options.qat_optimizer)},
      {"qat-augment", IntoText(options.qat_augment)},
      {"max-latency", IntoText(options.max_latency)},
      {"max-ram", IntoText(options.max_ram)},
      {"max-flash", IntoText(options.max_flash)},
      {"min-accuracy", IntoText(options.min_accuracy)},
      {"max-error", IntoText(options.max_error)},
      {"trials", IntoNumber(options.trials)},
      {"calibration-samples", IntoNumber(options.calibration_samples)},
      {"seed", IntoNumber(options.seed)},
  };
  const absl::Status checked = CheckYaml(*text);
  if (!checked.ok()) return Wrong(path, std::string(checked.message()));
  try {
    return Apply(YAML::Load(*text), setters, path);
  } catch (const YAML::Exception& error) {
    return Wrong(path, error.what());
  }
}

}  // namespace mico
