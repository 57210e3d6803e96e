#include "codegen/signature.h"

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "fmt/format.h"

namespace mico {
namespace {

// Longer text than any real step needs is refused before it is looked at.
constexpr size_t kLongestSignature = 8192;
constexpr size_t kMostInputs = 256;
constexpr int64_t kLargestNumber = int64_t{1} << 24;

struct KindName {
  StepKind kind;
  OpKind op;  // the operator with the same shapes
  std::string_view name;
};
constexpr KindName kKinds[] = {
    {StepKind::kConv, OpKind::kConv, "conv"},
    {StepKind::kAdd, OpKind::kAdd, "add"},
    {StepKind::kMaxPool, OpKind::kMaxPool, "maxpool"},
    {StepKind::kAveragePool, OpKind::kAveragePool, "averagepool"},
    {StepKind::kRelu, OpKind::kRelu, "relu"},
    {StepKind::kConcat, OpKind::kConcat, "concat"},
    {StepKind::kSlice, OpKind::kSlice, "slice"},
    {StepKind::kPad, OpKind::kPad, "pad"},
    {StepKind::kRequantize, OpKind::kRelu, "requantize"},
};

std::string_view NameOf(StepKind kind) {
  for (const KindName& entry : kKinds) {
    if (entry.kind == kind) return entry.name;
  }
  return "?";
}

std::string TensorText(const QuantizedTensor& tensor) {
  return fmt::format("{}x{}x{}:{}", tensor.shape.height, tensor.shape.width, tensor.shape.channels,
                     tensor.type.ToString());
}

std::string PaddingText(const Padding& padding) {
  return fmt::format("p={},{},{},{}", padding.top, padding.left, padding.bottom, padding.right);
}

std::string AttributesText(std::monostate) { return ""; }

std::string AttributesText(const ConvAttributes& conv) {
  return fmt::format(" k={}x{} s={}x{} {} d={}x{} g={}", conv.kernel_height, conv.kernel_width,
                     conv.stride_height, conv.stride_width, PaddingText(conv.padding),
                     conv.dilation_height, conv.dilation_width, conv.groups);
}

std::string AttributesText(const PoolAttributes& pool) {
  return fmt::format(" k={}x{} s={}x{} {} i={}", pool.kernel_height, pool.kernel_width,
                     pool.stride_height, pool.stride_width, PaddingText(pool.padding),
                     pool.count_include_pad ? 1 : 0);
}

std::string AttributesText(const SliceAttributes& slice) {
  return fmt::format(" start={},{},{} step={},{},{}", slice.start_row, slice.start_column,
                     slice.start_channel, slice.step_row, slice.step_column, slice.step_channel);
}

std::string AttributesText(const PadAttributes& pad) {
  return fmt::format(" {} c={},{}", PaddingText(pad.padding), pad.channels_before,
                     pad.channels_after);
}

// "x", "x2", "x3", ...
std::string InputName(size_t index) { return index == 0 ? "x" : fmt::format("x{}", index + 1); }

// Takes the words of a signature from the front, one "key=value" after the other.
class WordReader {
 public:
  explicit WordReader(std::string_view text) : words_(absl::StrSplit(std::string(text), ' ')) {}

  const std::string& kind() const { return words_[0]; }
  bool at_end() const { return next_ == words_.size(); }

  // The value of the next word if its key is `key`.
  std::optional<std::string> TryTake(std::string_view key) {
    if (at_end()) return std::nullopt;
    const std::string prefix = fmt::format("{}=", key);
    if (words_[next_].compare(0, prefix.size(), prefix) != 0) return std::nullopt;
    return words_[next_++].substr(prefix.size());
  }

  absl::StatusOr<std::string> Take(std::string_view key) {
    const std::optional<std::string> value = TryTake(key);
    if (value.has_value()) return *value;
    return absl::InvalidArgumentError(
        fmt::format("found '{}', needed '{}='", at_end() ? "the end" : words_[next_], key));
  }

