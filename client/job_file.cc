#include "client/job_file.h"

#include <functional>
#include <map>

#include "base/file.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "yaml-cpp/yaml.h"

namespace mico {
namespace {

constexpr uint64_t kMostBytes = 1 << 20;

using Setter = std::function<void(const YAML::Node&)>;

template <typename T>
Setter Into(std::optional<T>& field) {
  return [&field](const YAML::Node& node) {
    const T value = node.as<T>();
    if (!field) field = value;
  };
}

Setter IntoPath(const std::filesystem::path& folder, std::optional<std::string>& field) {
  return [&folder, &field](const YAML::Node& node) {
    const std::string value = (folder / node.as<std::string>()).lexically_normal().string();
    if (!field) field = value;
  };
}

absl::Status Apply(const YAML::Node& root, const std::map<std::string, Setter>& setters,
                   const std::filesystem::path& path) {
  if (!root.IsMap()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: needed: a map of submit's fields, like `model: net.onnx`", path.string()));
  }
  for (const auto& entry : root) {
    const auto key = entry.first.as<std::string>();
    const auto setter = setters.find(key);
    if (setter == setters.end()) {
      return absl::InvalidArgumentError(fmt::format("{}: unknown key '{}'", path.string(), key));
    }
    try {
      setter->second(entry.second);
    } catch (const YAML::Exception& error) {
      return absl::InvalidArgumentError(
          fmt::format("{}: key '{}': {}", path.string(), key, error.what()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MergeJobFile(const std::filesystem::path& path, SubmitOptions& options) {
  MICO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostBytes));
  const std::filesystem::path folder = path.parent_path();
  const std::map<std::string, Setter> setters{
      {"model", IntoPath(folder, options.model)},
      {"data", IntoPath(folder, options.data)},
      {"target", Into(options.target)},
      {"strategy", Into(options.strategy)},
      {"max-latency", Into(options.max_latency)},
      {"max-ram", Into(options.max_ram)},
      {"max-flash", Into(options.max_flash)},
      {"min-accuracy", Into(options.min_accuracy)},
      {"trials", Into(options.trials)},
      {"calibration-samples", Into(options.calibration_samples)},
      {"seed", Into(options.seed)},
  };
  try {
    return Apply(YAML::Load(text), setters, path);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", path.string(), error.what()));
  }
}

}  // namespace mico
