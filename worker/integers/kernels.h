#pragma once

#include <span>

#include "model/graph.h"
#include "quant/quantized_model.h"
#include "worker/integers/integer_batch.h"

namespace mico {

// The steps of a quantized model that are not convolutions, on batches. Inputs are stored in bytes;
// `type` is that of the output.

IntegerBatch AddIntegers(const IntegerBatch& a, const IntegerBatch& b, const StepNumbers& numbers,
                         TensorType type);
IntegerBatch AveragePoolIntegers(const IntegerBatch& input, const PoolAttributes& pool,
                                 const StepNumbers& numbers, const Shape& out_shape,
                                 TensorType type);
IntegerBatch MaxPoolIntegers(const IntegerBatch& input, const PoolAttributes& pool,
                             const Shape& out_shape);
IntegerBatch ClampIntegers(const IntegerBatch& input, const StepNumbers& numbers, TensorType type);
// One set of numbers for all channels.
IntegerBatch RequantizeIntegers(const IntegerBatch& input, const StepNumbers& numbers,
                                TensorType type);

// These move bytes.
IntegerBatch ConcatIntegers(std::span<const IntegerBatch> inputs, const Shape& out_shape);
IntegerBatch SliceIntegers(const IntegerBatch& input, const SliceAttributes& slice,
                           const Shape& out_shape);
IntegerBatch PadIntegers(const IntegerBatch& input, const PadAttributes& pad,
                         const Shape& out_shape);

}  // namespace mico
