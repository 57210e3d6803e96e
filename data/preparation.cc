#include "data/preparation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/status_macros.h"
#include "base/text.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace mico {
namespace {

using Json = nlohmann::json;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

absl::Status CheckNumbers(std::string_view where, std::string_view name,
                          const std::vector<double>& numbers, bool positive) {
  for (const double number : numbers) {
    if (!std::isfinite(number)) {
      return Invalid("{} '{}' has {}; needed finite numbers", where, name, number);
    }
    if (positive && number <= 0.0) {
      return Invalid("{} '{}' has {}; needed a positive number", where, name, number);
    }
  }
  return absl::OkStatus();
}

// A key that comes twice would be lost in the parsed object.
absl::StatusOr<Json> ParseObject(std::string_view text) {
  std::set<std::string> keys;
  std::string twice;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key) {
      const auto key = parsed.get<std::string>();
      if (!keys.insert(key).second) twice = key;
    }
    return true;
  };
  Json json = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("preparation.json: needed a JSON object");
  if (!twice.empty()) return Invalid("preparation.json: '{}' comes twice", PrintableLine(twice));
  return json;
}

// One number, or one for each of `most`; leaves `numbers` alone if there is no such key.
absl::Status ReadNumbers(const Json& json, const std::string& name, int64_t most,
                         std::vector<double>& numbers) {
  const auto found = json.find(name);
  if (found == json.end()) return absl::OkStatus();
  const Json list = found->is_array() ? *found : Json::array({*found});
  const bool fits = list.size() == 1 || static_cast<int64_t>(list.size()) == most;
  if (!fits || !std::all_of(list.begin(), list.end(), [](auto& n) { return n.is_number(); })) {
    return Invalid("preparation.json: '{}' is {}; needed a number{}", name,
                   found->is_array() ? fmt::format("a list of {}", found->size())
                                     : std::string(found->type_name()),
                   most > 1 ? fmt::format(" or one for each of {} channels", most) : "");
  }
  numbers.clear();
  for (const Json& number : list) numbers.push_back(number.get<double>());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPreparation(const InputPreparation& preparation, std::string_view where) {
  MICO_RETURN_IF_ERROR(CheckNumbers(where, "scale", {preparation.scale}, true));
  MICO_RETURN_IF_ERROR(CheckNumbers(where, "mean", preparation.mean, false));
  return CheckNumbers(where, "std", preparation.std, true);
}

absl::Status CheckPreparedFinite(const Dataset& dataset) {
  // Preparation is monotone, so it is enough to look at the ends of the stored range.
  double least = 0.0, most = 255.0;
  for (const SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    if (split->floats.empty()) continue;
    const auto [low, high] = std::minmax_element(split->floats.begin(), split->floats.end());
    least = std::min<double>(least, *low);
    most = std::max<double>(most, *high);
  }
  for (int64_t channel = 0; channel < dataset.sample_shape.channels; ++channel) {
    for (const double stored : {least, most}) {
      const double prepared = dataset.preparation.Apply(stored, channel);
      if (!std::isfinite(prepared)) {
        return Invalid("scale, mean and std turn {} in channel {} into {}; needed finite numbers",
                       stored, channel, prepared);
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<InputPreparation> ParsePreparation(std::string_view text, int64_t channels) {
  MICO_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  for (const auto& [key, value] : json.items()) {
    if (key != "scale" && key != "mean" && key != "std") {
      return Invalid("preparation.json: unknown key '{}'; known: scale, mean, std",
                     PrintableLine(key));
    }
  }
  InputPreparation preparation;
  std::vector<double> scale{preparation.scale};
  MICO_RETURN_IF_ERROR(ReadNumbers(json, "scale", 1, scale));
  preparation.scale = scale[0];
  MICO_RETURN_IF_ERROR(ReadNumbers(json, "mean", channels, preparation.mean));
  MICO_RETURN_IF_ERROR(ReadNumbers(json, "std", channels, preparation.std));
  MICO_RETURN_IF_ERROR(CheckPreparation(preparation, "preparation.json:"));
  return preparation;
}

}  // namespace mico
