#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "data/dataset.h"
#include "quant/interpreter.h"
#include "quant/quantized_model.h"

namespace mico {

// Compares `logits`, what the evaluation gave for one sample, with the oracle's. Internal names the
// sample, the first element that differs and, where the same evaluation of this model alone differs
// as well, the first layer whose output does.
absl::Status CompareWithOracle(const QuantizedModel& model, const Dataset& dataset, Split split,
                               int64_t sample, std::span<const int32_t> logits);

// `count` of `samples` numbers below it, drawn by a model's digest: other schemes check others.
std::vector<int64_t> SamplesToVerify(const Digest& model, int64_t samples, int64_t count);

}  // namespace mico
