#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/torch/network_description.h"

// C++17, and no header of libtorch: what trains a whole quantized network, for those who decide on
// what and for how long (worker/torch/train.h).
namespace mico {

// A network in training, in real numbers. What its integers are: round(weight / scale), inside the
// grid of the layer; at 1 bit the sign.
struct LayerFloats {
  std::vector<float> weights;  // in the order of TrainableLayer::weights
  std::vector<double> scales;  // [out], positive
  std::vector<double> bias;    // [out]
};
struct NetworkFloats {
  std::vector<LayerFloats> layers;  // parallel to the description's
  std::vector<double> scales;       // parallel to the description's
};

struct TrainerOptions {
  int threads = 1;
  bool sgd = false;  // false: AdamW
  // Learning rates at pace 1: of weights in steps of their grid, of biases relative to about what
  // their layer writes, of scales in logarithms.
  double weight_rate = 1e-3, bias_rate = 3e-4, weight_scale_rate = 3e-4, tensor_scale_rate = 3e-4;
  // Softens the float network's answers before they are compared (Hinton et al. 2015); only where
  // the first output tells classes apart.
  double temperature = 2.0;
  // True: outputs are compared as probabilities; false: by their squared difference.
  bool first_output_is_classes = true;
};

// What an optimizer remembers, and all it needs to go on exactly. In an order of the trainer's own,
// which depends on the description alone.
struct TrainerMemory {
  int64_t steps = 0;
  std::vector<std::vector<float>> variables, first_moments, second_moments;
};

// Trains weights, biases and step sizes together. Rounding is passed straight through; the steps of
// tensors are learned as in LSQ (Esser et al. 2020, "Learned Step Size Quantization"), those of
// weights, one for each output channel, with the integers as they are; what is learned from are the
// float network's answers to the same samples (distillation). Not thread-safe; uses `threads`
// threads. Throws what libtorch throws (std::exception).
class NetworkTrainer {
 public:
  // The description, whose layers hold the float network, must outlive the trainer. `outputs`:
  // tensors, the one that is scored first. `start` is what training begins with.
  NetworkTrainer(const NetworkDescription& description, const std::vector<int>& outputs,
                 const NetworkFloats& start, const TrainerOptions& options);
  ~NetworkTrainer();

  // One step from `count` >= 1 samples: [count][height][width][channels], prepared. Rates
  // are multiplied with `pace`. Returns the loss before the step: not finite once training has
  // diverged.
  double Step(const float* samples, int64_t count, double pace);

  NetworkFloats Floats() const;
  TrainerMemory Save() const;
  // Goes on as the trainer that saved it would; of the same description and options. False: it is
  // of another network, and nothing has changed.
  bool Restore(const TrainerMemory& memory);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mico
