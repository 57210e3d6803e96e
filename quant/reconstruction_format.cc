#include <algorithm>
#include <cmath>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "quant/pack.h"
#include "quant/reconstruction.h"
#include "quant/reconstruction_scales.h"
#include "quant/weight_grid.h"

namespace mico {
namespace {

constexpr std::string_view kMagic = "MICOREC2";
constexpr uint64_t kLeastLayerBytes = 4 + 1 + 1 + 8 + 8;
constexpr uint64_t kScaleBytes = 4 + 1 + 8;
constexpr uint64_t kMostPerChannel = uint64_t{1} << 31;
// As Quantize wants the scales of a calibration.
constexpr double kLeastScale = 1e-60, kMostScale = 1e60;

bool IsScale(double scale) { return scale >= kLeastScale && scale <= kMostScale; }
bool IsBias(double bias) { return std::abs(bias) <= kMostScale; }

void WriteBits(const LayerBits& bits, ByteWriter& writer) {
  writer.U8(static_cast<uint8_t>(bits.weight_bits));
  writer.U8(static_cast<uint8_t>(bits.input_bits));
}

LayerBits ReadBits(ByteReader& reader) {
  LayerBits bits;
  bits.weight_bits = reader.U8();
  bits.input_bits = reader.U8();
  const auto [least, most] = std::minmax(bits.weight_bits, bits.input_bits);
  if (least >= 1 && most <= 8) return bits;
  reader.Fail("a width is not 1 to 8");
  return {};
}

int64_t PerChannel(const ReconstructedLayer& layer) {
  return static_cast<int64_t>(layer.weights.size() / layer.scales.size());
}

ReconstructedLayer ReadLayer(ByteReader& reader) {
  ReconstructedLayer layer;
  layer.layer = reader.I32();
  layer.bits = ReadBits(reader);
  const uint64_t channels = reader.Count(2 * sizeof(double));
  const uint64_t per_channel = reader.U64();
  if (channels == 0 || per_channel == 0 || per_channel > kMostPerChannel) {
    reader.Fail("a layer without weights, or with too many");
    return layer;
  }
  for (uint64_t i = 0; i < channels; ++i) layer.scales.push_back(reader.F64());
  for (uint64_t i = 0; i < channels; ++i) layer.biases.push_back(reader.F64());
  if (!std::all_of(layer.scales.begin(), layer.scales.end(), IsScale)) {
    reader.Fail("a scale is not from 1e-60 to 1e60");
  }
  if (!std::all_of(layer.biases.begin(), layer.biases.end(), IsBias)) {
    reader.Fail("a bias is not of at most 1e60");
  }
  const auto container = static_cast<uint64_t>(ContainerBits(layer.bits.weight_bits));
  const std::string_view raw = reader.Raw(channels * ((per_channel * container + 7) / 8));
  if (!reader.status().ok()) return layer;
  layer.weights = UnpackWeights({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()},
                                static_cast<int64_t>(channels), static_cast<int64_t>(per_channel),
                                layer.bits.weight_bits);
  const int32_t highest = HighestWeight(layer.bits.weight_bits);
  const auto is_on_grid = [&](int8_t weight) { return std::abs(int32_t{weight}) <= highest; };
  if (!std::all_of(layer.weights.begin(), layer.weights.end(), is_on_grid)) {
    reader.Fail("a weight is not on the grid of its width");
  }
  return layer;
}

}  // namespace

void WriteScales(const std::vector<ReconstructedScale>& scales, ByteWriter& writer) {
  writer.U64(scales.size());
  for (const ReconstructedScale& scale : scales) {
    writer.I32(scale.group);
    writer.U8(static_cast<uint8_t>(scale.bits));
    writer.F64(scale.scale);
  }
}

std::vector<ReconstructedScale> ReadScales(ByteReader& reader) {
  std::vector<ReconstructedScale> scales;
  std::pair<int, int> last{-1, 0};
  for (uint64_t i = reader.Count(kScaleBytes); i > 0 && reader.status().ok(); --i) {
    ReconstructedScale& scale = scales.emplace_back();
    scale.group = reader.I32();
    scale.bits = reader.U8();
    scale.scale = reader.F64();
    const std::pair<int, int> place{scale.group, scale.bits};
    if (place <= last) reader.Fail("groups and their widths are not ascending");
    if (scale.bits < 1 || scale.bits > 8) reader.Fail("a width is not 1 to 8");
    if (!IsScale(scale.scale)) reader.Fail("a scale is not from 1e-60 to 1e60");
    last = place;
  }
  return scales;
}

std::string Serialize(const Reconstruction& reconstruction) {
  ByteWriter writer;
  writer.Raw(kMagic);
  writer.U64(reconstruction.layers.size());
  for (const ReconstructedLayer& layer : reconstruction.layers) {
    writer.I32(layer.layer);
    WriteBits(layer.bits, writer);
    writer.U64(layer.scales.size());
    writer.U64(static_cast<uint64_t>(PerChannel(layer)));
    for (const double scale : layer.scales) writer.F64(scale);
    for (const double bias : layer.biases) writer.F64(bias);
    const std::vector<uint8_t> packed =
        PackWeights(layer.weights, PerChannel(layer), layer.bits.weight_bits);
    writer.Raw({reinterpret_cast<const char*>(packed.data()), packed.size()});
  }
  WriteScales(reconstruction.scales, writer);
  return writer.Take();
}

absl::StatusOr<Reconstruction> ParseReconstruction(std::string_view bytes) {
  ByteReader reader(bytes, "reconstruction");
  reader.Magic(kMagic);
  Reconstruction reconstruction;
  int last = -1;
  for (uint64_t i = reader.Count(kLeastLayerBytes); i > 0 && reader.status().ok(); --i) {
    reconstruction.layers.push_back(ReadLayer(reader));
    if (reconstruction.layers.back().layer <= last) reader.Fail("layers are not ascending");
    last = reconstruction.layers.back().layer;
  }
  reconstruction.scales = ReadScales(reader);
  MICO_RETURN_IF_ERROR(reader.Finish());
  // Bits that fill a last byte could have any value.
  if (Serialize(reconstruction) != bytes) reader.Fail("not what this program writes");
  MICO_RETURN_IF_ERROR(reader.status());
  return reconstruction;
}

}  // namespace mico
