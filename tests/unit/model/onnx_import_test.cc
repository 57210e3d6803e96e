// One operator at a time: what it becomes, and that it computes what ONNX says.

#include "gmock/gmock.h"
#include "model/text_form.h"
#include "tests/unit/model/float_reference.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

ModelPackage Import(OnnxFile& file) {
  absl::StatusOr<ModelPackage> package = file.Import();
  EXPECT_TRUE(package.ok()) << package.status();
  return package.value_or(ModelPackage{});
}

std::string Text(OnnxFile& file) {
  const ModelPackage package = Import(file);
  return package.graph.nodes.empty() ? "" : PrintGraph(package.graph);
}

std::vector<float> Compute(OnnxFile& file, const std::vector<float>& input) {
  const ModelPackage package = Import(file);
  if (package.graph.nodes.empty()) return {};
  return FloatReference(package).Run(input);
}

// x, then a 1x1 convolution `c` of it, so that the network has a layer.
OnnxFile Image(int64_t channels, int64_t height, int64_t width, int64_t opset = 13) {
  OnnxFile file(opset);
  file.Input("x", {-1, channels, height, width}).Ramp("w", {channels, channels, 1, 1});
  file.Node("Conv", {"x", "w"}, "c");
  return file;
}

std::string ImageText(int64_t channels, int64_t height, int64_t width, const std::string& rest) {
  return "input x " + ToString(Shape{channels, height, width}) +
         "\nc = Conv(x) k=1x1 out=" + std::to_string(channels) + "\n" + rest;
}

TEST(OnnxConvTest, TakesEveryAttribute) {
  OnnxFile file;
  file.Input("x", {1, 4, 12, 12}).Ramp("w", {6, 2, 3, 2}).Ramp("b", {6});
  file.Node("Conv", {"x", "w", "b"}, "c")
      .Ints("kernel_shape", {3, 2})
      .Ints("strides", {2, 1})
      .Ints("dilations", {1, 3})
      .Ints("pads", {0, 1, 2, 3})
      .Int("group", 2);
  const ModelPackage package = Import(file);
  EXPECT_EQ(PrintGraph(package.graph),
            "input x 4x12x12\n"
            "c = Conv(x) k=3x2 s=2x1 d=1x3 p=0,1,2,3 g=2 out=6\n"
            "output c\n");
  EXPECT_EQ(package.graph.nodes[0].type, "Conv");
  EXPECT_EQ(package.weights.layers[0].weights, OnnxFile::RampValues({6, 2, 3, 2}));
  EXPECT_EQ(package.weights.layers[0].bias, OnnxFile::RampValues({6}));
}

