#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "model/model_package.h"
#include "quant/shared_weights.h"

namespace mico {

// A layer's weights at one width, as Quantize makes them from the floats alone.
struct LayerIntegers {
  // Per output channel: least squared error (quant/weight_grid.h); 0 where all weights are zero.
  std::vector<double> scales;
  SharedWeights weights;                // [out][kernel_h][kernel_w][in / groups]
  std::vector<int64_t> magnitude_sums;  // per output channel: of |integer|
  std::vector<double> input_errors;     // [out][in / groups]: SumErrors
};
// Of one output channel, per input channel: the sum over the taps of scale * integer - float.
// `floats`: [in / groups][tap]; `integers`: [tap][in / groups].
std::vector<double> SumErrors(std::span<const float> floats, std::span<const int8_t> integers,
                              double scale, size_t taps);
LayerIntegers QuantizeLayer(const Graph& graph, const Weights& weights, int layer, int bits);

// What QuantizeLayer gives for the layers and widths of one network, each computed once: a search
// quantizes the same few thousands of times. Thread-safe.
class WeightCache {
 public:
  // `package` must outlive the cache.
  explicit WeightCache(const ModelPackage& package) : package_(package) {}

  const ModelPackage& package() const { return package_; }
  std::shared_ptr<const LayerIntegers> Get(int layer, int bits);

 private:
  const ModelPackage& package_;
  absl::Mutex mutex_;
  std::map<std::pair<int, int>, std::shared_ptr<const LayerIntegers>> layers_
      ABSL_GUARDED_BY(mutex_);  // by layer and bits
};

}  // namespace mico
