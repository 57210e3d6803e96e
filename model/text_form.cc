#include "model/text_form.h"

#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mico {
namespace {

constexpr OpKind kAllOps[] = {OpKind::kConv,        OpKind::kAdd,  OpKind::kMaxPool,
                              OpKind::kAveragePool, OpKind::kRelu, OpKind::kConcat,
                              OpKind::kSlice,       OpKind::kPad};

std::vector<std::string> Split(const std::string& text, char separator) {
  return absl::StrSplit(text, separator);
}

std::vector<std::string> Words(const std::string& text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
}

// Debian's Abseil has a string_view of its own that does not convert by itself.
std::string Strip(const std::string& text) { return std::string(absl::StripAsciiWhitespace(text)); }

absl::StatusOr<std::vector<int64_t>> Numbers(const std::string& text, char separator,
                                             size_t count) {
  std::vector<int64_t> numbers;
  for (const std::string& word : Split(text, separator)) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(word, &number)) {
      return absl::InvalidArgumentError(fmt::format("'{}' is not a number", word));
    }
    numbers.push_back(number);
  }
  if (numbers.size() != count) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' has {} numbers; needs {}", text, numbers.size(), count));
  }
  return numbers;
}

// Reads the lines one by one into a graph; values are found by their names.
class GraphParser {
 public:
  absl::Status ReadLine(const std::string& line) {
    const std::vector<std::string> words = Words(line);
    if (words.empty() || words[0][0] == '#') return absl::OkStatus();
    if (words[0] == "input" && words.size() == 3) return ReadInput(words);
    if (words[0] == "output" && words.size() == 2) return ReadOutput(words[1], words[1]);
    if (words[0] == "output" && words.size() == 4 && words[2] == "=") {
      return ReadOutput(words[1], words[3]);
    }
    return ReadNode(line);
  }

  absl::StatusOr<Graph> Finish() {
    if (!has_input_) return absl::InvalidArgumentError("no line 'input NAME CxHxW'");
    if (graph_.outputs.empty()) return absl::InvalidArgumentError("no line 'output NAME'");
    MICO_RETURN_IF_ERROR(Validate(graph_));
    return std::move(graph_);
  }

 private:
  using Options = std::map<std::string, std::string>;

