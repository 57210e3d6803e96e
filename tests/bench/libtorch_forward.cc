#include "tests/bench/libtorch_forward.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/script.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace mico {
namespace {

constexpr int64_t kChannels = 3, kSide = 32;

}  // namespace

struct LibtorchForward::State {
  torch::jit::Module module;
};

LibtorchForward::LibtorchForward(const std::string& script_path)
    : state_(std::make_unique<State>()) {
  torch::jit::Module module = torch::jit::load(script_path);
  module.eval();
  state_->module = torch::jit::freeze(module);
}

LibtorchForward::~LibtorchForward() = default;

std::vector<int64_t> LibtorchForward::Classify(const std::vector<float>& samples, int64_t count,
                                               int threads, int64_t batch) const {
  std::vector<int64_t> classes(count);
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    at::set_num_threads(1);
    const c10::InferenceMode inference;
    torch::jit::Module module = state_->module;
    for (int64_t first = next.fetch_add(batch); first < count; first = next.fetch_add(batch)) {
      const int64_t size = std::min(batch, count - first);
      const auto begin = samples.data() + first * kChannels * kSide * kSide;
      const at::Tensor input =
          at::from_blob(const_cast<float*>(begin), {size, kChannels, kSide, kSide},
                        {kSide * kSide * kChannels, 1, kSide * kChannels, kChannels});
      const at::Tensor found = module.forward({input}).toTensor().argmax(1);
      std::copy_n(found.data_ptr<int64_t>(), size, classes.begin() + first);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  return classes;
}

}  // namespace mico
