#include "worker/integers/read_integers.h"

#include <array>

#include "quant/interpreter.h"

namespace mico {
namespace {

// One channel of stored values to integers; for bytes it is a table.
class ChannelGrid {
 public:
  ChannelGrid(const Dataset& dataset, const QuantizedModel& model, int64_t channel)
      : dataset_(dataset), model_(model), channel_(channel) {
    if (!dataset.is_uint8) return;
    for (int stored = 0; stored < 256; ++stored) table_[stored] = Convert(stored);
  }

  uint8_t Of(uint8_t stored) const { return table_[stored]; }
  uint8_t Of(float stored) const { return Convert(stored); }

 private:
  // Signed integers as their bytes.
  uint8_t Convert(double stored) const {
    const double prepared = dataset_.preparation.Apply(stored, channel_);
    const TensorType type = model_.graph.tensors[model_.graph.input].type;
    return static_cast<uint8_t>(QuantizeInput(prepared, model_.input_scale(), type));
  }

  const Dataset& dataset_;
  const QuantizedModel& model_;
  const int64_t channel_;
  std::array<uint8_t, 256> table_{};
};

// Planes of channels to channels beside each other.
template <typename T>
void Interleave(const std::vector<T>& stored, std::span<const int64_t> indices,
                const ChannelGrid& grid, int64_t channel, const IntegerBatch& batch) {
  const int64_t channels = batch.shape.channels;
  const int64_t plane = batch.shape.height * batch.shape.width;
  uint8_t* out = batch.As<uint8_t>() + channel;
  for (const int64_t index : indices) {
    const T* from = stored.data() + (index * channels + channel) * plane;
    for (int64_t i = 0; i < plane; ++i) out[i * channels] = grid.Of(from[i]);
    out += plane * channels;
  }
}

}  // namespace

IntegerBatch ReadIntegers(const Dataset& dataset, Split split, std::span<const int64_t> indices,
                          const QuantizedModel& model) {
  const QuantizedTensor& input = model.graph.tensors[model.graph.input];
  IntegerBatch batch =
      IntegerBatch::Empty(static_cast<int64_t>(indices.size()), input.shape, input.type);
  const SplitData& data = dataset.split(split);
  for (int64_t channel = 0; channel < input.shape.channels; ++channel) {
    const ChannelGrid grid(dataset, model, channel);
    if (dataset.is_uint8) {
      Interleave(data.bytes, indices, grid, channel, batch);
    } else {
      Interleave(data.floats, indices, grid, channel, batch);
    }
  }
  return batch;
}

}  // namespace mico