TEST(OnnxConvTest, AutoPadBecomesNumbers) {
  const auto padding = [](const std::string& mode, int64_t kernel, int64_t stride) {
    OnnxFile file;
    file.Input("x", {1, 1, 7, 8}).Ramp("w", {1, 1, kernel, kernel});
    file.Node("Conv", {"x", "w"}, "c").Text("auto_pad", mode).Ints("strides", {stride, stride});
    const Padding padding = Import(file).graph.nodes.at(0).conv().padding;
    return std::vector<int64_t>{padding.top, padding.left, padding.bottom, padding.right};
  };
  EXPECT_THAT(padding("SAME_UPPER", 4, 1), ElementsAre(1, 1, 2, 2));
  EXPECT_THAT(padding("SAME_LOWER", 4, 1), ElementsAre(2, 2, 1, 1));
  EXPECT_THAT(padding("SAME_UPPER", 3, 2), ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(padding("SAME_UPPER", 1, 2), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(padding("VALID", 3, 1), ElementsAre(0, 0, 0, 0));
}

TEST(OnnxBatchNormTest, GoesIntoTheConvolutionBeforeIt) {
  OnnxFile file;
  file.Input("x", {-1, 1, 1, 2}).Floats("w", {2, 1, 1, 1}, {2, -3}).Floats("b", {2}, {1, 5});
  file.Floats("scale", {2}, {0.5f, 4}).Floats("offset", {2}, {7, 8});
  file.Floats("mean", {2}, {3, -1}).Floats("variance", {2}, {3, 0});
  file.Node("Conv", {"x", "w", "b"}, "c");
  file.Node("BatchNormalization", {"c", "scale", "offset", "mean", "variance"}, "n")
      .Float("epsilon", 1);
  file.Node("Relu", {"n"}, "r");
  EXPECT_EQ(Text(file), "input x 1x1x2\nc = Conv(x) k=1x1 out=2 relu\noutput c\n");
  // (2x + 1 - 3) / 2 * 0.5 + 7 and (-3x + 5 + 1) / 1 * 4 + 8, at 10 and -20, then ReLU.
  EXPECT_THAT(Compute(file, {10, -20}), Pointwise(FloatNear(1e-4f), {11.5f, 0.0f, 0.0f, 272.0f}));
}

TEST(OnnxBatchNormTest, WithoutAConvolutionBeforeItIsADepthwiseLayer) {
  OnnxFile file = Image(2, 3, 3);
  file.Floats("s", {2}, {1, 2}).Floats("o", {2}, {3, 4}).Floats("m", {2}, {0, 1});
  file.Floats("v", {2}, {1, 1});
  file.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {3, 3});
  file.Node("BatchNormalization", {"p", "s", "o", "m", "v"}, "n").Float("epsilon", 0);
  const ModelPackage package = Import(file);
  EXPECT_EQ(PrintGraph(package.graph),
            ImageText(2, 3, 3, "p = MaxPool(c) k=3x3\nn = Conv(p) k=1x1 g=2 out=2\noutput n\n"));
  EXPECT_THAT(package.weights.layers[1].weights, ElementsAre(1, 2));
  EXPECT_THAT(package.weights.layers[1].bias, ElementsAre(3, 2));
}

TEST(OnnxBatchNormTest, StaysApartWhereTheConvolutionHasAnotherReader) {
  OnnxFile file = Image(2, 3, 3);
  file.Floats("s", {2}, {1, 2}).Floats("o", {2}, {3, 4}).Floats("m", {2}, {0, 1});
  file.Floats("v", {2}, {1, 1});
  file.Node("BatchNormalization", {"c", "s", "o", "m", "v"}, "n");
  file.Node("Add", {"c", "n"}, "sum");
  EXPECT_EQ(Text(file),
            ImageText(2, 3, 3, "n = Conv(c) k=1x1 g=2 out=2\nsum = Add(c, n)\noutput sum\n"));
}

TEST(OnnxGemmTest, AlphaBetaAndTransposesAreInTheWeights) {
  for (const bool transposed : {false, true}) {
    OnnxFile file;
    file.Input("x", {-1, 3}).Floats("bias", {1, 2}, {10, 20});
    if (transposed) file.Floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
    if (!transposed) file.Floats("w", {3, 2}, {1, 4, 2, 5, 3, 6});
    file.Node("Gemm", {"x", "w", "bias"}, "g").Int("transB", transposed);
    file.Float("alpha", 2).Float("beta", 0.5f);
    const ModelPackage package = Import(file);
    EXPECT_EQ(PrintGraph(package.graph), "input x 3x1x1\ng = Conv(x) k=1x1 out=2\noutput g\n");
    EXPECT_THAT(package.weights.layers[0].weights, ElementsAre(2, 4, 6, 8, 10, 12));
    EXPECT_THAT(package.weights.layers[0].bias, ElementsAre(5, 10));
    EXPECT_EQ(package.graph.nodes[0].type, "Gemm");
  }
}

TEST(OnnxGemmTest, AfterFlattenReadsTheImageItself) {
  OnnxFile file;
  file.Input("x", {-1, 2, 3, 4}).Ramp("w", {5, 24});
  file.Node("Flatten", {"x"}, "f").Node("Gemm", {"f", "w"}, "g").Int("transB", 1);
  const ModelPackage package = Import(file);
  EXPECT_EQ(PrintGraph(package.graph), "input x 2x3x4\ng = Conv(x) k=3x4 out=5\noutput g\n");
  EXPECT_EQ(package.weights.layers[0].weights, OnnxFile::RampValues({5, 24}));
}

TEST(OnnxGemmTest, AfterATransposedFlattenItsWeightsAreReordered) {
  OnnxFile file;
  file.Input("x", {-1, 2, 1, 3}).Floats("w", {6, 1}, {1, 2, 3, 4, 5, 6}).Integers("to", {-1, 6});
  file.Node("Transpose", {"x"}, "t").Ints("perm", {0, 2, 3, 1});
  file.Node("Reshape", {"t", "to"}, "f").Node("MatMul", {"f", "w"}, "g");
  // The file sees columns outside, channels inside.
  EXPECT_THAT(Import(file).weights.layers.at(0).weights, ElementsAre(1, 3, 5, 2, 4, 6));
}

TEST(OnnxAddTest, OfAConstantIsABias) {
  for (const bool constant_first : {false, true}) {
    OnnxFile file = Image(3, 2, 2);
    file.Floats("b", {3, 1, 1}, {1, 2, 3});
    file.Node(
        "Add",
        constant_first ? std::vector<std::string>{"b", "c"} : std::vector<std::string>{"c", "b"},
        "s");
    const ModelPackage package = Import(file);
    EXPECT_EQ(PrintGraph(package.graph), ImageText(3, 2, 2, "output c\n"));
    EXPECT_THAT(package.weights.layers[0].bias, ElementsAre(1, 2, 3));
  }
}

TEST(OnnxAddTest, OfTwoTensorsTakesTheReluBehindIt) {
  OnnxFile file = Image(2, 2, 2);
  file.Node("Add", {"x", "c"}, "s").Node("Relu", {"s"}, "r").Node("Identity", {"r"}, "i");
  EXPECT_EQ(Text(file), ImageText(2, 2, 2, "s = Add(x, c) relu\noutput s\n"));
}

TEST(OnnxReluTest, GoesThroughLayoutIntoItsProducer) {
  OnnxFile file = Image(4, 2, 2);
  file.Ramp("m", {16, 3}).Node("Flatten", {"c"}, "f").Node("Relu", {"f"}, "r");
  file.Node("MatMul", {"r", "m"}, "g");
  EXPECT_EQ(Text(file),
            "input x 4x2x2\nc = Conv(x) k=1x1 out=4 relu\ng = Conv(c) k=2x2 out=3\n"
            "output g\n");
}

TEST(OnnxReluTest, StaysWhereItsProducerHasAnotherReader) {
  OnnxFile file = Image(2, 2, 2);
  file.Node("Relu", {"c"}, "r").Node("Add", {"c", "r"}, "s");
  EXPECT_EQ(Text(file), ImageText(2, 2, 2, "r = Relu(c)\ns = Add(c, r)\noutput s\n"));
}

TEST(OnnxReluTest, StaysBehindAPool) {
  OnnxFile file = Image(2, 2, 2);
  file.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {2, 2}).Node("Relu", {"p"}, "r");
  EXPECT_EQ(Text(file), ImageText(2, 2, 2, "p = MaxPool(c) k=2x2\nr = Relu(p)\noutput r\n"));
}

