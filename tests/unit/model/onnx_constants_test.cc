#include "model/onnx_constants.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using ::testing::ElementsAre;

ConstantPointer Integers(std::vector<int64_t> dims, std::vector<int64_t> values) {
  return std::make_shared<const ConstantTensor>(
      ConstantTensor{.dims = std::move(dims), .integers = std::move(values)});
}

ConstantPointer List(std::vector<int64_t> values) {
  const int64_t size = static_cast<int64_t>(values.size());
  return Integers({size}, std::move(values));
}

ConstantPointer Floats(std::vector<int64_t> dims, std::vector<float> values) {
  return std::make_shared<const ConstantTensor>(
      ConstantTensor{.dims = std::move(dims), .is_float = true, .floats = std::move(values)});
}

// Evaluates the last node of `file`, whose inputs are `inputs` in order.
absl::StatusOr<ConstantTensor> Evaluate(OnnxFile& file, const Constants& inputs,
                                        int64_t opset = 13) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    file.node().add_input(inputs[i] == nullptr ? "" : "input" + std::to_string(i));
  }
  return EvaluateConstant(OnnxNode(file.node(), "n", opset), inputs);
}

ConstantTensor Value(OnnxFile& file, const Constants& inputs, int64_t opset = 13) {
  const absl::StatusOr<ConstantTensor> result = Evaluate(file, inputs, opset);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.value_or(ConstantTensor{});
}

OnnxFile NodeOf(const std::string& type) {
  OnnxFile file;
  file.Node(type, {}, "y");
  return file;
}

