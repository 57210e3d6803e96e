#include "model/onnx_constants.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_constant_math.h"

namespace mico {
namespace {

using Dims = std::vector<int64_t>;
using Result = absl::StatusOr<ConstantTensor>;

// Enough for the weights of any microcontroller; keeps a small file from asking for much memory.
constexpr int64_t kMostElements = int64_t{1} << 24;

// The distance between neighbours along each dimension of a dense tensor.
Dims DenseStrides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i > 1; --i) strides[i - 2] = strides[i - 1] * dims[i - 1];
  return strides;
}

// A strided walk over `source`: element (i0, i1, ...) of the result is number
// offset + i0 * strides[0] + i1 * strides[1] + ... of the source.
struct Walk {
  Dims dims;
  Dims strides;
  int64_t offset = 0;
};

template <typename T>
std::vector<T> Pick(const std::vector<T>& source, const Walk& walk, int64_t count) {
  std::vector<T> result;
  result.reserve(count);
  Dims index(walk.dims.size(), 0);
  int64_t position = walk.offset;
  for (int64_t i = 0; i < count; ++i) {
    result.push_back(source[position]);
    for (size_t dim = index.size(); dim > 0; --dim) {
      position += walk.strides[dim - 1];
      if (++index[dim - 1] < walk.dims[dim - 1]) break;
      position -= walk.strides[dim - 1] * walk.dims[dim - 1];
      index[dim - 1] = 0;
    }
  }
  return result;
}

Result Pick(const ConstantTensor& source, const Walk& walk) {
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountResult(walk.dims));
  ConstantTensor result{.dims = walk.dims, .is_float = source.is_float};
  if (source.is_float) {
    result.floats = Pick(source.floats, walk, count);
  } else {
    result.integers = Pick(source.integers, walk, count);
  }
  return result;
}

Result EvaluateTranspose(const OnnxNode& node, const Constants& inputs) {
  const ConstantTensor& source = *inputs[0];
  const Dims permutation = ReadPermutation(node, source.dims.size());
  const Dims dense = DenseStrides(source.dims);
  std::vector<bool> used(source.dims.size(), false);
  Walk walk;
  for (const int64_t axis : permutation) {
    if (axis < 0 || axis >= static_cast<int64_t>(used.size()) || used[axis]) {
      return Malformed("its permutation is not one");
    }
    used[axis] = true;
    walk.dims.push_back(source.dims[axis]);
    walk.strides.push_back(dense[axis]);
  }
  if (walk.dims.size() != used.size()) return Malformed("its permutation is not one");
  return Pick(source, walk);
}

Result EvaluateSlice(const OnnxNode& node, const Constants& inputs) {
  const ConstantTensor& source = *inputs[0];
  MICO_ASSIGN_OR_RETURN(const std::vector<AxisSlice> slices, ReadSlices(node, inputs, source.dims));
  const Dims dense = DenseStrides(source.dims);
  Walk walk;
  for (size_t i = 0; i < slices.size(); ++i) {
    walk.dims.push_back(slices[i].count);
    // A single element needs no stride, and its step may be any number at all.
    walk.strides.push_back(slices[i].count > 1 ? dense[i] * slices[i].step : 0);
    walk.offset += slices[i].start * dense[i];
  }
  return Pick(source, walk);
}

Result EvaluateReshape(const OnnxNode& node, const Constants& inputs) {
  ConstantTensor result = *inputs[0];
  MICO_ASSIGN_OR_RETURN(result.dims, ReadTargetDims(node, inputs, inputs[0]->dims));
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountResult(result.dims));
  if (count != result.size()) {
    return Malformed(fmt::format("reshapes {} to {}, which has another size",
                                 DimsToString(inputs[0]->dims), DimsToString(result.dims)));
  }
  return result;
}

Result EvaluateExpand(const OnnxNode& node, const Constants& inputs) {
  MICO_ASSIGN_OR_RETURN(const auto shape, IntegersArgument(node, inputs, "shape", 1, 8));
  if (!shape.has_value()) return Malformed("has no shape to expand to");
  MICO_ASSIGN_OR_RETURN(const Dims dims, BroadcastDims(inputs[0]->dims, *shape));
  return BroadcastTo(*inputs[0], dims);
}

