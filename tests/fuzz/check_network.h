#pragma once

#include "model/model_package.h"
#include "quant/quantized_model.h"

namespace mico::fuzz {

// What holds for every package, and, for small ones, what follows from it: calibration on made-up
// statistics, quantization at several widths, both byte formats, the plan of a program.
void CheckPackage(const ModelPackage& package);

// What holds for every quantized model; small ones run in the oracle and become C.
void CheckQuantizedModel(const QuantizedModel& model);

}  // namespace mico::fuzz
