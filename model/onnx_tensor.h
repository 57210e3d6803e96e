#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mico::onnx_wire {
class TensorProto;
}

namespace mico {

// A tensor whose values are known at import: weights, and the integers of shape arithmetic.
struct ConstantTensor {
  std::vector<int64_t> dims;  // empty: a scalar
  bool is_float = false;
  // The one that is_float names; as many as the product of dims.
  std::vector<float> floats;
  std::vector<int64_t> integers;

  int64_t size() const { return static_cast<int64_t>(is_float ? floats.size() : integers.size()); }
};

using ConstantPointer = std::shared_ptr<const ConstantTensor>;

// No network needs more. A few bytes of a file can ask for any number of dimensions of extent 1,
// which cost memory in every tensor and time in every step through one.
constexpr size_t kMostDims = 16;

// InvalidArgument for more than kMostDims; `what` names the tensor.
absl::Status CheckRank(size_t rank, std::string_view what);

// The number of elements of `dims`. InvalidArgument if there are too many dimensions, an extent is
// negative or the product reaches 2^31; `what` names the tensor.
absl::StatusOr<int64_t> CountElements(const std::vector<int64_t>& dims, std::string_view what);

// "1x16x4x4"; "scalar" without dims.
std::string DimsToString(const std::vector<int64_t>& dims);

// Float and double become float; int32, int64 and bool become int64. InvalidArgument: the bytes do
// not match the shape, or they lie outside the file. Unimplemented: another element type.
absl::StatusOr<ConstantTensor> DecodeTensor(const onnx_wire::TensorProto& proto);

// `name` with everything but letters, digits and _./:- replaced, and not longer than 200: what a
// stranger's file calls a thing, fit for a terminal and a comment.
std::string PlainName(std::string_view name);

}  // namespace mico