Result EvaluateGather(const OnnxNode& node, const Constants& inputs) {
  if (inputs.size() < 2 || inputs[1] == nullptr || inputs[1]->is_float) {
    return Malformed("needs integer indices");
  }
  const ConstantTensor& source = *inputs[0];
  MICO_ASSIGN_OR_RETURN(const int64_t axis, NormaliseAxis(node.Int("axis", 0), source.dims.size()));
  const Dims dense = DenseStrides(source.dims);
  ConstantTensor result{.is_float = source.is_float};
  result.dims.assign(source.dims.begin(), source.dims.begin() + axis);
  result.dims.insert(result.dims.end(), inputs[1]->dims.begin(), inputs[1]->dims.end());
  result.dims.insert(result.dims.end(), source.dims.begin() + axis + 1, source.dims.end());
  MICO_RETURN_IF_ERROR(CountResult(result.dims).status());

  const int64_t inner = dense[axis];
  const int64_t outer =
      inner == 0 || source.dims[axis] == 0 ? 0 : source.size() / (inner * source.dims[axis]);
  for (int64_t block = 0; block < outer; ++block) {
    for (const int64_t index : inputs[1]->integers) {
      MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(index, source.dims[axis]));
      const int64_t from = (block * source.dims[axis] + position) * inner;
      for (int64_t i = from; i < from + inner; ++i) {
        if (source.is_float) result.floats.push_back(source.floats[i]);
        if (!source.is_float) result.integers.push_back(source.integers[i]);
      }
    }
  }
  return result;
}

template <typename T>
void Append(const std::vector<T>& source, int64_t from, int64_t count, std::vector<T>& target) {
  target.insert(target.end(), source.begin() + from, source.begin() + from + count);
}

Result EvaluateConcat(const OnnxNode& node, const Constants& inputs) {
  ConstantTensor result{.dims = inputs[0]->dims, .is_float = inputs[0]->is_float};
  MICO_ASSIGN_OR_RETURN(const int64_t axis, NormaliseAxis(node.Int("axis", 0), result.dims.size()));
  result.dims[axis] = 0;
  for (const ConstantPointer& input : inputs) {
    if (input == nullptr) return Malformed("an input is left out");
    Dims others = input->dims;
    if (others.size() != result.dims.size() || input->is_float != result.is_float) {
      return Malformed("its inputs differ in rank or element type");
    }
    others[axis] = result.dims[axis];
    if (others != result.dims) return Malformed("its inputs differ beside the axis");
    result.dims[axis] += input->dims[axis];
  }
  MICO_RETURN_IF_ERROR(CountResult(result.dims).status());

  int64_t outer = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= result.dims[i];
  for (int64_t block = 0; block < outer; ++block) {
    for (const ConstantPointer& input : inputs) {
      const int64_t count = input->size() / outer;
      Append(input->floats, block * (input->is_float ? count : 0), input->is_float ? count : 0,
             result.floats);
      Append(input->integers, block * (input->is_float ? 0 : count), input->is_float ? 0 : count,
             result.integers);
    }
  }
  return result;
}

// Each axis becomes two, how often it is repeated and itself; the walk does not move along the
// former.
Result EvaluateTile(const OnnxNode& node, const Constants& inputs) {
  const ConstantTensor& source = *inputs[0];
  MICO_ASSIGN_OR_RETURN(const auto repeats, IntegersArgument(node, inputs, "repeats", 1, 6));
  if (!repeats.has_value() || repeats->size() != source.dims.size()) {
    return Malformed("its repeats do not match its input");
  }
  const Dims dense = DenseStrides(source.dims);
  Walk walk;
  Dims dims;
  for (size_t i = 0; i < source.dims.size(); ++i) {
    MICO_RETURN_IF_ERROR(CountElements({(*repeats)[i]}, "its repeats").status());
    walk.dims.insert(walk.dims.end(), {(*repeats)[i], source.dims[i]});
    walk.strides.insert(walk.strides.end(), {0, dense[i]});
    dims.push_back((*repeats)[i] * source.dims[i]);
  }
  MICO_ASSIGN_OR_RETURN(ConstantTensor result, Pick(source, walk));
  result.dims = std::move(dims);
  return result;
}

