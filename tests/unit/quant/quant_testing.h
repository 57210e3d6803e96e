#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "model/model_package.h"
#include "quant/calibration.h"
#include "quant/interpreter.h"
#include "quant/quantized_model.h"

// What the tests of this room share: networks from text or by chance, a float forward pass to
// calibrate them on, and a second integer interpreter that shares no code with the first.
namespace mico::testing {

Graph ParseNetwork(std::string_view text);
BitScheme ParseScheme(std::string_view text);
ModelPackage RandomWeights(std::string_view network, uint64_t seed);

// A network of a few nodes as text: every operator, odd sizes, groups, padding, both activations.
std::string RandomNetwork(Random& random);
// Widths by chance, each possible for its layer.
BitScheme RandomScheme(const Graph& graph, bool input_non_negative, Random& random);

// A sample (channels x height x width), normal or, if it must not be negative, its magnitude.
std::vector<float> RandomSample(const Graph& graph, bool non_negative, Random& random);
// An input tensor's integers by chance, its extremes included.
IntegerTensor RandomInput(const QuantizedModel& model, Random& random);

// The float network in double: every value, NCHW.
std::vector<std::vector<double>> RunFloat(const ModelPackage& package,
                                          const std::vector<float>& sample);
// What calibration sees of `samples`.
std::vector<TensorStatistics> Observe(const ModelPackage& package,
                                      const std::vector<std::vector<float>>& samples);
Calibration Calibrate(const ModelPackage& package, bool input_non_negative, uint64_t seed);
QuantizedModel MustQuantize(const ModelPackage& package, bool input_non_negative,
                            const BitScheme& scheme, uint64_t seed = 1);

// numerics.md again, from its sentences: NCHW, scattering instead of gathering, 128-bit products.
std::vector<IntegerTensor> RunReference(const QuantizedModel& model, const IntegerTensor& input);

// The bytes of the example in docs/formats/`page`: all its lines of hexadecimal pairs.
std::string DocumentedExample(std::string_view page);

}  // namespace mico::testing