TEST(OnnxClipTest, IsRelu6AsAttributesAndAsInputs) {
  OnnxFile attributes = Image(2, 2, 2, 9);
  attributes.Node("Clip", {"c"}, "r").Float("min", 0).Float("max", 6);
  OnnxFile inputs = Image(2, 2, 2, 13);
  inputs.Floats("low", {}, {0}).Floats("high", {}, {6}).Node("Clip", {"c", "low", "high"}, "r");
  const std::string expected = "input x 2x2x2\nc = Conv(x) k=1x1 out=2 relu=6\noutput c\n";
  EXPECT_EQ(Text(attributes), expected);
  EXPECT_EQ(Text(inputs), expected);
}

TEST(OnnxClipTest, AfterReluTheSmallerLimitRemains) {
  OnnxFile file = Image(2, 2, 2);
  file.Floats("low", {}, {0}).Floats("high", {}, {6}).Node("Relu", {"c"}, "a");
  file.Node("Clip", {"a", "low", "high"}, "b").Node("Relu", {"b"}, "d");
  EXPECT_EQ(Text(file), "input x 2x2x2\nc = Conv(x) k=1x1 out=2 relu=6\noutput c\n");
}

TEST(OnnxPoolTest, CeilModeIsPaddingBehind) {
  OnnxFile file = Image(1, 6, 5);
  file.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {3, 2}).Ints("strides", {2, 2});
  file.Int("ceil_mode", 1);
  EXPECT_EQ(Text(file), ImageText(1, 6, 5, "p = MaxPool(c) k=3x2 s=2x2 p=0,0,1,1\noutput p\n"));
}