Result EvaluateCast(const OnnxNode& node, const Constants& inputs) {
  using onnx_wire::TensorProto;
  const int64_t to = node.Int("to", 0);
  const bool to_float = to == TensorProto::FLOAT || to == TensorProto::DOUBLE;
  if (!to_float && to != TensorProto::INT64 && to != TensorProto::INT32 &&
      to != TensorProto::BOOL) {
    return Unsupported(fmt::format("casts to element type {}", to));
  }
  const ConstantTensor& source = *inputs[0];
  ConstantTensor result{.dims = source.dims, .is_float = to_float};
  if (to_float) {
    result.floats = source.is_float
                        ? source.floats
                        : std::vector<float>(source.integers.begin(), source.integers.end());
    return result;
  }
  result.integers = source.integers;
  for (const float value : source.floats) {
    // 2^62: far from where the conversion is undefined.
    if (!(std::abs(value) < 4.6e18f)) return Malformed("casts a number that no integer holds");
    result.integers.push_back(static_cast<int64_t>(value));
  }
  if (to == TensorProto::BOOL) {
    for (int64_t& value : result.integers) value = value != 0;
  }
  return result;
}

Result EvaluateConstantOfShape(const OnnxNode& node, const Constants& inputs) {
  if (inputs[0]->is_float) return Malformed("its shape is not integers");
  ConstantTensor value{.dims = {1}, .is_float = true, .floats = {0.0f}};
  if (const auto* attribute = node.Find("value"); attribute != nullptr) {
    MICO_ASSIGN_OR_RETURN(value, DecodeTensor(attribute->t()));
  }
  if (value.size() != 1) return Malformed("its value is not one number");
  value.dims.clear();
  return BroadcastTo(value, inputs[0]->integers);
}

Result EvaluateConstantNode(const OnnxNode& node, const Constants&) {
  if (const auto* value = node.Find("value"); value != nullptr) return DecodeTensor(value->t());
  if (node.Has("value_int")) return ConstantTensor{.integers = {node.Int("value_int", 0)}};
  if (node.Has("value_float")) {
    return ConstantTensor{.is_float = true, .floats = {node.Float("value_float", 0)}};
  }
  if (node.Has("value_ints")) {
    const Dims values = node.Ints("value_ints", {});
    return ConstantTensor{.dims = {static_cast<int64_t>(values.size())}, .integers = values};
  }
  if (const auto* list = node.Find("value_floats"); list != nullptr) {
    return ConstantTensor{.dims = {list->floats_size()},
                          .is_float = true,
                          .floats = {list->floats().begin(), list->floats().end()}};
  }
  return Unsupported("its value is neither a tensor nor numbers");
}

Result EvaluateIdentity(const OnnxNode&, const Constants& inputs) { return *inputs[0]; }

Result EvaluateShape(const OnnxNode& node, const Constants& inputs) {
  return ShapeConstant(node, inputs[0]->dims);
}

struct ConstantOperator {
  std::string_view type;
  Result (*evaluate)(const OnnxNode& node, const Constants& inputs);
};

