#pragma once

#include <string>

namespace mico {

// An ONNX file of three layers with weights: 243 schemes on the fake target.
std::string SmallNetwork();
// The same with so many convolutions in front of the classifier.
std::string LongNetwork(int convolutions);
// An .npz for both: 8 samples to train, 40 val, 30 test, three classes.
std::string SmallData();

}  // namespace mico