  absl::StatusOr<int> FindValue(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      return absl::InvalidArgumentError(fmt::format("no value '{}' so far", name));
    }
    return found->second;
  }

  int AddValue(const std::string& name, const Shape& shape) {
    const int index = static_cast<int>(graph_.values.size());
    graph_.values.push_back({name, shape});
    values_[name] = index;
    return index;
  }

  absl::Status ReadInput(const std::vector<std::string>& words) {
    if (has_input_) return absl::InvalidArgumentError("a second input");
    has_input_ = true;
    MICO_ASSIGN_OR_RETURN(const Shape shape, ParseShape(words[2]));
    graph_.input = AddValue(words[1], shape);
    return absl::OkStatus();
  }

  absl::Status ReadOutput(const std::string& name, const std::string& value) {
    MICO_ASSIGN_OR_RETURN(const int index, FindValue(value));
    graph_.outputs.push_back({name, index});
    return absl::OkStatus();
  }

  // name = Op(input, input) option option=value
  absl::Status ReadNode(const std::string& line) {
    const size_t equals = line.find('='), open = line.find('('), close = line.find(')');
    if (equals == std::string::npos || open == std::string::npos || close == std::string::npos ||
        equals > open || open > close) {
      return absl::InvalidArgumentError("needs 'name = Op(inputs) options'");
    }
    Node node;
    node.name = Strip(line.substr(0, equals));
    node.type = Strip(line.substr(equals + 1, open - equals - 1));
    MICO_ASSIGN_OR_RETURN(node.op, ParseOp(node.type));
    for (const std::string& input : Split(line.substr(open + 1, close - open - 1), ',')) {
      MICO_ASSIGN_OR_RETURN(const int index, FindValue(Strip(input)));
      node.inputs.push_back(index);
    }
    MICO_ASSIGN_OR_RETURN(Options options, ParseOptions(line.substr(close + 1)));
    MICO_RETURN_IF_ERROR(TakeActivation(options, node));
    Shape declared;
    MICO_RETURN_IF_ERROR(TakeAttributes(options, node, declared));
    if (!options.empty()) {
      return absl::InvalidArgumentError(
          fmt::format("{} has no option '{}'", node.type, options.begin()->first));
    }
    return AddNode(std::move(node), declared);
  }

  absl::Status AddNode(Node node, const Shape& declared) {
    std::vector<Shape> inputs;
    for (const int input : node.inputs) inputs.push_back(graph_.values[input].shape);
    MICO_ASSIGN_OR_RETURN(const Shape shape, InferShape(node, inputs, declared));
    node.output = AddValue(node.name, shape);
    graph_.nodes.push_back(std::move(node));
    return absl::OkStatus();
  }

  static absl::StatusOr<OpKind> ParseOp(const std::string& name) {
    for (const OpKind op : kAllOps) {
      if (ToString(op) == name) return op;
    }
    return absl::InvalidArgumentError(fmt::format("no operator '{}'", name));
  }

  static absl::StatusOr<Options> ParseOptions(const std::string& text) {
    Options options;
    for (const std::string& word : Words(text)) {
      const size_t equals = word.find('=');
      const std::string key = word.substr(0, equals);
      const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
      if (!options.emplace(key, value).second) {
        return absl::InvalidArgumentError(fmt::format("option '{}' is given twice", key));
      }
    }
    return options;
  }

  static std::optional<std::string> Take(Options& options, const std::string& key) {
    const auto found = options.find(key);
    if (found == options.end()) return std::nullopt;
    std::string value = found->second;
    options.erase(found);
    return value;
  }

  // Moves the numbers of option `key`, if it is given, to `targets`.
  static absl::Status TakeNumbers(Options& options, const std::string& key, char separator,
                                  const std::vector<int64_t*>& targets) {
    const std::optional<std::string> text = Take(options, key);
    if (!text.has_value()) return absl::OkStatus();
    MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                          Numbers(*text, separator, targets.size()));
    for (size_t i = 0; i < targets.size(); ++i) *targets[i] = numbers[i];
    return absl::OkStatus();
  }

  static absl::Status TakePadding(Options& options, Padding& padding) {
    return TakeNumbers(options, "p", ',',
                       {&padding.top, &padding.left, &padding.bottom, &padding.right});
  }

  static absl::Status TakeActivation(Options& options, Node& node) {
    const std::optional<std::string> relu = Take(options, "relu");
    node.activation.relu = relu.has_value() || node.op == OpKind::kRelu;
    if (!relu.has_value() || relu->empty()) return absl::OkStatus();
    float upper = 0;
    if (!absl::SimpleAtof(*relu, &upper)) {
      return absl::InvalidArgumentError(fmt::format("relu={}: not a number", *relu));
    }
    node.activation.upper = upper;
    return absl::OkStatus();
  }

  static absl::Status TakeAttributes(Options& options, Node& node, Shape& declared) {
    switch (node.op) {
      case OpKind::kConv:
        return TakeConv(options, node.attributes.emplace<ConvAttributes>());
      case OpKind::kMaxPool:
      case OpKind::kAveragePool:
        return TakePool(options, node.op, node.attributes.emplace<PoolAttributes>());
      case OpKind::kSlice:
        return TakeSlice(options, node.attributes.emplace<SliceAttributes>(), declared);
      case OpKind::kPad:
        return TakePad(options, node.attributes.emplace<PadAttributes>());
      case OpKind::kAdd:
      case OpKind::kRelu:
      case OpKind::kConcat:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  static absl::Status TakeConv(Options& options, ConvAttributes& conv) {
    if (!options.contains("out")) return absl::InvalidArgumentError("Conv needs 'out='");
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "k", 'x', {&conv.kernel_height, &conv.kernel_width}));
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "s", 'x', {&conv.stride_height, &conv.stride_width}));
    MICO_RETURN_IF_ERROR(
        TakeNumbers(options, "d", 'x', {&conv.dilation_height, &conv.dilation_width}));
    MICO_RETURN_IF_ERROR(TakePadding(options, conv.padding));
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "g", ',', {&conv.groups}));
    return TakeNumbers(options, "out", ',', {&conv.out_channels});
  }

  static absl::Status TakePool(Options& options, OpKind op, PoolAttributes& pool) {
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "k", 'x', {&pool.kernel_height, &pool.kernel_width}));
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "s", 'x', {&pool.stride_height, &pool.stride_width}));
    MICO_RETURN_IF_ERROR(TakePadding(options, pool.padding));
    if (op == OpKind::kAveragePool) {
      pool.count_include_pad = Take(options, "include_pad").has_value();
    }
    return absl::OkStatus();
  }

  static absl::Status TakeSlice(Options& options, SliceAttributes& slice, Shape& declared) {
    MICO_RETURN_IF_ERROR(TakeNumbers(
        options, "start", ',', {&slice.start_channel, &slice.start_row, &slice.start_column}));
    MICO_RETURN_IF_ERROR(TakeNumbers(options, "step", ',',
                                     {&slice.step_channel, &slice.step_row, &slice.step_column}));
    if (!options.contains("size")) return absl::InvalidArgumentError("Slice needs 'size='");
    return TakeNumbers(options, "size", 'x',
                       {&declared.channels, &declared.height, &declared.width});
  }

  static absl::Status TakePad(Options& options, PadAttributes& pad) {
    MICO_RETURN_IF_ERROR(
        TakeNumbers(options, "c", ',', {&pad.channels_before, &pad.channels_after}));
    return TakePadding(options, pad.padding);
  }

  Graph graph_{.name = "text"};
  std::map<std::string, int> values_;
  bool has_input_ = false;
};

