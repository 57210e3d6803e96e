#include "model/graph.h"

#include <limits>

#include "gmock/gmock.h"
#include "model/text_form.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kEveryOperator =
    "input x 3x33x32\n"
    "stem = Conv(x) k=3x5 s=2x1 d=1x2 p=1,4,1,4 out=16 relu\n"
    "dw = Conv(stem) k=3x3 p=1,1,1,1 g=16 out=16 relu=6\n"
    "sum = Add(stem, dw) relu\n"
    "max = MaxPool(sum) k=3x3 s=2x2 p=1,1,1,1\n"
    "mean = AveragePool(max) k=2x2 p=1,0,0,0 include_pad\n"
    "free = Relu(mean)\n"
    "free6 = Relu(mean) relu=6.5\n"
    "both = Concat(free, free6, mean)\n"
    "part = Slice(both) start=1,0,2 step=2,3,1 size=20x3x10\n"
    "wide = Pad(part) c=2,3 p=1,0,0,4\n"
    "fc = Conv(wide) k=4x14 out=10\n"
    "output fc\n";

Graph Parse(std::string_view text) {
  absl::StatusOr<Graph> graph = ParseGraph(text);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.value_or(Graph{});
}

std::string ParseError(std::string_view text) {
  const absl::StatusOr<Graph> graph = ParseGraph(text);
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kInvalidArgument) << graph.status();
  return std::string(graph.status().message());
}

Graph Chain() { return Parse("input x 3x8x8\na = Conv(x) k=3x3 out=4\nb = Relu(a)\noutput b\n"); }

