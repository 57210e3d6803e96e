#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/graph.h"
#include "quant/quantized_graph.h"

namespace mico {

// Integers of some samples, [count][height][width][channels]: a byte each for up to 8 bits (int8_t
// or uint8_t, as the type says), int16_t for 16, int32_t for 32 (sums of products, which no
// TensorType of a network has). Copies share the values. kReadableBehind bytes behind the last are
// readable, so that loops may read whole words.
struct IntegerBatch {
  static constexpr int64_t kReadableBehind = 64;

  int64_t count = 0;
  Shape shape;
  TensorType type;
  std::shared_ptr<uint8_t> values;

  // Not initialised. Throws std::bad_alloc.
  static IntegerBatch Empty(int64_t count, const Shape& shape, TensorType type);
  // 1, 2 or 4.
  static int64_t BytesOf(TensorType type);

  int64_t elements() const { return count * shape.elements(); }
  int64_t positions() const { return count * shape.height * shape.width; }
  template <typename T>
  T* As() const {
    return reinterpret_cast<T*>(values.get());
  }
};

// One sample's elements.
std::vector<int32_t> ToIntegers(const IntegerBatch& batch, int64_t sample);

// The type of sums of products.
constexpr TensorType kSums{32, true};

}  // namespace mico
