#include "quant/weight_cache.h"

#include <cstdlib>
#include <span>

#include "quant/weight_grid.h"

namespace mico {

std::vector<double> SumErrors(std::span<const float> floats, std::span<const int8_t> integers,
                              double scale, size_t taps) {
  const size_t in_channels = floats.size() / taps;
  std::vector<double> errors(in_channels, 0.0);
  for (size_t in = 0; in < in_channels; ++in) {
    for (size_t tap = 0; tap < taps; ++tap) {
      errors[in] +=
          scale * integers[tap * in_channels + in] - static_cast<double>(floats[in * taps + tap]);
    }
  }
  return errors;
}

LayerIntegers QuantizeLayer(const Graph& graph, const Weights& weights, int layer, int bits) {
  const ConvAttributes& conv = graph.nodes[graph.QuantizedLayers()[layer]].conv();
  const std::vector<float>& floats = weights.layers[layer].weights;
  const size_t per_channel = floats.size() / conv.out_channels;
  const size_t kernel = conv.kernel_height * conv.kernel_width;
  const size_t in_channels = per_channel / kernel;
  LayerIntegers integers;
  std::vector<int8_t> all;
  all.reserve(floats.size());
  for (int64_t out = 0; out < conv.out_channels; ++out) {
    const auto channel = std::span(floats).subspan(out * per_channel, per_channel);
    const double scale = ChooseWeightScale(channel, bits);
    int64_t sum = 0;
    // From the floats' order [in / groups][kernel] to the integers' [kernel][in / groups].
    for (size_t tap = 0; tap < kernel; ++tap) {
      for (size_t in = 0; in < in_channels; ++in) {
        const int8_t integer =
            scale > 0 ? QuantizeWeight(channel[in * kernel + tap], scale, bits) : int8_t{0};
        all.push_back(integer);
        sum += std::abs(integer);
      }
    }
    integers.scales.push_back(scale);
    integers.magnitude_sums.push_back(sum);
    const std::vector<double> errors =
        SumErrors(channel, std::span(all).last(per_channel), scale, kernel);
    integers.input_errors.insert(integers.input_errors.end(), errors.begin(), errors.end());
  }
  integers.weights = std::move(all);
  return integers;
}

std::shared_ptr<const LayerIntegers> WeightCache::Get(int layer, int bits) {
  const std::pair<int, int> key(layer, bits);
  {
    absl::MutexLock lock(&mutex_);
    const auto found = layers_.find(key);
    if (found != layers_.end()) return found->second;
  }
  // Outside the mutex: two threads may do it at once, with the same result.
  auto integers = std::make_shared<const LayerIntegers>(
      QuantizeLayer(package_.graph, package_.weights, layer, bits));
  absl::MutexLock lock(&mutex_);
  return layers_.emplace(key, std::move(integers)).first->second;
}

}  // namespace mico
