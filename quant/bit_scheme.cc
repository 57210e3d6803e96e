#include "quant/bit_scheme.h"

#include "absl/status/status.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Reads one width from the front of `rest`.
bool TakeWidth(char letter, std::string_view& rest, int& bits) {
  if (rest.size() < 2 || rest[0] != letter || rest[1] < '1' || rest[1] > '8') return false;
  bits = rest[1] - '0';
  rest.remove_prefix(2);
  return true;
}

}  // namespace

BitScheme BitScheme::Uniform(int weight_bits, int input_bits,
                             const std::vector<bool>& input_layers) {
  std::vector<LayerBits> layers;
  layers.reserve(input_layers.size());
  for (const bool reads_input : input_layers) {
    layers.push_back({weight_bits, reads_input ? 8 : input_bits});
  }
  return BitScheme(std::move(layers));
}

absl::StatusOr<BitScheme> BitScheme::Parse(std::string_view text) {
  std::vector<LayerBits> layers;
  std::string_view rest = text;
  while (!rest.empty() || !layers.empty()) {
    const size_t position = text.size() - rest.size();
    LayerBits bits;
    if (!TakeWidth('w', rest, bits.weight_bits) || !TakeWidth('a', rest, bits.input_bits)) {
      return absl::InvalidArgumentError(
          fmt::format("scheme: layer {} at character {}: found '{}', needed like 'w4a8' with "
                      "widths 1-8",
                      layers.size(), position, text.substr(position, 8)));
    }
    layers.push_back(bits);
    if (rest.empty()) break;
    if (rest[0] != ',') {
      return absl::InvalidArgumentError(
          fmt::format("scheme: after layer {} at character {}: found '{}', needed ','",
                      layers.size() - 1, text.size() - rest.size(), rest[0]));
    }
    rest.remove_prefix(1);
  }
  return BitScheme(std::move(layers));
}

std::string BitScheme::ToString() const {
  std::string text;
  for (const LayerBits& bits : layers_) {
    if (!text.empty()) text += ',';
    text += fmt::format("w{}a{}", bits.weight_bits, bits.input_bits);
  }
  return text;
}

}  // namespace mico
