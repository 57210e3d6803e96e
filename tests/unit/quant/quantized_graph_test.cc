#include "quant/quantized_graph.h"

#include <map>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ParseNetwork;
using testing::ParseScheme;

// Lowers a network and answers with types as text: Type("conv1") is "u4".
class LowerGraphTest : public ::testing::Test {
 protected:
  void Lower(std::string_view network, std::string_view scheme, bool input_non_negative = true) {
    auto lowered = LowerGraph(ParseNetwork(network), input_non_negative, ParseScheme(scheme));
    ASSERT_TRUE(lowered.ok()) << lowered.status();
    graph_ = *std::move(lowered);
    ASSERT_TRUE(Validate(graph_).ok()) << Validate(graph_);
  }
  std::string Type(std::string_view tensor) const {
    for (const QuantizedTensor& candidate : graph_.tensors) {
      if (candidate.name == tensor) return candidate.type.ToString();
    }
    return "none";
  }
  std::string OutputType() const { return graph_.tensors[graph_.scored_tensor()].type.ToString(); }
  // "Conv(x)", in execution order.
  std::vector<std::string> Steps() const {
    std::vector<std::string> steps;
    for (const Step& step : graph_.steps) {
      steps.push_back(
          fmt::format("{}({})", ToString(step.kind), graph_.tensors[step.inputs[0]].name));
    }
    return steps;
  }

  QuantizedGraph graph_;
};

TEST_F(LowerGraphTest, StoresATensorAtTheWidthItsOnlyReaderAsksFor) {
  Lower(R"(
    input x 3x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4 relu
    c = Conv(b) out=4
    output c)",
        "w8a8,w4a3,w2a1");
  EXPECT_EQ(Type("x"), "u8");
  EXPECT_EQ(Type("a"), "u3");
  EXPECT_EQ(Type("b"), "u1");
  EXPECT_THAT(Steps(), ElementsAre("Conv(x)", "Conv(a)", "Conv(b)"));
  EXPECT_EQ(graph_.steps[1].weight_bits, 4);
  EXPECT_EQ(graph_.steps[2].layer, 2);
}

TEST_F(LowerGraphTest, StoresATensorNarrowWhereAllItsReadersAgree) {
  Lower(R"(
    input x 3x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    c = Conv(a) out=4
    s = Add(b, c)
    output s)",
        "w8a8,w4a2,w8a2");
  EXPECT_EQ(Type("a"), "u2");
  EXPECT_EQ(graph_.steps.size(), 4u);
}

TEST_F(LowerGraphTest, StoresEightBitsWhereReadersDifferAndNarrowsForEachOnce) {
  Lower(R"(
    input x 3x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    c = Conv(a) out=4
    d = Conv(a) out=4
    e = Concat(b, c)
    f = Concat(e, d)
    output f)",
        "w8a8,w4a2,w4a4,w4a2");
  EXPECT_EQ(Type("a"), "u8");
  EXPECT_EQ(Type("a.u2"), "u2");
  EXPECT_EQ(Type("a.u4"), "u4");
  EXPECT_THAT(Steps(),
              ElementsAre("Conv(x)", "Requantize(a)", "Conv(a.u2)", "Requantize(a)", "Conv(a.u4)",
                          "Conv(a.u2)", "Concat(b)", "Concat(e)", "Requantize(f)"));
}

TEST_F(LowerGraphTest, KeepsAResidualStreamAtEightBitsWhateverItsReadersAsk) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    s = Add(a, b) relu
    c = Conv(s) out=4
    t = Add(s, c) relu
    output t)",
        "w8a8,w2a2,w2a2");
  EXPECT_EQ(Type("a"), "u8");
  EXPECT_EQ(Type("b"), "s8");
  EXPECT_EQ(Type("s"), "u8");
  EXPECT_EQ(Type("s.u2"), "u2");
  EXPECT_EQ(Type("t"), "s16");
}

TEST_F(LowerGraphTest, StoresEightBitsForAnAveragePool) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    p = AveragePool(a) k=4x4
    c = Conv(p) out=2
    output c)",
        "w8a8,w4a4,w4a4");
  EXPECT_EQ(Type("a"), "u8");
  EXPECT_EQ(Type("p"), "u4");
  EXPECT_EQ(Type("b"), "s8");
}

