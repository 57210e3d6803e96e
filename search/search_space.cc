#include <algorithm>
#include <cmath>

#include "search/strategy.h"

namespace mico {

bool SearchSpace::Contains(const BitScheme& scheme) const {
  if (scheme.size() != weight_bits.size()) return false;
  const auto offers = [](const std::vector<int>& options, int bits) {
    return std::find(options.begin(), options.end(), bits) != options.end();
  };
  for (size_t layer = 0; layer < scheme.size(); ++layer) {
    if (!offers(weight_bits[layer], scheme[layer].weight_bits)) return false;
    if (!offers(input_bits[layer], scheme[layer].input_bits)) return false;
  }
  return true;
}

double SearchSpace::Log10Size() const {
  double log = 0.0;
  for (size_t layer = 0; layer < weight_bits.size(); ++layer) {
    log += std::log10(static_cast<double>(weight_bits[layer].size() * input_bits[layer].size()));
  }
  return log;
}

double SearchHistory::Spent(const SearchSpace& space) const {
  double spent = 0.0;
  for (const Trial& trial : trials) {
    spent += trial.is_probe()
                 ? static_cast<double>(trial.samples) / static_cast<double>(space.val_samples)
                 : 1.0;
  }
  return spent;
}

bool SearchHistory::Has(const BitScheme& scheme, bool as_probe) const {
  return std::any_of(trials.begin(), trials.end(), [&](const Trial& trial) {
    return trial.is_probe() == as_probe && trial.scheme == scheme;
  });
}

}  // namespace mico
