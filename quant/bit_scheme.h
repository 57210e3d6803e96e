#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mico {

// Widths of one quantized layer, each 1-8 bits: of its weights and of its input.
struct LayerBits {
  int weight_bits = 8;
  int input_bits = 8;
  friend auto operator<=>(const LayerBits&, const LayerBits&) = default;
};

// The point a search moves through: the widths of every quantized layer in execution order.
class BitScheme {
 public:
  BitScheme() = default;
  explicit BitScheme(std::vector<LayerBits> layers) : layers_(std::move(layers)) {}

  // Every layer at these widths, but the layers that read the network's input keep 8-bit inputs:
  // `input_layers[i]` says whether layer i is one.
  static BitScheme Uniform(int weight_bits, int input_bits, const std::vector<bool>& input_layers);
  // "w8a8,w4a8,w2a2": what ToString writes. InvalidArgument names the position.
  static absl::StatusOr<BitScheme> Parse(std::string_view text);
  std::string ToString() const;

  const std::vector<LayerBits>& layers() const { return layers_; }
  std::vector<LayerBits>& mutable_layers() { return layers_; }
  size_t size() const { return layers_.size(); }
  const LayerBits& operator[](size_t layer) const { return layers_[layer]; }

  friend auto operator<=>(const BitScheme&, const BitScheme&) = default;

 private:
  std::vector<LayerBits> layers_;
};

}  // namespace mico
