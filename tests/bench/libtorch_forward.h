#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// libtorch's own forward pass of a TorchScript file, to compare with. C++17 like everything that
// sees libtorch's headers (worker/torch/convolution.h says why).
namespace mico {

class LibtorchForward {
 public:
  // Throws what libtorch throws.
  explicit LibtorchForward(const std::string& script_path);
  ~LibtorchForward();

  // Classes of `count` samples of 3x32x32 (NHWC floats), over `threads` threads, `batch` at a time.
  std::vector<int64_t> Classify(const std::vector<float>& samples, int64_t count, int threads,
                                int64_t batch) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mico
