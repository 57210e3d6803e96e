#include "model/onnx_constant_math.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

using Dims = std::vector<int64_t>;
using Result = absl::StatusOr<ConstantTensor>;

// Wraps around like the hardware does; signed overflow would be undefined. A divisor is not 0.
int64_t Whole(std::string_view type, int64_t a, int64_t b) {
  const uint64_t x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  if (type == "Add" || type == "ReduceSum") return static_cast<int64_t>(x + y);
  if (type == "Sub") return static_cast<int64_t>(x - y);
  if (type == "Mul" || type == "ReduceProd") return static_cast<int64_t>(x * y);
  if (type == "Max" || type == "ReduceMax") return std::max(a, b);
  if (type == "Min" || type == "ReduceMin") return std::min(a, b);
  if (b == -1) return type == "Mod" ? 0 : static_cast<int64_t>(0 - x);
  if (type == "Div") return a / b;
  // Mod: as Python's, the sign is the divisor's.
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

float Real(std::string_view type, float a, float b) {
  if (type == "Add" || type == "ReduceSum") return a + b;
  if (type == "Sub") return a - b;
  if (type == "Mul" || type == "ReduceProd") return a * b;
  if (type == "Max" || type == "ReduceMax") return std::max(a, b);
  if (type == "Min" || type == "ReduceMin") return std::min(a, b);
  if (type == "Div") return a / b;
  return std::fmod(a, b);
}

template <typename T>
bool Holds(std::string_view type, T a, T b) {
  if (type == "And") return a != 0 && b != 0;
  if (type == "Or") return a != 0 || b != 0;
  if (type == "Equal") return a == b;
  if (type == "Greater") return a > b;
  if (type == "GreaterOrEqual") return a >= b;
  if (type == "Less") return a < b;
  return a <= b;
}

struct Pair {
  ConstantTensor a, b;  // of equal dims
};

absl::StatusOr<Pair> BroadcastPair(const ConstantTensor& a, const ConstantPointer& b) {
  if (b == nullptr || a.is_float != b->is_float) {
    return Malformed("needs two inputs of one element type");
  }
  MICO_ASSIGN_OR_RETURN(const Dims dims, BroadcastDims(a.dims, b->dims));
  Pair pair;
  MICO_ASSIGN_OR_RETURN(pair.a, BroadcastTo(a, dims));
  MICO_ASSIGN_OR_RETURN(pair.b, BroadcastTo(*b, dims));
  return pair;
}

Result Combine(const std::string& type, const ConstantTensor& a, const ConstantPointer& b) {
  MICO_ASSIGN_OR_RETURN(Pair pair, BroadcastPair(a, b));
  ConstantTensor& result = pair.a;
  for (size_t i = 0; i < result.floats.size(); ++i) {
    result.floats[i] = Real(type, result.floats[i], pair.b.floats[i]);
  }
  const bool divides = type == "Div" || type == "Mod";
  for (size_t i = 0; i < result.integers.size(); ++i) {
    if (divides && pair.b.integers[i] == 0) return Malformed("divides by zero");
    result.integers[i] = Whole(type, result.integers[i], pair.b.integers[i]);
  }
  return std::move(pair.a);
}

// How many numbers start, start + delta, ... lie before limit.
absl::StatusOr<int64_t> CountRange(double start, double limit, double delta) {
  if (delta == 0 || !std::isfinite(start) || !std::isfinite(limit) || !std::isfinite(delta)) {
    return Malformed(fmt::format("counts from {} to {} in steps of {}", start, limit, delta));
  }
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  // Far beyond what CountResult allows, and still exact.
  return static_cast<int64_t>(std::min(count, 0x1p30));
}

// Which axes a reduction takes; without any, all of them.
absl::StatusOr<std::set<int64_t>> ReducedAxes(const OnnxNode& node, const Constants& inputs) {
  const size_t rank = inputs[0]->dims.size();
  const int64_t since = node.type() == "ReduceSum" ? 13 : 18;
  MICO_ASSIGN_OR_RETURN(const std::optional<Dims> given,
                        IntegersArgument(node, inputs, "axes", 1, since));
  std::set<int64_t> axes;
  for (const int64_t axis : given.value_or(Dims{})) {
    MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, rank));
    axes.insert(position);
  }
  if (!axes.empty() || node.Int("noop_with_empty_axes", 0) != 0) return axes;
  for (size_t i = 0; i < rank; ++i) axes.insert(static_cast<int64_t>(i));
  return axes;
}

}  // namespace

Result EvaluateArithmetic(const OnnxNode& node, const Constants& inputs) {
  const bool any_count = node.type() == "Max" || node.type() == "Min";
  if (!any_count && inputs.size() != 2) return Malformed("needs two inputs of one element type");
  ConstantTensor result = *inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    MICO_ASSIGN_OR_RETURN(result, Combine(node.type(), result, inputs[i]));
  }
  return result;
}

Result EvaluateComparison(const OnnxNode& node, const Constants& inputs) {
  if (inputs.size() != 2) return Malformed("needs two inputs of one element type");
  MICO_ASSIGN_OR_RETURN(const Pair pair, BroadcastPair(*inputs[0], inputs[1]));
  const std::string type = node.type();
  ConstantTensor result{.dims = pair.a.dims};
  for (int64_t i = 0; i < pair.a.size(); ++i) {
    result.integers.push_back(pair.a.is_float
                                  ? Holds(type, pair.a.floats[i], pair.b.floats[i])
                                  : Holds(type, pair.a.integers[i], pair.b.integers[i]));
  }
  return result;
}