TEST_F(LowerGraphTest, StoresTheInputAtTheWidthThatItsLayerAsksFor) {
  Lower("input x 3x4x4\na = Conv(x) out=4\noutput a", "w8a4");
  EXPECT_EQ(Type("x"), "u4");
  Lower("input x 3x4x4\na = Conv(x) out=4\noutput a", "w8a4", false);
  EXPECT_EQ(Type("x"), "s4");
}

TEST_F(LowerGraphTest, GivesAllInputsOfAConcatOneGrid) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    b = Conv(x) out=4
    c = Concat(a, b)
    d = Conv(c) out=4
    output d)",
        "w8a8,w8a8,w4a3");
  // b can be negative, so a shares the signed grid.
  EXPECT_EQ(Type("a"), "s3");
  EXPECT_EQ(Type("b"), "s3");
  EXPECT_EQ(Type("c"), "s3");
}

TEST_F(LowerGraphTest, DoesNotRequantizeWhatOnlyMoves) {
  Lower(R"(
    input x 4x6x6
    a = Conv(x) out=4 relu
    m = MaxPool(a) k=2x2 s=2x2
    p = Pad(m) c=0,1 p=1,1,1,1
    s = Slice(p) start=0,0,0 step=1,2,2 size=5x2x2
    b = Conv(s) out=4
    output b)",
        "w8a8,w4a2");
  for (const char* tensor : {"a", "m", "p", "s"}) EXPECT_EQ(Type(tensor), "u2") << tensor;
  EXPECT_THAT(Steps(), ElementsAre("Conv(x)", "MaxPool(a)", "Pad(m)", "Slice(p)", "Conv(s)"));
}

TEST_F(LowerGraphTest, KeepsTheSignedGridForAReluThatIsNotFused) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4
    r = Relu(a) relu
    b = Conv(r) out=4
    output b)",
        "w8a8,w4a3");
  EXPECT_EQ(Type("a"), "s3");
  EXPECT_EQ(Type("r"), "s3");
}

TEST_F(LowerGraphTest, WritesTheOutputInSixteenBitsWhereItIsComputed) {
  Lower("input x 4x4x4\na = Conv(x) out=4 relu\noutput a", "w8a8");
  EXPECT_EQ(OutputType(), "s16");
  EXPECT_THAT(Steps(), ElementsAre("Conv(x)"));
  Lower("input x 4x4x4\na = Conv(x) out=4 relu\np = AveragePool(a) k=4x4\noutput p", "w8a8");
  EXPECT_EQ(Type("p"), "s16");
}

TEST_F(LowerGraphTest, RequantizesAnOutputThatIsMovedOrReadElsewhere) {
  Lower("input x 4x4x4\na = Conv(x) out=4 relu\nm = MaxPool(a) k=4x4\noutput m", "w8a8");
  EXPECT_THAT(Steps(), ElementsAre("Conv(x)", "MaxPool(a)", "Requantize(m)"));
  EXPECT_EQ(Type("m"), "u8");
  EXPECT_EQ(OutputType(), "s16");

  Lower("input x 4x4x4\na = Conv(x) out=4 relu\nb = Conv(a) out=4\noutput a", "w8a8,w4a2");
  EXPECT_EQ(Type("a"), "u8");
  EXPECT_EQ(Type("a.u2"), "u2");
  EXPECT_EQ(graph_.steps.back().kind, StepKind::kRequantize);
  EXPECT_EQ(OutputType(), "s16");
}

