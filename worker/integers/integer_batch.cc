#include "worker/integers/integer_batch.h"

#include <cstdlib>
#include <new>

namespace mico {
namespace {

constexpr size_t kAlignment = 64;

template <typename T>
std::vector<int32_t> Widened(const T* first, int64_t count) {
  return {first, first + count};
}

}  // namespace

int64_t IntegerBatch::BytesOf(TensorType type) {
  if (type.bits <= 8) return 1;
  return type.bits <= 16 ? 2 : 4;
}

IntegerBatch IntegerBatch::Empty(int64_t count, const Shape& shape, TensorType type) {
  const auto bytes = static_cast<size_t>(count * shape.elements() * BytesOf(type));
  const size_t rounded = (bytes + kReadableBehind + kAlignment - 1) / kAlignment * kAlignment;
  auto* memory = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
  if (memory == nullptr) throw std::bad_alloc();
  return {count, shape, type,
          std::shared_ptr<uint8_t>(memory, [](uint8_t* values) { std::free(values); })};
}

std::vector<int32_t> ToIntegers(const IntegerBatch& batch, int64_t sample) {
  const int64_t count = batch.shape.elements(), first = sample * count;
  switch (IntegerBatch::BytesOf(batch.type)) {
    case 1:
      return batch.type.is_signed ? Widened(batch.As<int8_t>() + first, count)
                                  : Widened(batch.As<uint8_t>() + first, count);
    case 2:
      return Widened(batch.As<int16_t>() + first, count);
    default:
      return Widened(batch.As<int32_t>() + first, count);
  }
}

}  // namespace mico