std::string ValidateError(const Graph& graph) {
  const absl::Status status = Validate(graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(TextFormTest, EveryOperatorComesBackAsItWas) {
  EXPECT_EQ(PrintGraph(Parse(kEveryOperator)), kEveryOperator);
}

TEST(TextFormTest, SeveralOutputsComeBackAsTheyWere) {
  constexpr std::string_view kText =
      "input x 3x4x4\n"
      "a = Conv(x) k=1x1 out=4 relu\n"
      "b = Conv(a) k=4x4 out=2\n"
      "output b\n"
      "output features = a\n"
      "output again = b\n";
  const Graph graph = Parse(kText);
  EXPECT_EQ(PrintGraph(graph), kText);
  EXPECT_THAT(graph.outputs, ElementsAre(GraphOutput{"b", 2}, GraphOutput{"features", 1},
                                         GraphOutput{"again", 2}));
  EXPECT_EQ(graph.scored_value(), 2);
  EXPECT_THAT(ParseError("input x 3x4x4\na = Conv(x) out=4\noutput y = b\n"),
              HasSubstr("no value 'b'"));
}

TEST(TextFormTest, DefaultsAndCommentsMayBeWritten) {
  const Graph graph = Parse(
      "# a comment\n\n"
      "input x 8\n"
      "  fc =  Conv( x )  k=1x1 s=1x1 d=1x1 p=0,0,0,0 g=1 out=3\n"
      "output fc");
  EXPECT_EQ(PrintGraph(graph), "input x 8x1x1\nfc = Conv(x) k=1x1 out=3\noutput fc\n");
}

TEST(TextFormTest, ErrorsNameTheLine) {
  EXPECT_THAT(ParseError("input x 3x8x8\na = Conv(y) k=1x1 out=2\noutput a"),
              HasSubstr("line 2 'a = Conv(y) k=1x1 out=2': no value 'y'"));
  EXPECT_THAT(ParseError("input x 3x8x8\na = Sigmoid(x)\noutput a"),
              HasSubstr("no operator 'Sigmoid'"));
  EXPECT_THAT(ParseError("input x 3x8x8\na = Relu(x) k=1x1\noutput a"),
              HasSubstr("has no option 'k'"));
  EXPECT_THAT(ParseError("input x 3x8x8\na = Conv(x) k=1x1\noutput a"), HasSubstr("needs 'out='"));
  EXPECT_THAT(ParseError("input x 3x8\n"), HasSubstr("needs 3"));
  EXPECT_THAT(ParseError("input x 3x8x8\na = Relu(x)\n"), HasSubstr("output"));
  EXPECT_THAT(ParseError("input x 3x8x8\na = Conv(x) k=3x3 k=1x1 out=2\noutput a"),
              HasSubstr("twice"));
}

TEST(GraphTest, ShapesFollowFromTheAttributes) {
  const Graph graph = Parse(kEveryOperator);
  std::vector<std::string> shapes;
  for (const Value& value : graph.values) shapes.push_back(ToString(value.shape));
  EXPECT_THAT(shapes,
              ElementsAre("3x33x32", "16x17x32", "16x17x32", "16x17x32", "16x9x16", "16x9x15",
                          "16x9x15", "16x9x15", "48x9x15", "20x3x10", "25x4x14", "10x1x1"));
}

TEST(GraphTest, QuantizedLayersAreTheConvolutions) {
  EXPECT_THAT(Parse(kEveryOperator).QuantizedLayers(), ElementsAre(0, 1, 10));
}

TEST(GraphTest, MacsCountEveryProductOnce) {
  const Graph graph = Parse(kEveryOperator);
  EXPECT_EQ(CountMacs(graph, graph.nodes[0]), 16 * 17 * 32 * 3 * 3 * 5);
  EXPECT_EQ(CountMacs(graph, graph.nodes[1]), 16 * 17 * 32 * 9);
  EXPECT_EQ(CountMacs(graph, graph.nodes[10]), 10 * 25 * 4 * 14);
}

TEST(GraphTest, ShapesThatCannotBeAreRefused) {
  const auto error = [](const std::string& line) {
    return ParseError("input x 6x8x8\ny = Conv(x) k=3x3 out=4\n" + line + "\noutput z\n");
  };
  EXPECT_THAT(error("z = Conv(x) k=9x3 out=4"), HasSubstr("covers 9 elements of height"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 g=4 out=4"), HasSubstr("not multiples of 4 groups"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 g=3 out=4"), HasSubstr("not multiples of 3 groups"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 s=0x1 out=4"), HasSubstr("out of range"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 p=-1,0,0,0 out=4"), HasSubstr("out of range"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 out=0"), HasSubstr("out of range"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 out=2147483647"), HasSubstr("2^31"));
  EXPECT_THAT(error("z = Add(x, y)"), HasSubstr("adds 6x8x8 and 4x6x6"));
  EXPECT_THAT(error("z = Add(x)"), HasSubstr("1 inputs; needs 2"));
  EXPECT_THAT(error("z = Concat(x, y)"), HasSubstr("differ in height or width"));
  EXPECT_THAT(error("z = MaxPool(x) k=2x2 p=2,0,0,0"), HasSubstr("not smaller than the kernel"));
  EXPECT_THAT(error("z = Slice(x) start=1,0,0 size=6x8x8"), HasSubstr("does not lie inside"));
  EXPECT_THAT(error("z = Slice(x) step=1,3,1 size=6x4x8"), HasSubstr("does not lie inside"));
  EXPECT_THAT(error("z = Pad(x) c=-1,0"), HasSubstr("out of range"));
  EXPECT_THAT(error("z = Pad(x) c=2147483647,0"), HasSubstr("2^31"));
  EXPECT_THAT(error("z = MaxPool(x) k=2x2 relu"), HasSubstr("has an activation"));
  EXPECT_THAT(error("z = Conv(x) k=1x1 out=4 relu=-1"), HasSubstr("upper limit -1"));
}

TEST(ValidateTest, IndicesMustExist) {
  Graph graph = Chain();
  graph.nodes[0].inputs[0] = 7;
  EXPECT_THAT(ValidateError(graph), HasSubstr("reads value number 7"));
  graph = Chain();
  graph.nodes[0].output = -1;
  EXPECT_THAT(ValidateError(graph), HasSubstr("writes value number -1"));
  graph = Chain();
  graph.input = 3;
  EXPECT_THAT(ValidateError(graph), HasSubstr("input is value number 3; there are 3"));
}

TEST(ValidateTest, OutputsExistAreNamedOnceAndAreComputed) {
  const auto error = [](const std::vector<GraphOutput>& outputs) {
    Graph graph = Chain();
    graph.outputs = outputs;
    return ValidateError(graph);
  };
  EXPECT_THAT(error({}), HasSubstr("0 outputs; needs 1 to 64"));
  EXPECT_THAT(error(std::vector<GraphOutput>(65)), HasSubstr("65 outputs; needs 1 to 64"));
  EXPECT_THAT(error({{"y", 3}}), HasSubstr("output 'y' is value number 3; there are 3"));
  EXPECT_THAT(error({{"y", -1}}), HasSubstr("output 'y' is value number -1"));
  EXPECT_THAT(error({{"y", 1}, {"y", 2}}), HasSubstr("two outputs are named 'y'"));
  EXPECT_THAT(error({{"y\n", 1}}), HasSubstr("output name of 2 characters"));
  EXPECT_THAT(error({{"y", 2}, {"copy", 0}}), HasSubstr("output 'copy' is the network's input"));
}

TEST(ValidateTest, OutputsTogetherAreBounded) {
  const std::string layer = "input x 1x4096x4096\na = Conv(x) out=8\n";
  EXPECT_TRUE(ParseGraph(layer + "output a\noutput b = a\n").ok());
  EXPECT_THAT(ParseError(layer + "output a\noutput b = a\noutput c = a\n"),
              HasSubstr("outputs up to 'c' have 402653184 elements; at most 268435456"));
}

TEST(ValidateTest, ValuesAreWrittenOnceAndBeforeTheyAreRead) {
  Graph graph = Chain();
  std::swap(graph.nodes[0], graph.nodes[1]);
  EXPECT_THAT(ValidateError(graph), HasSubstr("reads 'a' before it is written"));
  graph = Chain();
  graph.nodes[1].output = graph.nodes[0].output;
  EXPECT_THAT(ValidateError(graph), HasSubstr("writes 'a' a second time"));
  graph = Chain();
  graph.values.push_back({"orphan", {}});
  EXPECT_THAT(ValidateError(graph), HasSubstr("'orphan' is written by no node"));
}

TEST(ValidateTest, DeclaredShapesMustFollow) {
  Graph graph = Chain();
  graph.values[1].shape.height = 5;
  EXPECT_THAT(ValidateError(graph), HasSubstr("gives 4x6x6, but its value 'a' is declared 4x5x6"));
  graph = Chain();
  graph.values[0].shape = {1 << 20, 1 << 20, 1};
  EXPECT_THAT(ValidateError(graph), HasSubstr("fewer than 2^31"));
}

TEST(ValidateTest, AttributesMustBeTheOperatorsOwn) {
  Graph graph = Chain();
  graph.nodes[0].attributes = PoolAttributes{};
  EXPECT_THAT(ValidateError(graph), HasSubstr("another operator's attributes"));
  graph = Chain();
  graph.nodes[0].activation.upper = 6.0f;
  EXPECT_THAT(ValidateError(graph), HasSubstr("needs a ReLU"));
  graph = Chain();
  graph.nodes[1].activation = {.relu = true, .upper = std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(ValidateError(graph), HasSubstr("upper limit nan"));
}

TEST(ValidateTest, NamesArePlainAndUnique) {
  Graph graph = Chain();
  graph.nodes[1].name = "a";
  EXPECT_THAT(ValidateError(graph), HasSubstr("two nodes are named 'a'"));
  graph = Chain();
  graph.nodes[0].name = "a*/ #include";
  EXPECT_THAT(ValidateError(graph), HasSubstr("letters, digits"));
  graph = Chain();
  graph.values[1].name = "";
  EXPECT_THAT(ValidateError(graph), HasSubstr("empty"));
}

TEST(ValidateTest, AGraphNeedsNodes) {
  EXPECT_THAT(ValidateError(Graph{.values = {{"x", {}}}}), HasSubstr("0 nodes"));
}

}  // namespace
}  // namespace mico
