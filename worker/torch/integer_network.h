#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "quant/quantized_model.h"
#include "worker/torch/batch_tensor.h"
#include "worker/torch/convolution.h"
#include "worker/torch/integer_kernels.h"

namespace mico {

// A quantized model for batches: integers in float32. Gives exactly the integers of RunInteger.
// Thread-safe to run; the model must outlive it.
class IntegerNetwork {
 public:
  // Internal if an accumulator of the model could leave int32.
  static absl::StatusOr<IntegerNetwork> Prepare(const QuantizedModel& model);

  // Every output, parallel to graph.outputs. Throws what libtorch throws.
  std::vector<BatchTensor> Run(const BatchTensor& input) const;

  // Runs the steps from `first_step` on, with what `tensors` (one for each of the model's) holds of
  // earlier ones; afterwards those of `keep` are left in it. Gives every output.
  std::vector<BatchTensor> RunFrom(int first_step, std::vector<BatchTensor>& tensors,
                                   const std::vector<bool>& keep) const;

 private:
  // How a layer's sums of products stay exact.
  struct Layer {
    // Every partial sum is below 2^24: `low` alone. Or weights = high * 16 + low, and the partial
    // sums of each part are. Otherwise `wide`.
    std::optional<Convolution<float>> low, high;
    std::optional<Convolution<double>> wide;
    RequantizeTable requantize;
  };
  explicit IntegerNetwork(const QuantizedModel& model);
  absl::Status PrepareStep(int index);
  Layer MakeLayer(int index) const;
  BatchTensor RunStep(int index, const std::vector<BatchTensor>& tensors) const;
  BatchTensor RunConv(int index, const BatchTensor& input) const;
  const Shape& ShapeOf(int tensor) const { return model_->graph.tensors[tensor].shape; }

  const QuantizedModel* model_;
  std::vector<std::optional<Layer>> layers_;  // parallel to steps; kConv only
  std::vector<int> last_reader_;              // per tensor: the last step that reads it
};

}  // namespace mico
