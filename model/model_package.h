#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "model/graph.h"

namespace mico {

// One quantized layer's floats.
struct LayerWeights {
  std::vector<float> weights;  // [out][in / groups][kernel_h][kernel_w]
  std::vector<float> bias;     // [out]
};

// Parallel to Graph::QuantizedLayers().
struct Weights {
  std::vector<LayerWeights> layers;
};

// A float network, normalised and checked: what a job is about. Immutable once built.
struct ModelPackage {
  Graph graph;
  Weights weights;
  Digest digest;  // of the serialized form
};

// Builds a package: validates the graph and the sizes of the weights, refuses weights that are not
// finite, computes the digest.
absl::StatusOr<ModelPackage> MakeModelPackage(Graph graph, Weights weights);

// docs/formats/model-package.md. Parse accepts only what Serialize writes and validates it.
std::string Serialize(const ModelPackage& package);
absl::StatusOr<ModelPackage> ParseModelPackage(std::string_view bytes);

}  // namespace mico
