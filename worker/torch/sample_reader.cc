#include "worker/torch/sample_reader.h"

#include "quant/interpreter.h"

namespace mico {

SampleReader::SampleReader(const Dataset& dataset, Split split, const Shape& input)
    : SampleReader(dataset, split, input, std::nullopt) {}

SampleReader::SampleReader(const Dataset& dataset, Split split, const Shape& input, double scale,
                           TensorType type)
    : SampleReader(dataset, split, input, Grid{scale, type}) {}

SampleReader::SampleReader(const Dataset& dataset, Split split, const Shape& input,
                           std::optional<Grid> grid)
    : dataset_(dataset), data_(dataset.split(split)), shape_(input), grid_(grid) {
  if (!dataset.is_uint8) return;
  for (int64_t channel = 0; channel < shape_.channels; ++channel) {
    for (int stored = 0; stored < 256; ++stored) table_.push_back(Convert(stored, channel));
  }
}

float SampleReader::Convert(double stored, int64_t channel) const {
  const double prepared = dataset_.preparation.Apply(stored, channel);
  if (!grid_.has_value()) return static_cast<float>(prepared);
  return static_cast<float>(QuantizeInput(prepared, grid_->scale, grid_->type));
}

void SampleReader::Read(std::span<const int64_t> indices, float* out) const {
  const int64_t channels = shape_.channels;
  const int64_t plane = shape_.height * shape_.width;
  for (const int64_t index : indices) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      const int64_t begin = (index * channels + channel) * plane;
      for (int64_t i = 0; i < plane; ++i) {
        out[i * channels + channel] = dataset_.is_uint8
                                          ? table_[channel * 256 + data_.bytes[begin + i]]
                                          : Convert(data_.floats[begin + i], channel);
      }
    }
    out += channels * plane;
  }
}

}  // namespace mico
