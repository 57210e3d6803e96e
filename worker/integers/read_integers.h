#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.h"
#include "quant/quantized_model.h"
#include "worker/integers/integer_batch.h"

namespace mico {

// Samples `indices` of a split as the integers of a model's input: those that QuantizeInput
// (quant/interpreter.h) gives. The data set is readable as the input (data/dataset.h:
// CheckReadableAs).
IntegerBatch ReadIntegers(const Dataset& dataset, Split split, std::span<const int64_t> indices,
                          const QuantizedModel& model);

}  // namespace mico