TEST(OnnxPoolTest, CeilModeDropsAWindowThatWouldBeginInThePadding) {
  OnnxFile file = Image(1, 4, 4);
  file.Node("AveragePool", {"c"}, "p").Ints("kernel_shape", {2, 2}).Ints("strides", {3, 3});
  file.Ints("pads", {1, 1, 1, 1}).Int("ceil_mode", 1);
  EXPECT_EQ(Text(file), ImageText(1, 4, 4, "p = AveragePool(c) k=2x2 s=3x3 p=1,1,1,1\noutput p\n"));
}

TEST(OnnxPoolTest, PaddingThatNoWindowReachesIsTakenAway) {
  OnnxFile file = Image(1, 9, 18);
  file.Node("AveragePool", {"c"}, "p").Ints("kernel_shape", {3, 3}).Ints("strides", {2, 2});
  file.Ints("pads", {1, 1, 2, 3});
  EXPECT_EQ(Text(file),
            ImageText(1, 9, 18, "p = AveragePool(c) k=3x3 s=2x2 p=1,1,2,2\noutput p\n"));
}

TEST(OnnxPoolTest, AverageCountsPaddingOnlyWhenAsked) {
  for (const bool include : {false, true}) {
    OnnxFile file;
    file.Input("x", {1, 1, 2, 2}).Floats("w", {1, 1, 1, 1}, {1}).Node("Conv", {"x", "w"}, "c");
    file.Node("AveragePool", {"c"}, "p").Ints("kernel_shape", {2, 2}).Ints("pads", {1, 1, 0, 0});
    file.Int("count_include_pad", include);
    const float corner = include ? 1.0f : 4.0f;
    EXPECT_THAT(Compute(file, {4, 8, 12, 16}),
                ElementsAre(corner, include ? 3 : 6, include ? 4 : 8, 10));
  }
}

TEST(OnnxPoolTest, TheMeanOfAllHasThreeSpellings) {
  const std::string expected = ImageText(3, 4, 5, "p = AveragePool(c) k=4x5\noutput p\n");
  OnnxFile global = Image(3, 4, 5);
  global.Node("GlobalAveragePool", {"c"}, "p");
  EXPECT_EQ(Text(global), expected);
  OnnxFile reduced = Image(3, 4, 5);
  reduced.Node("ReduceMean", {"c"}, "p").Ints("axes", {-1, 2}).Int("keepdims", 0);
  EXPECT_EQ(Text(reduced), expected);
  OnnxFile newer = Image(3, 4, 5, 18);
  newer.Integers("axes", {2, 3}).Node("ReduceMean", {"c", "axes"}, "p");
  EXPECT_EQ(Text(newer), expected);
}

TEST(OnnxSliceTest, IsTheSameAsAttributesAndAsInputs) {
  OnnxFile attributes = Image(6, 8, 8, 9);
  attributes.Node("Slice", {"c"}, "s").Ints("starts", {1, -6}).Ints("ends", {5, 100});
  attributes.Ints("axes", {1, 3});
  EXPECT_EQ(Text(attributes),
            ImageText(6, 8, 8, "s = Slice(c) start=1,0,2 step=1,1,1 size=4x8x6\noutput s\n"));
  OnnxFile inputs = Image(6, 8, 8);
  inputs.Integers("starts", {1, 0}).Integers("ends", {5, 1000}).Integers("axes", {1, -2});
  inputs.Integers("steps", {2, 3}).Node("Slice", {"c", "starts", "ends", "axes", "steps"}, "s");
  EXPECT_EQ(Text(inputs),
            ImageText(6, 8, 8, "s = Slice(c) start=1,0,0 step=2,3,1 size=2x3x8\noutput s\n"));
}

TEST(OnnxSliceTest, TwoInARowAreOne) {
  OnnxFile file = Image(1, 12, 4);
  file.Integers("one", {1}).Integers("end", {100}).Integers("rows", {2});
  file.Integers("two", {2}).Integers("three", {3});
  file.Node("Slice", {"c", "one", "end", "rows", "two"}, "s");
  file.Node("Slice", {"s", "one", "end", "rows", "three"}, "t");
  // Rows 1 3 5 7 9 11, and of these numbers 1 and 4: rows 3 and 9.
  EXPECT_EQ(Text(file),
            ImageText(1, 12, 4, "s = Slice(c) start=0,3,0 step=1,6,1 size=1x2x4\noutput s\n"));
}

