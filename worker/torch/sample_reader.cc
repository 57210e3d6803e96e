#include "worker/torch/sample_reader.h"

namespace mico {

SampleReader::SampleReader(const Dataset& dataset, Split split, const Shape& input)
    : dataset_(dataset), data_(dataset.split(split)), shape_(input) {
  if (!dataset.is_uint8) return;
  for (int64_t channel = 0; channel < shape_.channels; ++channel) {
    for (int stored = 0; stored < 256; ++stored) table_.push_back(Convert(stored, channel));
  }
}

float SampleReader::Convert(double stored, int64_t channel) const {
  return static_cast<float>(dataset_.preparation.Apply(stored, channel));
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
