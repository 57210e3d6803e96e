// Instructions of a script that only move values, and those that ask for shapes.

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/status_macros.h"
#include "fmt/format.h"
#include "model/onnx_node.h"
#include "model/script_operators.h"

namespace mico {
namespace {

using Dims = std::vector<int64_t>;

// Behind every end.
constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

absl::StatusOr<ScriptTensorPointer> ReshapeTo(ScriptCall& call, ScriptTensorPointer tensor,
                                              const Dims& dims) {
  // What ONNX takes for "as it is", PyTorch takes for an empty dimension.
  if (std::ranges::find(dims, 0) != dims.end()) return Malformed("reshapes to no elements");
  OnnxStep step("Reshape");
  return call.Do(step.Input(std::move(tensor)).Input(dims));
}

// Elements [start, end) of dimension `axis`. Of the batch, only all are ever taken: how many there
// are is not the network's business.
absl::StatusOr<ScriptTensorPointer> TakeRange(ScriptCall& call, const ScriptTensorPointer& tensor,
                                              int64_t axis, int64_t start, int64_t end,
                                              int64_t step_size) {
  MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, tensor->dims().size()));
  const bool takes_all = start == 0 && end == kToTheEnd && step_size == 1;
  if (position == 0 && tensor->view() != nullptr && !takes_all) {
    return Unsupported("takes a part of the batch");
  }
  OnnxStep step("Slice");
  step.Input(tensor).Input(Dims{start}).Input(Dims{end}).Input(Dims{position});
  return call.Do(step.Input(Dims{step_size}));
}

absl::StatusOr<ScriptValue> SliceList(ScriptCall& call, const ScriptList& list) {
  const int64_t count = static_cast<int64_t>(list.items.size());
  const auto bound = [count](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + count : at, 0, count);
  };
  int64_t start = 0, end = count;
  if (!call.IsNone(1)) {
    MICO_ASSIGN_OR_RETURN(start, call.Int(1));
  }
  if (!call.IsNone(2)) {
    MICO_ASSIGN_OR_RETURN(end, call.Int(2));
  }
  MICO_ASSIGN_OR_RETURN(const int64_t step, call.Int(3));
  if (step < 1) return Unsupported("a negative step");
  std::vector<ScriptValue> items;
  for (int64_t i = bound(start); i < bound(end); i += std::min(step, count)) {
    items.push_back(list.items[static_cast<size_t>(i)]);
  }
  return MakeScriptList(std::move(items));
}

// The extents of the parts into which `extent` is split.
absl::StatusOr<Dims> ReadParts(const ScriptCall& call, int64_t extent) {
  if (call.kind() == "aten::chunk") {
    MICO_ASSIGN_OR_RETURN(const int64_t count, call.Int(1));
    if (count < 1) return Malformed(fmt::format("splits in {} parts", count));
    const int64_t part = (extent + count - 1) / count;
    return Dims(static_cast<size_t>((extent + part - 1) / part), part);
  }
  if (const auto* part = std::get_if<int64_t>(&call[1])) {
    if (*part < 1) return Malformed(fmt::format("splits in parts of {}", *part));
    return Dims(static_cast<size_t>((extent + *part - 1) / *part), *part);
  }
  return call.Ints(1);
}

}  // namespace

// input sizes
absl::StatusOr<ScriptValue> ApplyReshape(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const Dims dims, call.Ints(1));
  return ReshapeTo(call, std::move(input), dims);
}

// input start_dim end_dim
absl::StatusOr<ScriptValue> ApplyFlatten(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const int64_t first, call.Int(1));
  MICO_ASSIGN_OR_RETURN(const int64_t last, call.Int(2));
  const Dims dims = input->dims();
  MICO_ASSIGN_OR_RETURN(const int64_t from, NormaliseAxis(first, dims.size()));
  MICO_ASSIGN_OR_RETURN(const int64_t to, NormaliseAxis(last, dims.size()));
  if (from > to) return Malformed(fmt::format("flattens from {} to {}", from, to));
  if (from == 0 && to > 0 && input->view() != nullptr) return Unsupported("flattens the batch");
  Dims flat(dims.begin(), dims.begin() + from);
  flat.push_back(
      std::accumulate(dims.begin() + from, dims.begin() + to + 1, int64_t{1}, std::multiplies<>()));
  flat.insert(flat.end(), dims.begin() + to + 1, dims.end());
  return ReshapeTo(call, std::move(input), flat);
}

