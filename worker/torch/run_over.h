#pragma once

#include <functional>
#include <span>
#include <vector>

#include "worker/torch/batch_tensor.h"
#include "worker/torch/parallel_batches.h"
#include "worker/torch/sample_reader.h"

namespace mico {

// Runs `network` over samples `indices` in batches; `use` gets every batch's outputs, from all
// threads at once.
template <typename Network>
absl::Status RunOver(const Crew& crew, const Network& network, const SampleReader& reader,
                     const Shape& shape, std::span<const int64_t> indices,
                     const std::function<absl::Status(Batch, const std::vector<BatchTensor>&)>& use,
                     const std::function<bool(double)>& keep_going) {
  const auto work = [&](Batch batch) {
    const BatchTensor input = BatchTensor::Empty(batch.count, shape);
    reader.Read(indices.subspan(batch.first, batch.count), input.data());
    return use(batch, network.Run(input));
  };
  return ForEachBatch(crew, static_cast<int64_t>(indices.size()), work, keep_going);
}

}  // namespace mico
