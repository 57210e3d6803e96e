#include "worker/torch/reconstruct.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "worker/torch/describe_network.h"
#include "worker/torch/sample_reader.h"

namespace mico {
namespace {

// Of one sample: what a block reads, in the float and in the quantized network, and what it writes
// in both.
int64_t BytesOfSample(const NetworkDescription& network, const std::vector<TrainedBlock>& blocks) {
  const auto elements = [&](int tensor) {
    const TrainableTensor& shape = network.tensors[tensor];
    return shape.channels * shape.height * shape.width;
  };
  int64_t most = 0;
  for (const TrainedBlock& block : blocks) {
    int64_t sum = elements(block.input);
    for (const int output : block.outputs) sum += elements(output);
    most = std::max(most, 2 * sum * static_cast<int64_t>(sizeof(float)));
  }
  return most;
}

Reconstruction Collect(const DescribedNetwork& network, const TrainedNetwork& trained,
                       const BitScheme& scheme, const LayerBits& bits) {
  Reconstruction reconstruction;
  for (size_t layer = 0; layer < trained.layers.size(); ++layer) {
    const TrainedLayer& from = trained.layers[layer];
    reconstruction.layers.push_back(
        {static_cast<int>(layer), scheme[layer], from.integers, from.scales, from.bias});
  }
  for (size_t i = 0; i < trained.scales.size(); ++i) {
    const ScaleOrigin& origin = network.origins[i];
    if (!network.description.scales[i].is_learned || origin.bits != bits.input_bits) continue;
    reconstruction.scales.push_back({origin.group, origin.bits, trained.scales[i]});
  }
  std::sort(reconstruction.scales.begin(), reconstruction.scales.end(),
            [](const auto& a, const auto& b) { return a.group < b.group; });
  return reconstruction;
}

}  // namespace

absl::StatusOr<ReconstructionOutcome> Reconstruct(const ModelPackage& package,
                                                  const Calibration& calibration,
                                                  const Dataset& dataset,
                                                  std::span<const int64_t> indices,
                                                  const ReconstructionWish& wish,
                                                  const std::function<bool(double)>& keep_going) {
  const Graph& graph = package.graph;
  const Shape& input = graph.values[graph.input].shape;
  MICO_RETURN_IF_ERROR(CheckReadableAs(dataset, input));
  if (indices.empty()) return absl::InvalidArgumentError("no sample to reconstruct with");
  const BitScheme scheme =
      BitScheme::Uniform(wish.bits.weight_bits, wish.bits.input_bits, InputLayers(graph));
  MICO_ASSIGN_OR_RETURN(const QuantizedModel model, Quantize(package, calibration, scheme));
  const DescribedNetwork network = DescribeNetwork(package, model, calibration.input_non_negative);
  const std::vector<TrainedBlock> blocks = FindBlocks(model.graph);
  const int64_t most = wish.memory_bytes / BytesOfSample(network.description, blocks);
  const int64_t count =
      std::min(static_cast<int64_t>(indices.size()), std::max(most, wish.options.batch));
  std::vector<float> samples(count * input.elements());
  SampleReader(dataset, Split::kTrain, input).Read(indices.subspan(0, count), samples.data());
  try {
    const TrainedNetwork trained = ReconstructBlocks(network.description, blocks, samples.data(),
                                                     count, wish.options, keep_going);
    if (!trained.finished) return absl::CancelledError("the result is no longer wanted");
    return ReconstructionOutcome{Collect(network, trained, scheme, wish.bits),
                                 trained.errors_before, trained.errors_after};
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("libtorch: {}", error.what()));
  }
}

}  // namespace mico