// input dim; squeeze without dim: all extents of 1
absl::StatusOr<ScriptValue> ApplySqueeze(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  const bool squeezes = call.kind().find("unsqueeze") == std::string_view::npos;
  OnnxStep step(squeezes ? "Squeeze" : "Unsqueeze");
  if (call.size() < 2) return call.Do(step.Input(std::move(input)));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  const Dims dims = input->dims();
  if (squeezes) {
    MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, dims.size()));
    if (dims[position] != 1) return ScriptValue(input);
    if (position == 0 && input->view() != nullptr) return Unsupported("squeezes the batch");
  }
  return call.Do(step.Input(std::move(input)).Input(Dims{axis}));
}

// t: input; transpose: input dim0 dim1; permute: input dims
absl::StatusOr<ScriptValue> ApplyTranspose(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  const size_t rank = input->dims().size();
  Dims permutation(rank);
  std::iota(permutation.begin(), permutation.end(), 0);
  if (call.kind() == "aten::permute") {
    MICO_ASSIGN_OR_RETURN(permutation, call.Ints(1));
    for (int64_t& axis : permutation) {
      MICO_ASSIGN_OR_RETURN(axis, NormaliseAxis(axis, rank));
    }
  } else if (call.kind() == "aten::t") {
    if (rank > 2) return Malformed(fmt::format("transposes {} dimensions", rank));
    std::ranges::reverse(permutation);
  } else {
    MICO_ASSIGN_OR_RETURN(int64_t a, call.Int(1));
    MICO_ASSIGN_OR_RETURN(int64_t b, call.Int(2));
    MICO_ASSIGN_OR_RETURN(a, NormaliseAxis(a, rank));
    MICO_ASSIGN_OR_RETURN(b, NormaliseAxis(b, rank));
    std::swap(permutation[a], permutation[b]);
  }
  OnnxStep step("Transpose");
  return call.Do(step.Input(std::move(input)).Ints("perm", permutation));
}

absl::StatusOr<ScriptValue> ApplyIdentity(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  OnnxStep step("Identity");
  return call.Do(step.Input(std::move(input)));
}

absl::StatusOr<ScriptValue> ApplyClone(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer input, call.Tensor(0));
  ScriptTensorValue copy = *input;
  copy.storage = std::make_shared<ScriptStorage>();
  copy.changes_seen = 0;
  return ScriptValue(std::make_shared<ScriptTensorValue>(std::move(copy)));
}

// input, then a dtype (an integer) or a device (a text) or both, in several orders. Tensors of the
// network are floats and stay so.
absl::StatusOr<ScriptValue> ApplyTo(ScriptCall& call) {
  for (size_t i = 1; i < call.size(); ++i) {
    if (!std::holds_alternative<int64_t>(call[i])) continue;
    MICO_RETURN_IF_ERROR(call.NeedFloatType(i));
    break;  // what follows may be a memory format
  }
  return ApplyIdentity(call);
}

// input p train
absl::StatusOr<ScriptValue> ApplyDropout(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const bool is_training, call.Bool(2));
  if (is_training) return Unsupported("drops at random; save the network after eval()");
  return ApplyIdentity(call);
}

// tensors dim
absl::StatusOr<ScriptValue> ApplyConcat(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const auto list, call.List(0));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  OnnxStep step("Concat");
  for (const ScriptValue& item : list->items) {
    const auto* tensor = std::get_if<ScriptTensorPointer>(&item);
    if (tensor == nullptr) return Unsupported(fmt::format("joins {}", DescribeScriptValue(item)));
    if ((*tensor)->IsStale()) {
      return Unsupported("reads a tensor after a view of it was changed in place");
    }
    step.Input(*tensor);
  }
  if (list->items.empty()) return Malformed("joins nothing");
  return call.Do(step.Int("axis", axis));
}