constexpr ConstantOperator kConstantOperators[] = {
    {"Abs", EvaluateUnary},
    {"Add", EvaluateArithmetic},
    {"And", EvaluateComparison},
    {"Cast", EvaluateCast},
    {"Ceil", EvaluateUnary},
    {"Concat", EvaluateConcat},
    {"Constant", EvaluateConstantNode},
    {"ConstantOfShape", EvaluateConstantOfShape},
    {"Div", EvaluateArithmetic},
    {"Equal", EvaluateComparison},
    {"Expand", EvaluateExpand},
    {"Flatten", EvaluateReshape},
    {"Floor", EvaluateUnary},
    {"Gather", EvaluateGather},
    {"Greater", EvaluateComparison},
    {"GreaterOrEqual", EvaluateComparison},
    {"Identity", EvaluateIdentity},
    {"Less", EvaluateComparison},
    {"LessOrEqual", EvaluateComparison},
    {"Max", EvaluateArithmetic},
    {"Min", EvaluateArithmetic},
    {"Mod", EvaluateArithmetic},
    {"Mul", EvaluateArithmetic},
    {"Neg", EvaluateUnary},
    {"Not", EvaluateUnary},
    {"Or", EvaluateComparison},
    {"Range", EvaluateRange},
    {"ReduceMax", EvaluateReduction},
    {"ReduceMin", EvaluateReduction},
    {"ReduceProd", EvaluateReduction},
    {"ReduceSum", EvaluateReduction},
    {"Reshape", EvaluateReshape},
    {"Shape", EvaluateShape},
    {"Size", EvaluateShape},
    {"Slice", EvaluateSlice},
    {"Sqrt", EvaluateUnary},
    {"Squeeze", EvaluateReshape},
    {"Sub", EvaluateArithmetic},
    {"Tile", EvaluateTile},
    {"Transpose", EvaluateTranspose},
    {"Unsqueeze", EvaluateReshape},
    {"Where", EvaluateWhere},
};

const ConstantOperator* FindOperator(std::string_view type) {
  for (const ConstantOperator& candidate : kConstantOperators) {
    if (candidate.type == type) return &candidate;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<int64_t> CountResult(const Dims& dims) {
  MICO_ASSIGN_OR_RETURN(const int64_t count, CountElements(dims, "the result"));
  if (count > kMostElements) {
    return absl::ResourceExhaustedError(
        fmt::format("gives a constant of {} elements; at most {}", count, kMostElements));
  }
  return count;
}

absl::StatusOr<Dims> BroadcastDims(const Dims& a, const Dims& b) {
  Dims dims(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t of_a = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t of_b = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (of_a != of_b && of_a != 1 && of_b != 1) {
      return Malformed(fmt::format("{} and {} do not broadcast", DimsToString(a), DimsToString(b)));
    }
    dims[dims.size() - 1 - i] = of_a == 1 ? of_b : of_a;
  }
  return dims;
}

Result BroadcastTo(const ConstantTensor& tensor, const Dims& dims) {
  const Dims dense = DenseStrides(tensor.dims);
  Walk walk{.dims = dims, .strides = Dims(dims.size(), 0)};
  for (size_t i = 0; i < tensor.dims.size(); ++i) {
    const size_t target = dims.size() - tensor.dims.size() + i;
    if (tensor.dims[i] != 1) walk.strides[target] = dense[i];
  }
  return Pick(tensor, walk);
}

std::vector<std::string_view> ConstantOperatorTypes() {
  std::vector<std::string_view> types;
  for (const ConstantOperator& listed : kConstantOperators) types.push_back(listed.type);
  return types;
}

bool AsksForShape(std::string_view type) { return type == "Shape" || type == "Size"; }

bool IsConstantOperator(std::string_view type) { return FindOperator(type) != nullptr; }

ConstantTensor ShapeConstant(const OnnxNode& node, const Dims& dims) {
  if (node.type() == "Size") {
    // Tensors of 2^31 elements and more do not get this far.
    int64_t elements = 1;
    for (const int64_t extent : dims) elements *= extent;
    return ConstantTensor{.integers = {elements}};
  }
  const int64_t rank = static_cast<int64_t>(dims.size());
  const auto position = [&](std::string_view attribute, int64_t otherwise) {
    const int64_t given = node.Int(attribute, otherwise);
    return std::clamp<int64_t>(given < 0 ? given + rank : given, 0, rank);
  };
  const int64_t start = position("start", 0), end = std::max(start, position("end", rank));
  return ConstantTensor{.dims = {end - start},
                        .integers = {dims.begin() + start, dims.begin() + end}};
}

Result EvaluateConstant(const OnnxNode& node, const Constants& inputs) {
  const ConstantOperator* found = FindOperator(node.type());
  if (found == nullptr) return Unsupported("its inputs are constants, but it is not folded");
  const bool needs_input = found->evaluate != EvaluateConstantNode;
  if (needs_input && (inputs.empty() || inputs[0] == nullptr)) return Malformed("has no input");
  return found->evaluate(node, inputs);
}

}  // namespace mico