  // The numbers of the next word, which are separated by `separator`, to `targets`.
  absl::Status TakeNumbers(std::string_view key, char separator,
                           std::initializer_list<int64_t*> targets) {
    MICO_ASSIGN_OR_RETURN(const std::string value, Take(key));
    const std::vector<std::string> parts = absl::StrSplit(value, separator);
    if (parts.size() != targets.size()) {
      return absl::InvalidArgumentError(fmt::format("'{}={}' has {} numbers, needs {}", key, value,
                                                    parts.size(), targets.size()));
    }
    size_t index = 0;
    for (int64_t* target : targets) {
      const std::string& part = parts[index++];
      if (!absl::SimpleAtoi(part, target) || *target < 0 || *target > kLargestNumber) {
        return absl::InvalidArgumentError(fmt::format("'{}={}': '{}' is not a number from 0 to {}",
                                                      key, value, part, kLargestNumber));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakePadding(Padding& padding) {
    return TakeNumbers("p", ',', {&padding.top, &padding.left, &padding.bottom, &padding.right});
  }

 private:
  std::vector<std::string> words_;
  size_t next_ = 1;
};

absl::StatusOr<TensorType> ParseType(const std::string& text) {
  int bits = 0;
  const bool reads = text.size() >= 2 && (text[0] == 'u' || text[0] == 's') &&
                     absl::SimpleAtoi(text.substr(1), &bits);
  const TensorType type{bits, reads && text[0] == 's'};
  const bool narrow = bits <= 8 && bits >= (type.is_signed ? 2 : 1);
  if (!reads || !(narrow || (bits == 16 && type.is_signed))) {
    return absl::InvalidArgumentError(fmt::format("type '{}'; needed u1-u8, s2-s8 or s16", text));
  }
  return type;
}

absl::StatusOr<QuantizedTensor> ParseTensor(const std::string& name, const std::string& text) {
  const std::vector<std::string> halves = absl::StrSplit(text, ':');
  const std::vector<std::string> extents = absl::StrSplit(halves[0], 'x');
  QuantizedTensor tensor{.name = name};
  if (halves.size() != 2 || extents.size() != 3) {
    return absl::InvalidArgumentError(
        fmt::format("tensor '{}={}'; needed like '16x16x32:u8'", name, text));
  }
  int64_t* const targets[] = {&tensor.shape.height, &tensor.shape.width, &tensor.shape.channels};
  for (size_t i = 0; i < 3; ++i) {
    if (!absl::SimpleAtoi(extents[i], targets[i]) || *targets[i] < 1 ||
        *targets[i] > kLargestNumber) {
      return absl::InvalidArgumentError(fmt::format("tensor '{}={}': extent '{}'; needed 1 to {}",
                                                    name, text, extents[i], kLargestNumber));
    }
  }
  MICO_ASSIGN_OR_RETURN(tensor.type, ParseType(halves[1]));
  return tensor;
}

absl::Status ParseTensors(WordReader& words, QuantizedGraph& graph, Step& step) {
  while (step.inputs.size() < kMostInputs) {
    const std::string name = InputName(step.inputs.size());
    const std::optional<std::string> text = words.TryTake(name);
    if (!text.has_value()) break;
    MICO_ASSIGN_OR_RETURN(QuantizedTensor tensor, ParseTensor(name, *text));
    step.inputs.push_back(static_cast<int>(graph.tensors.size()));
    graph.tensors.push_back(std::move(tensor));
  }
  if (step.kind == StepKind::kConv) {
    MICO_ASSIGN_OR_RETURN(const std::string text, words.Take("w"));
    if (text.size() != 2 || text[0] != 's' || text[1] < '1' || text[1] > '8') {
      return absl::InvalidArgumentError(fmt::format("'w={}'; needed s1 to s8", text));
    }
    step.weight_bits = text[1] - '0';
    step.layer = 0;
  }
  MICO_ASSIGN_OR_RETURN(const std::string text, words.Take("y"));
  MICO_ASSIGN_OR_RETURN(QuantizedTensor tensor, ParseTensor("y", text));
  step.output = static_cast<int>(graph.tensors.size());
  graph.tensors.push_back(std::move(tensor));
  return absl::OkStatus();
}

absl::Status ParseConv(WordReader& words, int64_t out_channels, ConvAttributes& conv) {
  conv.out_channels = out_channels;
  MICO_RETURN_IF_ERROR(words.TakeNumbers("k", 'x', {&conv.kernel_height, &conv.kernel_width}));
  MICO_RETURN_IF_ERROR(words.TakeNumbers("s", 'x', {&conv.stride_height, &conv.stride_width}));
  MICO_RETURN_IF_ERROR(words.TakePadding(conv.padding));
  MICO_RETURN_IF_ERROR(words.TakeNumbers("d", 'x', {&conv.dilation_height, &conv.dilation_width}));
  return words.TakeNumbers("g", ',', {&conv.groups});
}

absl::Status ParsePool(WordReader& words, PoolAttributes& pool) {
  MICO_RETURN_IF_ERROR(words.TakeNumbers("k", 'x', {&pool.kernel_height, &pool.kernel_width}));
  MICO_RETURN_IF_ERROR(words.TakeNumbers("s", 'x', {&pool.stride_height, &pool.stride_width}));
  MICO_RETURN_IF_ERROR(words.TakePadding(pool.padding));
  int64_t include = 0;
  MICO_RETURN_IF_ERROR(words.TakeNumbers("i", ',', {&include}));
  pool.count_include_pad = include == 1;
  return absl::OkStatus();
}

absl::Status ParseSlice(WordReader& words, SliceAttributes& slice) {
  MICO_RETURN_IF_ERROR(words.TakeNumbers(
      "start", ',', {&slice.start_row, &slice.start_column, &slice.start_channel}));
  return words.TakeNumbers("step", ',', {&slice.step_row, &slice.step_column, &slice.step_channel});
}

absl::Status ParsePad(WordReader& words, PadAttributes& pad) {
  MICO_RETURN_IF_ERROR(words.TakePadding(pad.padding));
  return words.TakeNumbers("c", ',', {&pad.channels_before, &pad.channels_after});
}

absl::Status ParseAttributes(WordReader& words, const QuantizedGraph& graph, Step& step) {
  switch (step.kind) {
    case StepKind::kConv:
      return ParseConv(words, graph.tensors[step.output].shape.channels,
                       step.attributes.emplace<ConvAttributes>());
    case StepKind::kMaxPool:
    case StepKind::kAveragePool:
      return ParsePool(words, step.attributes.emplace<PoolAttributes>());
    case StepKind::kSlice:
      return ParseSlice(words, step.attributes.emplace<SliceAttributes>());
    case StepKind::kPad:
      return ParsePad(words, step.attributes.emplace<PadAttributes>());
    case StepKind::kAdd:
    case StepKind::kRelu:
    case StepKind::kConcat:
    case StepKind::kRequantize:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

// The shapes must be those that the operator gives.
absl::Status CheckShapes(const QuantizedGraph& graph, const Step& step, OpKind op) {
  Node node;
  node.name = "signature";
  node.type = NameOf(step.kind);
  node.op = op;
  node.attributes = step.attributes;
  std::vector<Shape> inputs;
  for (const int input : step.inputs) inputs.push_back(graph.tensors[input].shape);
  const Shape& declared = graph.tensors[step.output].shape;
  MICO_ASSIGN_OR_RETURN(const Shape shape, InferShape(node, inputs, declared));
  if (shape != declared) {
    return absl::InvalidArgumentError(fmt::format("y is {}; the inputs and attributes give {}",
                                                  ToString(declared), ToString(shape)));
  }
  return absl::OkStatus();
}

// What only moves keeps its type; 16 bits are an output's, of what computes.
absl::Status CheckTypes(const QuantizedGraph& graph, const Step& step) {
  const TensorType output = graph.tensors[step.output].type;
  const bool computes = step.kind == StepKind::kConv || step.kind == StepKind::kAdd ||
                        step.kind == StepKind::kAveragePool || step.kind == StepKind::kRequantize;
  for (const int input : step.inputs) {
    const TensorType type = graph.tensors[input].type;
    if (type.bits > 8 || (!computes && type != output)) {
      return absl::InvalidArgumentError(
          fmt::format("reads {} and writes {}", type.ToString(), output.ToString()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<QuantizedGraph> Parse(std::string_view signature) {
  WordReader words(signature);
  for (const KindName& entry : kKinds) {
    if (words.kind() != entry.name) continue;
    QuantizedGraph graph{.name = "signature"};
    Step step;
    step.kind = entry.kind;
    step.name = entry.name;
    MICO_RETURN_IF_ERROR(ParseTensors(words, graph, step));
    MICO_RETURN_IF_ERROR(ParseAttributes(words, graph, step));
    MICO_RETURN_IF_ERROR(CheckShapes(graph, step, entry.op));
    MICO_RETURN_IF_ERROR(CheckTypes(graph, step));
    graph.input = 0;
    graph.outputs = {{graph.tensors[step.output].name, step.output}};
    graph.steps.push_back(std::move(step));
    return graph;
  }
  return absl::InvalidArgumentError(fmt::format("no step kind '{}'", words.kind()));
}

}  // namespace

std::string StepSignature(const QuantizedGraph& graph, const Step& step) {
  std::string text(NameOf(step.kind));
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    text += fmt::format(" {}={}", InputName(i), TensorText(graph.tensors[step.inputs[i]]));
  }
  if (step.kind == StepKind::kConv) text += fmt::format(" w=s{}", step.weight_bits);
  text += fmt::format(" y={}", TensorText(graph.tensors[step.output]));
  return text + std::visit([](const auto& a) { return AttributesText(a); }, step.attributes);
}

absl::StatusOr<QuantizedGraph> ParseSignature(std::string_view signature) {
  if (signature.size() > kLongestSignature) {
    return absl::InvalidArgumentError(fmt::format("signature of {} characters; at most {} allowed",
                                                  signature.size(), kLongestSignature));
  }
  absl::StatusOr<QuantizedGraph> graph = Parse(signature);
  if (!graph.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("signature '{}': {}", signature, std::string(graph.status().message())));
  }
  const std::string canonical = StepSignature(*graph, graph->steps[0]);
  if (canonical != signature) {
    return absl::InvalidArgumentError(
        fmt::format("signature '{}': its canonical form is '{}'", signature, canonical));
  }
  return graph;
}

}  // namespace mico