// slice: input dim start end step, or list start end step; narrow: input dim start length
absl::StatusOr<ScriptValue> ApplySlice(ScriptCall& call) {
  if (const auto* list = std::get_if<std::shared_ptr<ScriptList>>(&call[0])) {
    return SliceList(call, **list);
  }
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  int64_t start = 0, end = kToTheEnd, step = 1;
  if (!call.IsNone(2)) {
    MICO_ASSIGN_OR_RETURN(start, call.Int(2));
  }
  if (!call.IsNone(3)) {
    MICO_ASSIGN_OR_RETURN(end, call.Int(3));
  }
  if (call.kind() == "aten::narrow") {
    if (start < 0 || end < 0 || end > kToTheEnd - start) return Malformed("takes nothing");
    end += start;
  } else if (!call.IsNone(4)) {
    MICO_ASSIGN_OR_RETURN(step, call.Int(4));
  }
  return TakeRange(call, input, axis, start, end, step);
}

// input dim index
absl::StatusOr<ScriptValue> ApplySelect(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  MICO_ASSIGN_OR_RETURN(const int64_t index, call.Int(2));
  const int64_t end = index == -1 ? kToTheEnd : index + 1;
  MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, input->dims().size()));
  if (position == 0 && input->view() != nullptr) return Unsupported("takes a part of the batch");
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer one, TakeRange(call, input, position, index, end, 1));
  OnnxStep step("Squeeze");
  return call.Do(step.Input(std::move(one)).Input(Dims{position}));
}

// chunk: input count dim; split: input size dim; split_with_sizes: input sizes dim
absl::StatusOr<ScriptValue> ApplySplit(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(2));
  const Dims dims = input->dims();
  MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, dims.size()));
  if (position == 0 && input->view() != nullptr) return Unsupported("splits the batch");
  MICO_ASSIGN_OR_RETURN(const Dims parts, ReadParts(call, dims[position]));
  std::vector<ScriptValue> pieces;
  int64_t start = 0;
  for (const int64_t part : parts) {
    if (part < 1 || start >= dims[position]) return Malformed("splits off nothing");
    const int64_t end = std::min(start + std::min(part, dims[position]), dims[position]);
    MICO_ASSIGN_OR_RETURN(ScriptTensorPointer piece,
                          TakeRange(call, input, position, start, end, 1));
    pieces.emplace_back(std::move(piece));
    start = end;
  }
  return MakeScriptList(std::move(pieces));
}

// constant_pad_nd: input pad value; pad: input pad mode value. PyTorch lists begin and end of the
// last dimension first, ONNX all begins and then all ends.
absl::StatusOr<ScriptValue> ApplyPad(ScriptCall& call) {
  const bool has_mode = call.kind() == "aten::pad";
  MICO_ASSIGN_OR_RETURN(ScriptTensorPointer input, call.Tensor(0));
  MICO_ASSIGN_OR_RETURN(const Dims given, call.Ints(1));
  std::string mode = "constant";
  if (has_mode) {
    MICO_ASSIGN_OR_RETURN(mode, call.Text(2));
  }
  float filler = 0.0f;
  if (!call.IsNone(has_mode ? 3 : 2)) {
    MICO_ASSIGN_OR_RETURN(filler, call.Float(has_mode ? 3 : 2));
  }
  const size_t rank = input->dims().size();
  if (given.size() % 2 != 0 || given.size() > 2 * rank) {
    return Malformed(fmt::format("{} pads for {} dimensions", given.size(), rank));
  }
  Dims pads(2 * rank, 0);
  for (size_t i = 0; i < given.size() / 2; ++i) {
    pads[rank - 1 - i] = given[2 * i];
    pads[2 * rank - 1 - i] = given[2 * i + 1];
  }
  OnnxStep step("Pad");
  step.Input(std::move(input)).Input(pads).Input(filler);
  return call.Do(step.Text("mode", mode));
}

// size: input, or input dim; dim, numel: input
absl::StatusOr<ScriptValue> ApplySize(ScriptCall& call) {
  MICO_ASSIGN_OR_RETURN(const ScriptTensorPointer input, call.Tensor(0));
  const Dims dims = input->dims();
  if (call.kind() == "aten::dim") return ScriptValue(static_cast<int64_t>(dims.size()));
  if (call.kind() == "aten::numel") {
    return ScriptValue(std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>()));
  }
  if (call.size() < 2) {
    return MakeScriptList(std::vector<ScriptValue>(dims.begin(), dims.end()));
  }
  MICO_ASSIGN_OR_RETURN(const int64_t axis, call.Int(1));
  MICO_ASSIGN_OR_RETURN(const int64_t position, NormaliseAxis(axis, dims.size()));
  return ScriptValue(dims[position]);
}

}  // namespace mico