TEST(OnnxPadTest, IsTheSameAsAttributesAndAsInputs) {
  const std::string expected = ImageText(2, 3, 3, "p = Pad(c) c=1,4 p=2,3,5,6\noutput p\n");
  OnnxFile attributes = Image(2, 3, 3, 10);
  attributes.Node("Pad", {"c"}, "p").Ints("pads", {0, 1, 2, 3, 0, 4, 5, 6});
  EXPECT_EQ(Text(attributes), expected);
  OnnxFile inputs = Image(2, 3, 3);
  inputs.Integers("pads", {0, 1, 2, 3, 0, 4, 5, 6}).Floats("zero", {}, {0});
  inputs.Node("Pad", {"c", "pads", "zero"}, "p").Text("mode", "constant");
  EXPECT_EQ(Text(inputs), expected);
  OnnxFile axes = Image(2, 3, 3, 18);
  axes.Integers("pads", {2, 1, 3, 5, 4, 6}).Integers("axes", {-2, 1, 3});
  axes.Node("Pad", {"c", "pads", "", "axes"}, "p");
  EXPECT_EQ(Text(axes), expected);
}

TEST(OnnxConcatTest, JoinsChannelsOfImagesAndOfFeatures) {
  OnnxFile images = Image(2, 3, 3);
  images.Node("Relu", {"c"}, "r").Node("Concat", {"c", "r", "x"}, "j").Int("axis", -3);
  EXPECT_EQ(Text(images), ImageText(2, 3, 3, "r = Relu(c)\nj = Concat(c, r, x)\noutput j\n"));
  OnnxFile features;
  features.Input("x", {-1, 3}).Ramp("w", {3, 2}).Node("MatMul", {"x", "w"}, "m");
  features.Node("Concat", {"x", "m"}, "j").Int("axis", 1);
  EXPECT_EQ(Text(features), "input x 3x1x1\nm = Conv(x) k=1x1 out=2\nj = Concat(x, m)\noutput j\n");
}

TEST(OnnxLayoutTest, VanishesBetweenPoolAndClassifier) {
  OnnxFile file = Image(4, 2, 2);
  file.Ramp("m", {4, 3}).Integers("axes", {2, 3}).Integers("back", {2});
  file.Node("GlobalAveragePool", {"c"}, "p").Node("Squeeze", {"p", "axes"}, "s");
  file.Node("Unsqueeze", {"s", "back"}, "u").Node("Squeeze", {"u", "back"}, "v");
  file.Node("Dropout", {"v"}, "d").AlsoWrites("mask").Node("MatMul", {"d", "m"}, "g");
  file.Node("Softmax", {"g"}, "soft").Int("axis", 1);
  EXPECT_EQ(Text(file),
            ImageText(4, 2, 2, "p = AveragePool(c) k=2x2\ng = Conv(p) k=1x1 out=3\noutput g\n"));
}

TEST(OnnxLayoutTest, ShapeArithmeticFolds) {
  OnnxFile file = Image(4, 2, 2);
  file.Integers("zero", {0}).Integers("minus", {-1}).Ramp("m", {16, 3});
  file.Node("Shape", {"c"}, "shape").Node("Gather", {"shape", "zero"}, "batch").Int("axis", 0);
  file.Node("Concat", {"batch", "minus"}, "to").Int("axis", 0).Node("Reshape", {"c", "to"}, "f");
  file.Node("MatMul", {"f", "m"}, "g");
  EXPECT_EQ(Text(file), ImageText(4, 2, 2, "g = Conv(c) k=2x2 out=3\noutput g\n"));
}

TEST(OnnxLayoutTest, AnInputOfChannelsLastIsTakenAsChannelsFirst) {
  OnnxFile file;
  file.Input("x", {1, 8, 9, 3}).Ramp("w", {2, 3, 3, 3});
  file.Node("Transpose", {"x"}, "t").Ints("perm", {0, 3, 1, 2}).Node("Conv", {"t", "w"}, "c");
  EXPECT_EQ(Text(file), "input x 3x8x9\nc = Conv(x) k=3x3 out=2\noutput c\n");
}

