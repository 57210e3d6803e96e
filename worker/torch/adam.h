#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

// Adam (Kingma & Ba 2015) over groups of variables with rates of their own. C++17, libtorch's
// types: only for the files that train.
namespace mico {

class Adam {
 public:
  // `variable` is changed in place; `rate` is multiplied with Step's.
  void Add(const at::Tensor& variable, double rate);
  size_t size() const { return entries_.size(); }
  // Both parallel to the variables; an undefined gradient leaves its variable alone.
  void Step(const std::vector<at::Tensor>& gradients, const std::vector<double>& rates);

 private:
  struct Entry {
    at::Tensor variable, mean, square;
    double rate;
    int64_t steps;
  };
  std::vector<Entry> entries_;
};

}  // namespace mico