TEST_F(LowerGraphTest, WritesEveryOutputInSixteenBits) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    m = MaxPool(a) k=4x4
    b = Conv(a) out=3
    c = Conv(a) out=2
    output b
    output moved = m
    output inner = a
    output c
    output twice = c
    output moved_twice = m)",
        "w8a8,w4a2,w4a2");
  EXPECT_EQ(Type("b"), "s16");
  EXPECT_EQ(Type("c"), "s16");
  EXPECT_EQ(Type("a"), "u8");
  EXPECT_EQ(Type("m"), "u8");
  EXPECT_THAT(Steps(), ElementsAre("Conv(x)", "MaxPool(a)", "Requantize(a)", "Conv(a.u2)",
                                   "Conv(a.u2)", "Requantize(m)", "Requantize(a)"));
  std::vector<std::string> outputs;
  for (const QuantizedOutput& output : graph_.outputs) {
    outputs.push_back(fmt::format("{}={}", output.name, graph_.tensors[output.tensor].name));
    EXPECT_EQ(graph_.tensors[output.tensor].type.ToString(), "s16");
  }
  EXPECT_THAT(outputs, ElementsAre("b=b", "moved=m.s16", "inner=a.s16", "c=c", "twice=c",
                                   "moved_twice=m.s16"));
  const OutputLayout layout = LayOutOutputs(graph_);
  EXPECT_THAT(layout.offsets, ElementsAre(0, 48, 52, 116, 116, 48));
  EXPECT_EQ(layout.elements, 148);
}

TEST_F(LowerGraphTest, NumbersTensorsLikeValues) {
  const Graph graph = ParseNetwork(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    s = Add(a, b)
    output s)");
  const auto lowered = LowerGraph(graph, true, ParseScheme("w8a8,w2a2"));
  ASSERT_TRUE(lowered.ok());
  ASSERT_EQ(lowered->tensors.size(), graph.values.size() + 1);
  for (size_t i = 0; i < graph.values.size(); ++i) {
    EXPECT_EQ(lowered->tensors[i].name, graph.values[i].name);
    EXPECT_EQ(lowered->tensors[i].shape, graph.values[i].shape);
  }
}

TEST_F(LowerGraphTest, NamesNarrowCopiesLikeNothingElse) {
  Lower(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    a.u2 = Conv(a) out=4
    s = Add(a, a.u2)
    output s)",
        "w8a8,w2a2");
  EXPECT_EQ(graph_.tensors.back().name, "a.u2_");
}

TEST_F(LowerGraphTest, RefusesOneBitOfASignedTensor) {
  const Graph graph = ParseNetwork("input x 4x4x4\na = Conv(x) out=4\nb = Conv(a) out=4\noutput b");
  const auto refused = LowerGraph(graph, true, ParseScheme("w1a1,w1a1"));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("layer 'b'"));
  EXPECT_THAT(refused.status().message(), HasSubstr("at least 2 bits"));
}