TEST(OnnxLayoutTest, WeightsMayBeConstantExpressions) {
  OnnxFile file;
  file.Input("x", {1, 2}).Floats("w", {3, 2}, {1, 2, 3, 4, 5, 6}).Floats("half", {}, {0.5f});
  file.Node("Mul", {"w", "half"}, "scaled").Node("Transpose", {"scaled"}, "t");
  file.Node("MatMul", {"x", "t"}, "g");
  EXPECT_THAT(Import(file).weights.layers.at(0).weights, ElementsAre(0.5f, 1, 1.5f, 2, 2.5f, 3));
}

TEST(OnnxGraphTest, NodesMayStandInAnyOrderAndDeadOnesVanish) {
  OnnxFile file;
  file.Input("x", {1, 2}).Ramp("w", {2, 2});
  file.Node("Relu", {"m"}, "r").Node("Erf", {"m"}, "dead").Node("MatMul", {"x", "w"}, "m");
  file.Output("r");
  EXPECT_EQ(Text(file), "input x 2x1x1\nm = Conv(x) k=1x1 out=2 relu\noutput m\n");
}

TEST(OnnxGraphTest, NamesBecomePlainAndUnique) {
  OnnxFile file;
  file.Input("x\n*/", {1, 2}).Ramp("w", {2, 2});
  file.Node("MatMul", {"x\n*/", "w"}, "a").node().set_name("same \x1b[31m");
  file.Node("MatMul", {"a", "w"}, "b").node().set_name("same \x1b[31m");
  file.Node("MatMul", {"b", "w"}, "c").node().set_name("");
  EXPECT_EQ(Text(file),
            "input x__/ 2x1x1\n"
            "same___31m = Conv(x__/) k=1x1 out=2\n"
            "same___31m_1 = Conv(same___31m) k=1x1 out=2\n"
            "MatMul_2 = Conv(same___31m_1) k=1x1 out=2\n"
            "output MatMul_2\n");
}

// conv-bn-relu6, depthwise-bn-relu6, pointwise-bn, residual add, mean, classifier: as PyTorch
// exports it with constant folding off.
TEST(OnnxGraphTest, AResidualSeparableBlockIsSixNodes) {
  OnnxFile file(17);
  file.Input("x", {-1, 3, 8, 8});
  for (const char* name : {"scale", "offset", "mean"}) file.Ramp(name, {4});
  file.Floats("variance", {4}, {1, 2, 3, 4}).Floats("low", {}, {0}).Floats("high", {}, {6});
  const auto norm = [&](const std::string& from, const std::string& to) {
    file.Node("BatchNormalization", {from, "scale", "offset", "mean", "variance"}, to);
  };
  file.Ramp("w1", {4, 3, 3, 3}).Ramp("w2", {4, 1, 3, 3}).Ramp("w3", {4, 4, 1, 1});
  file.Ramp("w4", {10, 4}).Ramp("b4", {10});
  file.Node("Conv", {"x", "w1"}, "c1").Ints("pads", {1, 1, 1, 1}).Ints("strides", {2, 2});
  norm("c1", "n1");
  file.Node("Clip", {"n1", "low", "high"}, "r1");
  file.Node("Conv", {"r1", "w2"}, "c2").Ints("pads", {1, 1, 1, 1}).Int("group", 4);
  norm("c2", "n2");
  file.Node("Clip", {"n2", "low", "high"}, "r2").Node("Conv", {"r2", "w3"}, "c3");
  norm("c3", "n3");
  file.Node("Add", {"r1", "n3"}, "sum").Node("GlobalAveragePool", {"sum"}, "pool");
  file.Node("Flatten", {"pool"}, "flat").Node("Gemm", {"flat", "w4", "b4"}, "fc").Int("transB", 1);
  EXPECT_EQ(Text(file),
            "input x 3x8x8\n"
            "c1 = Conv(x) k=3x3 s=2x2 p=1,1,1,1 out=4 relu=6\n"
            "c2 = Conv(c1) k=3x3 p=1,1,1,1 g=4 out=4 relu=6\n"
            "c3 = Conv(c2) k=1x1 out=4\n"
            "sum = Add(c1, c3)\n"
            "pool = AveragePool(sum) k=4x4\n"
            "fc = Conv(pool) k=1x1 out=10\n"
            "output fc\n");
}

}  // namespace
}  // namespace mico
