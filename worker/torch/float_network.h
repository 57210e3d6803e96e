#pragma once

#include <functional>
#include <vector>

#include "model/model_package.h"
#include "worker/torch/batch_tensor.h"
#include "worker/torch/convolution.h"

namespace mico {

// The float network of a package, for batches. Thread-safe to run; the package must outlive it.
class FloatNetwork {
 public:
  explicit FloatNetwork(const ModelPackage& package);

  // Called with every value of the graph, the input first, as soon as it is known.
  using Visit = std::function<void(int value, const BatchTensor& tensor)>;

  // Every output, parallel to graph.outputs. Throws what libtorch throws.
  std::vector<BatchTensor> Run(const BatchTensor& input, const Visit& visit = nullptr) const;

 private:
  BatchTensor RunNode(const Node& node, int layer, const std::vector<BatchTensor>& values) const;

  const ModelPackage& package_;
  std::vector<Convolution> layers_;
  std::vector<int> last_reader_;  // per value: the last node that reads it
};

}  // namespace mico