TEST_F(LowerGraphTest, RefusesASchemeOfAnotherNetworkOrWidth) {
  const Graph graph = ParseNetwork("input x 4x4x4\na = Conv(x) out=4\noutput a");
  EXPECT_THAT(LowerGraph(graph, true, ParseScheme("w8a8,w8a8")).status().message(),
              HasSubstr("2 layers"));
  for (const LayerBits bits :
       {LayerBits{0, 8}, LayerBits{8, 9}, LayerBits{9, 8}, LayerBits{8, 0}}) {
    EXPECT_EQ(LowerGraph(graph, true, BitScheme({bits})).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// By the name of a value, whether its group cannot be negative.
std::map<std::string, bool> NonNegative(const Graph& graph, bool input_non_negative) {
  const ValueGroups groups = GroupValues(graph, input_non_negative);
  std::map<std::string, bool> by_name;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    by_name[graph.values[i].name] = groups.non_negative[groups.group_of_value[i]];
  }
  return by_name;
}

TEST(GroupValuesTest, KnowsWhatCannotBeNegative) {
  const Graph graph = ParseNetwork(R"(
    input x 4x4x4
    conv = Conv(x) out=4
    relu = Conv(x) out=4 relu
    six = Conv(x) out=4 relu=6
    sum = Add(relu, six)
    mixed = Add(relu, conv)
    clamped = Add(relu, conv) relu
    pool = AveragePool(relu) k=2x2
    poolx = AveragePool(x) k=2x2
    poolc = AveragePool(conv) k=2x2
    output pool)");
  const auto known = NonNegative(graph, true);
  for (const char* name : {"x", "relu", "six", "sum", "clamped", "pool", "poolx"}) {
    EXPECT_TRUE(known.at(name)) << name;
  }
  for (const char* name : {"conv", "mixed", "poolc"}) EXPECT_FALSE(known.at(name)) << name;
  EXPECT_FALSE(NonNegative(graph, false).at("x"));
  EXPECT_FALSE(NonNegative(graph, false).at("poolx"));
}

TEST(GroupValuesTest, CarriesASignThroughSeveralGroups) {
  // The signed b makes its group signed, so the pool of a is signed, and so is what adds it.
  const auto known = NonNegative(ParseNetwork(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    p = AveragePool(a) k=1x1
    s = Add(p, p)
    b = Conv(s) out=4
    c = Concat(a, b)
    output c)"),
                                 true);
  EXPECT_FALSE(known.at("a"));
  EXPECT_FALSE(known.at("p"));
  EXPECT_FALSE(known.at("s"));
}

TEST(GroupValuesTest, ListsTheProducersOfEveryGroup) {
  const Graph graph = ParseNetwork(R"(
    input x 4x4x4
    a = Conv(x) out=4
    m = MaxPool(x) k=1x1
    c = Concat(a, m)
    s = Add(c, c)
    output s)");
  const ValueGroups groups = GroupValues(graph, true);
  EXPECT_THAT(groups.group_of_value, ElementsAre(0, 0, 0, 0, 1));
  EXPECT_THAT(groups.producers, ElementsAre(ElementsAre(0, 1), ElementsAre(4)));
}

TEST(LeastInputBitsTest, IsTwoForSignedInputs) {
  const Graph graph = ParseNetwork(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    b = Conv(a) out=4
    c = Conv(b) out=4
    output c)");
  EXPECT_THAT(LeastInputBits(graph, true), ElementsAre(1, 1, 2));
  EXPECT_THAT(LeastInputBits(graph, false), ElementsAre(2, 1, 2));
}

TEST(InputLayersTest, FollowsMovesOfTheInput) {
  const Graph graph = ParseNetwork(R"(
    input x 4x4x4
    p = Pad(x) p=1,1,1,1
    m = MaxPool(p) k=2x2
    a = Conv(m) out=4
    b = Conv(a) out=4
    c = Conv(x) out=4
    q = AveragePool(x) k=2x2
    d = Conv(q) out=4
    output d)");
  EXPECT_THAT(InputLayers(graph), ElementsAre(true, false, true, false));
}

TEST(ValidateQuantizedGraphTest, RefusesGraphsThatDoNotHoldTogether) {
  const auto lowered = LowerGraph(ParseNetwork(R"(
    input x 4x4x4
    a = Conv(x) out=4 relu
    m = MaxPool(a) k=2x2
    b = Conv(m) out=4
    output b)"),
                                  true, ParseScheme("w8a8,w4a4"));
  ASSERT_TRUE(lowered.ok());
  const auto refuses = [&](auto change) {
    QuantizedGraph graph = *lowered;
    change(graph);
    return !Validate(graph).ok();
  };
  EXPECT_TRUE(Validate(*lowered).ok());
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].inputs = {7}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].inputs = {-1}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].inputs = {2}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].inputs = {}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[1].output = 1; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[1].kind = StepKind::kSlice; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[1].kind = static_cast<StepKind>(77); }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[1].shape.height = 5; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[2].shape.channels = int64_t{1} << 40; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[2].type.bits = 3; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[0].type.bits = 0; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[0].type = {1, true}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[0].type = {16, true}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[3].type = {8, true}; }));
  EXPECT_TRUE(refuses([](auto& g) { g.tensors[0].name = "*/ evil"; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].name = "a\nb"; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[2].layer = 0; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[0].weight_bits = 9; }));
  EXPECT_TRUE(refuses([](auto& g) { g.steps[1].weight_bits = 8; }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs[0].tensor = 2; }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs[0].tensor = 9; }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs[0].tensor = g.input; }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs[0].name = "a b"; }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs.push_back(g.outputs[0]); }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs.push_back({"inner", 1}); }));
  EXPECT_TRUE(refuses([](auto& g) { g.outputs.clear(); }));
  EXPECT_FALSE(refuses([](auto& g) { g.outputs.push_back({"again", g.outputs[0].tensor}); }));
  EXPECT_TRUE(refuses([](auto& g) { g.input = 9; }));
}

}  // namespace
}  // namespace mico
