#pragma once

#include <string>

namespace mico {

// An ONNX file of three layers with weights: 243 schemes on the fake target.
std::string SmallNetwork();
// The same with so many convolutions in front of the classifier.
std::string LongNetwork(int convolutions);
// Two layers with weights, 16 numbers out as in.
std::string SmallAutoencoder();
// An .npz for all of them: 8 samples to train, 40 val, 30 test, the classes in turn.
std::string SmallData(int classes = 3);
// The same samples as signals of four channels and four steps; each channel has its own std.
std::string SmallSignals();

}  // namespace mico
