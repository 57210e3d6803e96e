#include <array>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "search/random_strategy.h"
#include "search/sensitivity_strategy.h"
#include "search/strategy.h"
#include "search/uniform_strategy.h"

namespace mico {
namespace {

template <typename Strategy>
std::unique_ptr<SearchStrategy> Make() {
  return std::make_unique<Strategy>();
}

struct CatalogueEntry {
  std::string_view name;
  std::unique_ptr<SearchStrategy> (*make)();
};

constexpr std::array<CatalogueEntry, 3> kStrategies{{
    {"sensitivity", Make<SensitivityStrategy>},  // the default
    {"uniform", Make<UniformStrategy>},
    {"random", Make<RandomStrategy>},
}};

}  // namespace

absl::StatusOr<std::unique_ptr<SearchStrategy>> MakeStrategy(std::string_view name) {
  for (const CatalogueEntry& entry : kStrategies) {
    if (entry.name == name) return entry.make();
  }
  return absl::InvalidArgumentError(
      fmt::format("strategy '{}'; known: {}", name, fmt::join(StrategyNames(), ", ")));
}

std::vector<std::string> StrategyNames() {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : kStrategies) names.emplace_back(entry.name);
  return names;
}

}  // namespace mico
