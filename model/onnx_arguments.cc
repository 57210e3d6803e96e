#include "model/onnx_arguments.h"

#include <algorithm>
#include <limits>
#include <set>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

using Integers = std::vector<int64_t>;

// The constant at `input`; null if it is left out.
absl::StatusOr<ConstantPointer> ConstantInput(const OnnxNode& node, const Constants& constants,
                                              std::string_view name, int input) {
  if (!node.has_input(input)) return ConstantPointer();
  if (constants[input] == nullptr) {
    return Unsupported(
        fmt::format("its input '{}' is computed; only a constant is supported", name));
  }
  return constants[input];
}

absl::StatusOr<AxisSlice> MakeSlice(int64_t extent, int64_t start, int64_t end, int64_t step) {
  if (step == 0 || step == std::numeric_limits<int64_t>::min()) {
    return Malformed(fmt::format("slices with step {}", step));
  }
  // As numpy: negative positions count from the end, then everything is clamped to the tensor.
  const auto clamped = [&](int64_t position, int64_t low, int64_t high) {
    if (position < 0) position += extent;
    return std::clamp(position, low, high);
  };
  AxisSlice slice{.step = step};
  if (extent == 0) return slice;
  int64_t distance = 0;
  if (step > 0) {
    slice.start = clamped(start, 0, extent);
    distance = clamped(end, 0, extent) - slice.start;
  } else {
    slice.start = clamped(start, 0, extent - 1);
    distance = slice.start - clamped(end, -1, extent - 1);
  }
  const int64_t stride = step > 0 ? step : -step;
  slice.count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  return slice;
}

absl::StatusOr<std::set<int64_t>> ReadAxes(const OnnxNode& node, const Constants& constants,
                                           size_t rank) {
  MICO_ASSIGN_OR_RETURN(const std::optional<Integers> axes,
                        IntegersArgument(node, constants, "axes", 1, 13));
  std::set<int64_t> normal;
  for (const int64_t axis : axes.value_or(Integers{})) {
    MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, rank));
    if (!normal.insert(position).second) return Malformed(fmt::format("axis {} twice", axis));
  }
  return normal;
}

absl::StatusOr<Integers> ReshapeDims(const OnnxNode& node, const Constants& constants,
                                     const Integers& dims, int64_t batch) {
  MICO_ASSIGN_OR_RETURN(std::optional<Integers> target,
                        IntegersArgument(node, constants, "shape", 1, 5));
  if (!target.has_value()) return Malformed("has no shape to reshape to");
  MICO_RETURN_IF_ERROR(CheckRank(target->size(), "its shape"));
  MICO_ASSIGN_OR_RETURN(const int64_t elements, CountElements(dims, "the input"));
  // The batch is the slowest axis: what is first split off by its size is the batch.
  if (batch > 1 && !target->empty() && target->front() == batch) target->front() = 1;
  int64_t known = 1;
  int unknown = -1;
  for (size_t i = 0; i < target->size(); ++i) {
    int64_t& extent = (*target)[i];
    if (extent == 0 && node.Int("allowzero", 0) == 0) {
      if (i >= dims.size()) return Malformed("copies an extent that the input does not have");
      extent = dims[i];
    }
    if (extent == -1 && unknown >= 0) return Malformed("reshapes with two unknown extents");
    if (extent == -1) {
      unknown = static_cast<int>(i);
    } else if (extent < 0 || extent > elements || known > elements) {
      return Malformed(fmt::format("reshapes {} to {}", DimsToString(dims), DimsToString(*target)));
    } else {
      known *= extent;
    }
  }
  if (unknown >= 0) {
    if (known == 0 || elements % known != 0) {
      return Malformed(fmt::format("reshapes {} to {}", DimsToString(dims), DimsToString(*target)));
    }
    (*target)[unknown] = elements / known;
  }
  return *std::move(target);
}

absl::StatusOr<Integers> FlattenDims(const OnnxNode& node, const Integers& dims) {
  const int64_t rank = static_cast<int64_t>(dims.size());
  int64_t axis = node.Int("axis", 1);
  if (axis < -rank || axis > rank) return Malformed(fmt::format("flattens at axis {}", axis));
  if (axis < 0) axis += rank;
  Integers target = {1, 1};
  for (int64_t i = 0; i < rank; ++i) target[i < axis ? 0 : 1] *= dims[i];
  return target;
}

absl::StatusOr<Integers> SqueezeDims(const OnnxNode& node, const Constants& constants,
                                     const Integers& dims) {
  MICO_ASSIGN_OR_RETURN(const std::set<int64_t> axes, ReadAxes(node, constants, dims.size()));
  Integers target;
  for (size_t i = 0; i < dims.size(); ++i) {
    // Without axes every extent of 1 goes, but not the first: a batch of 1 stands for any batch.
    const bool goes = axes.empty() ? dims[i] == 1 && i > 0 : axes.contains(static_cast<int64_t>(i));
    if (goes && dims[i] != 1) return Malformed(fmt::format("squeezes an extent of {}", dims[i]));
    if (!goes) target.push_back(dims[i]);
  }
  return target;
}

