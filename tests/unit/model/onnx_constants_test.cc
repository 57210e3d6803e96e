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
