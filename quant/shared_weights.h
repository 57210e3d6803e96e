#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace mico {

// The integers of a layer's weights. Immutable; copies share them, so that thousands of models of
// one network hold each layer at each width once.
class SharedWeights {
 public:
  using value_type = int8_t;
  using const_iterator = const int8_t*;

  SharedWeights() : SharedWeights(std::vector<int8_t>()) {}
  SharedWeights(std::vector<int8_t> values)
      : values_(std::make_shared<const std::vector<int8_t>>(std::move(values))) {}
  SharedWeights(std::initializer_list<int8_t> values)
      : SharedWeights(std::vector<int8_t>(values)) {}

  size_t size() const { return values_->size(); }
  bool empty() const { return values_->empty(); }
  const int8_t* data() const { return values_->data(); }
  const int8_t* begin() const { return data(); }
  const int8_t* end() const { return data() + size(); }
  int8_t operator[](size_t i) const { return (*values_)[i]; }
  operator std::span<const int8_t>() const { return *values_; }

  friend bool operator==(const SharedWeights& a, const SharedWeights& b) {
    return a.values_ == b.values_ || *a.values_ == *b.values_;
  }

 private:
  std::shared_ptr<const std::vector<int8_t>> values_;
};

}  // namespace mico