absl::StatusOr<Integers> UnsqueezeDims(const OnnxNode& node, const Constants& constants,
                                       const Integers& dims) {
  MICO_ASSIGN_OR_RETURN(const std::optional<Integers> given,
                        IntegersArgument(node, constants, "axes", 1, 13));
  const size_t rank = dims.size() + given.value_or(Integers{}).size();
  if (rank > kMostDims) return Malformed(fmt::format("unsqueezes to {} dimensions", rank));
  MICO_ASSIGN_OR_RETURN(const std::set<int64_t> axes, ReadAxes(node, constants, rank));
  Integers target;
  auto next = dims.begin();
  for (size_t i = 0; i < rank; ++i) {
    target.push_back(axes.contains(static_cast<int64_t>(i)) ? 1 : *next++);
  }
  return target;
}

}  // namespace

absl::StatusOr<std::optional<Integers>> IntegersArgument(const OnnxNode& node,
                                                         const Constants& constants,
                                                         std::string_view name, int input,
                                                         int64_t since) {
  if (node.opset() < since) {
    if (!node.Has(name)) return std::optional<Integers>();
    return std::optional<Integers>(node.Ints(name, {}));
  }
  MICO_ASSIGN_OR_RETURN(const ConstantPointer constant,
                        ConstantInput(node, constants, name, input));
  if (constant == nullptr) return std::optional<Integers>();
  if (constant->is_float) return Malformed(fmt::format("its '{}' are not integers", name));
  return std::optional<Integers>(constant->integers);
}

absl::StatusOr<std::optional<float>> FloatArgument(const OnnxNode& node, const Constants& constants,
                                                   std::string_view name, int input,
                                                   int64_t since) {
  if (node.opset() < since) {
    if (!node.Has(name)) return std::optional<float>();
    return std::optional<float>(node.Float(name, 0));
  }
  MICO_ASSIGN_OR_RETURN(const ConstantPointer constant,
                        ConstantInput(node, constants, name, input));
  if (constant == nullptr) return std::optional<float>();
  if (!constant->is_float || constant->size() != 1) {
    return Malformed(fmt::format("its '{}' is not one float", name));
  }
  return std::optional<float>(constant->floats[0]);
}

absl::StatusOr<std::vector<AxisSlice>> ReadSlices(const OnnxNode& node, const Constants& constants,
                                                  const Integers& dims) {
  MICO_ASSIGN_OR_RETURN(const auto starts, IntegersArgument(node, constants, "starts", 1, 10));
  MICO_ASSIGN_OR_RETURN(const auto ends, IntegersArgument(node, constants, "ends", 2, 10));
  MICO_ASSIGN_OR_RETURN(const auto axes, IntegersArgument(node, constants, "axes", 3, 10));
  MICO_ASSIGN_OR_RETURN(const auto steps, IntegersArgument(node, constants, "steps", 4, 10));
  if (!starts.has_value() || !ends.has_value() || starts->size() != ends->size() ||
      (axes.has_value() && axes->size() != starts->size()) ||
      (steps.has_value() && steps->size() != starts->size())) {
    return Malformed("its starts, ends, axes and steps do not match");
  }
  std::vector<AxisSlice> slices;
  for (const int64_t extent : dims) slices.push_back({.count = extent});
  std::set<int64_t> seen;
  for (size_t i = 0; i < starts->size(); ++i) {
    MICO_ASSIGN_OR_RETURN(
        const int64_t axis,
        NormaliseAxis(axes.has_value() ? (*axes)[i] : static_cast<int64_t>(i), dims.size()));
    if (!seen.insert(axis).second) return Malformed(fmt::format("slices axis {} twice", axis));
    const int64_t step = steps.has_value() ? (*steps)[i] : 1;
    MICO_ASSIGN_OR_RETURN(slices[axis], MakeSlice(dims[axis], (*starts)[i], (*ends)[i], step));
  }
  return slices;
}

absl::StatusOr<Integers> ReadTargetDims(const OnnxNode& node, const Constants& constants,
                                        const Integers& dims, int64_t batch) {
  if (node.type() == "Flatten") return FlattenDims(node, dims);
  if (node.type() == "Squeeze") return SqueezeDims(node, constants, dims);
  if (node.type() == "Unsqueeze") return UnsqueezeDims(node, constants, dims);
  return ReshapeDims(node, constants, dims, batch);
}

Integers ReadPermutation(const OnnxNode& node, size_t rank) {
  Integers reversed;
  for (size_t i = rank; i > 0; --i) reversed.push_back(static_cast<int64_t>(i) - 1);
  return node.Ints("perm", std::move(reversed));
}

}  // namespace mico