std::string PaddingOption(const Padding& padding) {
  if (padding == Padding{}) return "";
  return fmt::format(" p={},{},{},{}", padding.top, padding.left, padding.bottom, padding.right);
}

std::string PairOption(std::string_view key, int64_t height, int64_t width) {
  return height == 1 && width == 1 ? "" : fmt::format(" {}={}x{}", key, height, width);
}

std::string Print(const ConvAttributes& conv) {
  return fmt::format(" k={}x{}{}{}{}{} out={}", conv.kernel_height, conv.kernel_width,
                     PairOption("s", conv.stride_height, conv.stride_width),
                     PairOption("d", conv.dilation_height, conv.dilation_width),
                     PaddingOption(conv.padding),
                     conv.groups == 1 ? "" : fmt::format(" g={}", conv.groups), conv.out_channels);
}

std::string Print(const PoolAttributes& pool) {
  return fmt::format(" k={}x{}{}{}{}", pool.kernel_height, pool.kernel_width,
                     PairOption("s", pool.stride_height, pool.stride_width),
                     PaddingOption(pool.padding), pool.count_include_pad ? " include_pad" : "");
}

std::string Print(const SliceAttributes& slice) {
  return fmt::format(" start={},{},{} step={},{},{}", slice.start_channel, slice.start_row,
                     slice.start_column, slice.step_channel, slice.step_row, slice.step_column);
}

std::string Print(const PadAttributes& pad) {
  return fmt::format(" c={},{}{}", pad.channels_before, pad.channels_after,
                     PaddingOption(pad.padding));
}

std::string Print(std::monostate) { return ""; }

std::string PrintActivation(const Node& node) {
  if (node.activation.upper.has_value()) return fmt::format(" relu={}", *node.activation.upper);
  return node.activation.relu && node.op != OpKind::kRelu ? " relu" : "";
}

std::string PrintNode(const Graph& graph, const Node& node) {
  std::vector<std::string> inputs;
  for (const int input : node.inputs) inputs.push_back(graph.values[input].name);
  const Value& output = graph.values[node.output];
  std::string line =
      fmt::format("{} = {}({})", output.name, ToString(node.op), fmt::join(inputs, ", "));
  line += std::visit([](const auto& attributes) { return Print(attributes); }, node.attributes);
  if (node.op == OpKind::kSlice) line += fmt::format(" size={}", ToString(output.shape));
  return line + PrintActivation(node) + "\n";
}

std::vector<float> DrawNormal(Random& random, int64_t count, double deviation) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Gaussian() * deviation);
  return values;
}

}  // namespace

absl::StatusOr<Shape> ParseShape(const std::string& text) {
  const size_t count = text.find('x') == std::string::npos ? 1 : 3;
  MICO_ASSIGN_OR_RETURN(const std::vector<int64_t> extents, Numbers(text, 'x', count));
  if (count == 1) return Shape{.channels = extents[0]};
  return Shape{extents[0], extents[1], extents[2]};
}

absl::StatusOr<Graph> ParseGraph(std::string_view text) {
  GraphParser parser;
  int number = 0;
  for (const std::string& line : Split(std::string(text), '\n')) {
    ++number;
    const absl::Status status = parser.ReadLine(line);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("line {} '{}': {}", number, line, std::string(status.message())));
    }
  }
  return parser.Finish();
}

std::string PrintGraph(const Graph& graph) {
  const Value& input = graph.values[graph.input];
  std::string text = fmt::format("input {} {}\n", input.name, ToString(input.shape));
  for (const Node& node : graph.nodes) text += PrintNode(graph, node);
  for (const GraphOutput& output : graph.outputs) {
    const std::string& value = graph.values[output.value].name;
    text += output.name == value ? fmt::format("output {}\n", value)
                                 : fmt::format("output {} = {}\n", output.name, value);
  }
  return text;
}

absl::StatusOr<ModelPackage> WithRandomWeights(Graph graph, uint64_t seed) {
  MICO_RETURN_IF_ERROR(Validate(graph));
  Random random(seed);
  Weights weights;
  for (const int index : graph.QuantizedLayers()) {
    const Node& node = graph.nodes[index];
    const ConvAttributes& conv = node.conv();
    const int64_t fan_in = graph.values[node.inputs[0]].shape.channels / conv.groups *
                           conv.kernel_height * conv.kernel_width;
    std::vector<float> values = DrawNormal(random, conv.out_channels * fan_in,
                                           std::sqrt(2.0 / static_cast<double>(fan_in)));
    weights.layers.push_back({std::move(values), DrawNormal(random, conv.out_channels, 0.1)});
  }
  return MakeModelPackage(std::move(graph), std::move(weights));
}

}  // namespace mico