TEST(OnnxConstantsTest, SliceGoesBackwardsToo) {
  OnnxFile file = NodeOf("Slice");
  const ConstantTensor result =
      Value(file, {Integers({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), List({-1}),
                   List({std::numeric_limits<int64_t>::min()}), List({0}), List({-1})});
  EXPECT_THAT(result.dims, ElementsAre(4, 2));
  EXPECT_THAT(result.integers, ElementsAre(7, 8, 5, 6, 3, 4, 1, 2));
}

TEST(OnnxConstantsTest, SliceOfNothingIsEmpty) {
  OnnxFile file = NodeOf("Slice");
  EXPECT_THAT(Value(file, {List({}), List({-1}), List({-100}), List({0}), List({-1})}).dims,
              ElementsAre(0));
}

TEST(OnnxConstantsTest, TransposePermutes) {
  OnnxFile file = NodeOf("Transpose");
  file.Ints("perm", {2, 0, 1});
  const ConstantTensor result = Value(file, {Integers({1, 2, 3}, {1, 2, 3, 4, 5, 6})});
  EXPECT_THAT(result.dims, ElementsAre(3, 1, 2));
  EXPECT_THAT(result.integers, ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(OnnxConstantsTest, GatherTakesAlongItsAxis) {
  OnnxFile file = NodeOf("Gather");
  file.Int("axis", 1);
  const ConstantTensor result =
      Value(file, {Floats({2, 3}, {1, 2, 3, 4, 5, 6}), Integers({}, {-1})});
  EXPECT_THAT(result.dims, ElementsAre(2));
  EXPECT_THAT(result.floats, ElementsAre(3, 6));
}

TEST(OnnxConstantsTest, ConcatJoinsAlongItsAxis) {
  OnnxFile file = NodeOf("Concat");
  file.Int("axis", 1);
  const ConstantTensor result =
      Value(file, {Integers({2, 1}, {1, 2}), Integers({2, 2}, {3, 4, 5, 6})});
  EXPECT_THAT(result.dims, ElementsAre(2, 3));
  EXPECT_THAT(result.integers, ElementsAre(1, 3, 4, 2, 5, 6));
}

TEST(OnnxConstantsTest, ArithmeticBroadcasts) {
  OnnxFile file = NodeOf("Sub");
  const ConstantTensor result = Value(file, {Integers({2, 1}, {10, 20}), List({1, 2, 3})});
  EXPECT_THAT(result.dims, ElementsAre(2, 3));
  EXPECT_THAT(result.integers, ElementsAre(9, 8, 7, 19, 18, 17));
}

TEST(OnnxConstantsTest, DivisionIsSafe) {
  OnnxFile by_zero = NodeOf("Div");
  EXPECT_EQ(Evaluate(by_zero, {List({1}), List({0})}).status().code(),
            absl::StatusCode::kInvalidArgument);
  OnnxFile overflowing = NodeOf("Div");
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(Value(overflowing, {List({least, 7}), List({-1, 2})}).integers,
              ElementsAre(least, 3));
}

TEST(OnnxConstantsTest, ArithmeticOfIntegersIsPythons) {
  const auto result = [](const std::string& type, const Constants& inputs) {
    OnnxFile file = NodeOf(type);
    return Value(file, inputs).integers;
  };
  const ConstantPointer a = List({7, -7, 7, -7}), b = List({3, 3, -3, -3});
  EXPECT_THAT(result("Mod", {a, b}), ElementsAre(1, 2, -2, -1));
  EXPECT_THAT(result("Max", {a, b, List({4})}), ElementsAre(7, 4, 7, 4));
  EXPECT_THAT(result("Min", {a, b}), ElementsAre(3, -7, -3, -7));
  EXPECT_THAT(result("Neg", {a}), ElementsAre(-7, 7, -7, 7));
  EXPECT_THAT(result("Abs", {a}), ElementsAre(7, 7, 7, 7));
}

TEST(OnnxConstantsTest, ComparisonsGiveZeroAndOne) {
  const auto result = [](const std::string& type) {
    OnnxFile file = NodeOf(type);
    return Value(file, {Floats({3}, {1, 2, 3}), Floats({}, {2})}).integers;
  };
  EXPECT_THAT(result("Equal"), ElementsAre(0, 1, 0));
  EXPECT_THAT(result("Greater"), ElementsAre(0, 0, 1));
  EXPECT_THAT(result("GreaterOrEqual"), ElementsAre(0, 1, 1));
  EXPECT_THAT(result("Less"), ElementsAre(1, 0, 0));
  EXPECT_THAT(result("LessOrEqual"), ElementsAre(1, 1, 0));
  OnnxFile both = NodeOf("And"), either = NodeOf("Or"), opposite = NodeOf("Not");
  EXPECT_THAT(Value(both, {List({0, 1, 1}), List({1, 1, 0})}).integers, ElementsAre(0, 1, 0));
  EXPECT_THAT(Value(either, {List({0, 1, 0}), List({0, 1, 1})}).integers, ElementsAre(0, 1, 1));
  EXPECT_THAT(Value(opposite, {List({0, 1})}).integers, ElementsAre(1, 0));
}

TEST(OnnxConstantsTest, WhereChoosesAndBroadcasts) {
  OnnxFile file = NodeOf("Where");
  const ConstantTensor result =
      Value(file, {List({1, 0}), Floats({2, 1}, {10, 20}), Floats({}, {-1})});
  EXPECT_THAT(result.dims, ElementsAre(2, 2));
  EXPECT_THAT(result.floats, ElementsAre(10, -1, 20, -1));
}

TEST(OnnxConstantsTest, RangeCountsAndIsBounded) {
  OnnxFile up = NodeOf("Range"), down = NodeOf("Range"), halves = NodeOf("Range");
  EXPECT_THAT(Value(up, {Integers({}, {1}), Integers({}, {8}), Integers({}, {3})}).integers,
              ElementsAre(1, 4, 7));
  EXPECT_THAT(Value(down, {Integers({}, {3}), Integers({}, {0}), Integers({}, {-1})}).integers,
              ElementsAre(3, 2, 1));
  EXPECT_THAT(Value(halves, {Floats({}, {0}), Floats({}, {1}), Floats({}, {0.5f})}).floats,
              ElementsAre(0, 0.5f));
  OnnxFile huge = NodeOf("Range"), endless = NodeOf("Range");
  EXPECT_EQ(Evaluate(huge, {Integers({}, {0}), Integers({}, {int64_t{1} << 60}), Integers({}, {1})})
                .status()
                .code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(
      Evaluate(endless, {Integers({}, {0}), Integers({}, {9}), Integers({}, {0})}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(OnnxConstantsTest, ReductionsKeepOrDropTheirAxes) {
  const ConstantPointer source = Integers({2, 3}, {1, 2, 3, 4, 5, 6});
  OnnxFile all = NodeOf("ReduceProd"), rows = NodeOf("ReduceMax"), columns = NodeOf("ReduceMin");
  EXPECT_THAT(Value(all, {source}).dims, ElementsAre(1, 1));
  EXPECT_THAT(Value(all, {source}).integers, ElementsAre(720));
  rows.Ints("axes", {0}).Int("keepdims", 0);
  EXPECT_THAT(Value(rows, {source}).dims, ElementsAre(3));
  EXPECT_THAT(Value(rows, {source}).integers, ElementsAre(4, 5, 6));
  columns.Ints("axes", {-1});
  EXPECT_THAT(Value(columns, {source}).dims, ElementsAre(2, 1));
  EXPECT_THAT(Value(columns, {source}).integers, ElementsAre(1, 4));
  OnnxFile sum = NodeOf("ReduceSum");
  EXPECT_THAT(Value(sum, {Floats({2, 2}, {1, 2, 3, 4}), List({0})}).floats, ElementsAre(4, 6));
}

TEST(OnnxConstantsTest, TileRepeatsAndSizeCounts) {
  OnnxFile tile = NodeOf("Tile"), size = NodeOf("Size");
  const ConstantTensor result = Value(tile, {Integers({1, 2}, {1, 2}), List({2, 2})});
  EXPECT_THAT(result.dims, ElementsAre(2, 4));
  EXPECT_THAT(result.integers, ElementsAre(1, 2, 1, 2, 1, 2, 1, 2));
  EXPECT_THAT(Value(size, {Integers({2, 3}, {1, 2, 3, 4, 5, 6})}).integers, ElementsAre(6));
  OnnxFile huge = NodeOf("Tile");
  EXPECT_EQ(Evaluate(huge, {Integers({1, 2}, {1, 2}), List({1 << 20, 1 << 20})}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OnnxConstantsTest, RealFunctions) {
  OnnxFile ceil = NodeOf("Ceil"), floor = NodeOf("Floor"), root = NodeOf("Sqrt");
  EXPECT_THAT(Value(ceil, {Floats({2}, {1.5f, -1.5f})}).floats, ElementsAre(2, -1));
  EXPECT_THAT(Value(floor, {Floats({2}, {1.5f, -1.5f})}).floats, ElementsAre(1, -2));
  EXPECT_THAT(Value(root, {Floats({1}, {9})}).floats, ElementsAre(3));
}

TEST(OnnxConstantsTest, ConstantHasFourKindsOfValues) {
  OnnxFile number = NodeOf("Constant"), numbers = NodeOf("Constant");
  EXPECT_THAT(Value(number.Int("value_int", 3), {}).integers, ElementsAre(3));
  EXPECT_THAT(Value(numbers.Ints("value_ints", {3, 4}), {}).dims, ElementsAre(2));
  OnnxFile real = NodeOf("Constant"), reals = NodeOf("Constant"), text = NodeOf("Constant");
  EXPECT_THAT(Value(real.Float("value_float", 0.5f), {}).floats, ElementsAre(0.5f));
  auto& list = *reals.node().add_attribute();
  list.set_name("value_floats");
  list.add_floats(1.5f);
  EXPECT_THAT(Value(reals, {}).floats, ElementsAre(1.5f));
  text.Text("value_string", "no");
  EXPECT_EQ(Evaluate(text, {}).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(OnnxConstantsTest, ConstantOfShapeFills) {
  OnnxFile file = NodeOf("ConstantOfShape");
  const ConstantTensor result = Value(file, {List({2, 2})});
  EXPECT_THAT(result.dims, ElementsAre(2, 2));
  EXPECT_THAT(result.floats, ElementsAre(0, 0, 0, 0));
}

TEST(OnnxConstantsTest, AHugeResultIsRefusedBeforeItIsMade) {
  OnnxFile file = NodeOf("ConstantOfShape");
  EXPECT_EQ(Evaluate(file, {List({1 << 15, 1 << 15})}).status().code(),
            absl::StatusCode::kResourceExhausted);
  OnnxFile larger = NodeOf("ConstantOfShape");
  EXPECT_EQ(Evaluate(larger, {List({int64_t{1} << 40, int64_t{1} << 40})}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OnnxConstantsTest, CastTruncatesAndRefusesWhatNoIntegerHolds) {
  OnnxFile file = NodeOf("Cast");
  file.Int("to", onnx_wire::TensorProto::INT64);
  EXPECT_THAT(Value(file, {Floats({2}, {2.9f, -2.9f})}).integers, ElementsAre(2, -2));
  OnnxFile infinite = NodeOf("Cast");
  infinite.Int("to", onnx_wire::TensorProto::INT64);
  EXPECT_FALSE(Evaluate(infinite, {Floats({1}, {INFINITY})}).ok());
}

TEST(OnnxConstantsTest, AnUnknownOperatorSaysSo) {
  OnnxFile file = NodeOf("Sin");
  EXPECT_EQ(Evaluate(file, {Floats({1}, {1})}).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(PlainNameTest, KeepsNothingThatATerminalOrACommentMinds) {
  EXPECT_EQ(PlainName("/layer1/conv.weight:0"), "/layer1/conv.weight:0");
  EXPECT_EQ(PlainName("a\x1b[0m\n*/"), "a__0m__/");
  EXPECT_EQ(PlainName(std::string(1000, 'a')).size(), 200u);
}

}  // namespace
}  // namespace mico