Result EvaluateUnary(const OnnxNode& node, const Constants& inputs) {
  ConstantTensor result = *inputs[0];
  const std::string type = node.type();
  if (type == "Sqrt" && !result.is_float) return Malformed("takes the root of integers");
  for (float& value : result.floats) {
    if (type == "Abs") value = std::fabs(value);
    if (type == "Ceil") value = std::ceil(value);
    if (type == "Floor") value = std::floor(value);
    if (type == "Neg") value = -value;
    if (type == "Sqrt") value = std::sqrt(value);
  }
  if (type == "Not" && result.is_float) return Malformed("negates floats");
  for (int64_t& value : result.integers) {
    if (type == "Not") value = value == 0;
    if (type == "Neg" || (type == "Abs" && value < 0)) value = Whole("Sub", 0, value);
  }
  return result;
}

Result EvaluateWhere(const OnnxNode&, const Constants& inputs) {
  if (inputs.size() != 3 || inputs[0]->is_float || inputs[1] == nullptr) {
    return Malformed("needs a condition and two inputs of one element type");
  }
  MICO_ASSIGN_OR_RETURN(Pair pair, BroadcastPair(*inputs[1], inputs[2]));
  MICO_ASSIGN_OR_RETURN(const Dims dims, BroadcastDims(inputs[0]->dims, pair.a.dims));
  MICO_ASSIGN_OR_RETURN(const ConstantTensor condition, BroadcastTo(*inputs[0], dims));
  MICO_ASSIGN_OR_RETURN(ConstantTensor result, BroadcastTo(pair.a, dims));
  MICO_ASSIGN_OR_RETURN(const ConstantTensor otherwise, BroadcastTo(pair.b, dims));
  for (size_t i = 0; i < condition.integers.size(); ++i) {
    if (condition.integers[i] != 0) continue;
    if (result.is_float) result.floats[i] = otherwise.floats[i];
    if (!result.is_float) result.integers[i] = otherwise.integers[i];
  }
  return result;
}

Result EvaluateRange(const OnnxNode&, const Constants& inputs) {
  bool valid = inputs.size() == 3;
  for (size_t i = 0; valid && i < 3; ++i) {
    valid = inputs[i] != nullptr && inputs[i]->size() == 1 &&
            inputs[i]->is_float == inputs[0]->is_float;
  }
  if (!valid) return Malformed("needs start, limit and step, numbers of one element type");
  const auto number = [&](size_t i) {
    return inputs[i]->is_float ? static_cast<double>(inputs[i]->floats[0])
                               : static_cast<double>(inputs[i]->integers[0]);
  };
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountRange(number(0), number(1), number(2)));
  MICO_RETURN_IF_ERROR(CountResult({count}).status());
  ConstantTensor result{.dims = {count}, .is_float = inputs[0]->is_float};
  for (int64_t i = 0; i < count; ++i) {
    if (result.is_float) {
      result.floats.push_back(static_cast<float>(number(0) + static_cast<double>(i) * number(2)));
    } else {
      const int64_t offset = Whole("Mul", i, inputs[2]->integers[0]);
      result.integers.push_back(Whole("Add", inputs[0]->integers[0], offset));
    }
  }
  return result;
}

Result EvaluateReduction(const OnnxNode& node, const Constants& inputs) {
  const ConstantTensor& source = *inputs[0];
  MICO_ASSIGN_OR_RETURN(const std::set<int64_t> axes, ReducedAxes(node, inputs));
  if (source.size() == 0) return Unsupported("reduces a tensor without elements");
  Dims kept, shape;  // with and without extents of 1 where an axis goes
  for (size_t i = 0; i < source.dims.size(); ++i) {
    const bool goes = axes.contains(static_cast<int64_t>(i));
    kept.push_back(goes ? 1 : source.dims[i]);
    if (!goes || node.Int("keepdims", 1) != 0) shape.push_back(kept.back());
  }
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountElements(kept, "the result"));
  ConstantTensor result{.dims = shape, .is_float = source.is_float};
  result.floats.resize(source.is_float ? count : 0);
  result.integers.resize(source.is_float ? 0 : count);
  std::vector<bool> begun(count, false);
  const std::string type = node.type();
  Dims index(kept.size(), 0);
  for (int64_t i = 0; i < source.size(); ++i) {
    int64_t to = 0;
    for (size_t dim = 0; dim < kept.size(); ++dim) {
      to = to * kept[dim] + (kept[dim] == 1 ? 0 : index[dim]);
    }
    if (source.is_float) {
      const float value = source.floats[i];
      result.floats[to] = begun[to] ? Real(type, result.floats[to], value) : value;
    } else {
      const int64_t value = source.integers[i];
      result.integers[to] = begun[to] ? Whole(type, result.integers[to], value) : value;
    }
    begun[to] = true;
    for (size_t dim = kept.size(); dim > 0 && ++index[dim - 1] == source.dims[dim - 1]; --dim) {
      index[dim - 1] = 0;
    }
  }
  return result;
}

}  // namespace mico
