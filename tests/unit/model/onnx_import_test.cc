// One operator at a time: what it becomes, and that it computes what ONNX says.

#include <functional>
#include <limits>

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
  ModelPackage package = Import(file);
  Graph& graph = package.graph;
  if (graph.nodes.empty()) return "";
  // What the only output is called in the file is of no interest here.
  if (graph.outputs.size() == 1) graph.outputs[0].name = graph.values[graph.scored_value()].name;
  return PrintGraph(graph);
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
  file.Floats("v", {2}, {1, 1}).Node("Relu", {"c"}, "r");
  file.Node("BatchNormalization", {"r", "s", "o", "m", "v"}, "n").Float("epsilon", 0);
  const ModelPackage package = Import(file);
  EXPECT_EQ(PrintGraph(package.graph),
            "input x 2x3x3\nc = Conv(x) k=1x1 out=2 relu\nn = Conv(c) k=1x1 g=2 out=2\n"
            "output n\n");
  EXPECT_THAT(package.weights.layers[1].weights, ElementsAre(1, 2));
  EXPECT_THAT(package.weights.layers[1].bias, ElementsAre(3, 2));
}

// A batch norm that multiplies by `factors` and adds `offsets`.
OnnxFile& Norm(OnnxFile& file, const std::string& from, const std::string& to,
               const std::vector<float>& factors, const std::vector<float>& offsets) {
  const int64_t channels = static_cast<int64_t>(factors.size());
  file.Floats(to + "/scale", {channels}, factors).Floats(to + "/offset", {channels}, offsets);
  file.Floats(to + "/mean", {channels}, std::vector<float>(channels, 0.0f));
  file.Floats(to + "/variance", {channels}, std::vector<float>(channels, 1.0f));
  return file
      .Node("BatchNormalization",
            {from, to + "/scale", to + "/offset", to + "/mean", to + "/variance"}, to)
      .Float("epsilon", 0);
}

std::vector<float> Apply(const std::vector<float>& values, const std::vector<float>& factors,
                         const std::vector<float>& offsets) {
  std::vector<float> mapped;
  const size_t per_channel = values.size() / factors.size();
  for (size_t i = 0; i < values.size(); ++i) {
    mapped.push_back(values[i] * factors[i / per_channel] + offsets[i / per_channel]);
  }
  return mapped;
}

int CountLayers(OnnxFile& file) {
  return static_cast<int>(Import(file).graph.QuantizedLayers().size());
}

// A network without its last batch norm, and what the norm does.
struct BackwardCase {
  std::string name;
  std::function<void(OnnxFile&)> add;  // nodes from `c` (4x6x6) to `y`
  std::vector<float> factors, offsets;
  int layers;  // with the norm: as many as without where it is folded
};

std::vector<BackwardCase> BackwardCases() {
  const std::vector<float> up{2, 0.5f, 3, 0}, mixed{2, -0.5f, 3, 1}, zero(4, 0.0f);
  const std::vector<float> offsets{1, -2, 0.25f, 3};
  const auto max_pool = [](OnnxFile& f) {
    f.Node("MaxPool", {"c"}, "y").Ints("kernel_shape", {3, 3}).Ints("pads", {1, 1, 1, 1});
  };
  const auto mean_pool = [](bool include) {
    return [include](OnnxFile& f) {
      f.Node("AveragePool", {"c"}, "y").Ints("kernel_shape", {3, 3}).Ints("pads", {1, 1, 1, 1});
      f.Int("count_include_pad", include);
    };
  };
  const auto pad = [](OnnxFile& f) {
    f.Integers("pads", {0, 0, 1, 0, 0, 0, 0, 2}).Node("Pad", {"c", "pads"}, "y");
  };
  const auto channel_pad = [](OnnxFile& f) {
    f.Integers("pads", {0, 1, 0, 0, 0, 2, 0, 0}).Node("Pad", {"c", "pads"}, "y");
  };
  const auto slice = [](OnnxFile& f) {
    f.Integers("starts", {1, 1}).Integers("ends", {4, 9}).Integers("axes", {1, 2});
    f.Integers("steps", {2, 2}).Node("Slice", {"c", "starts", "ends", "axes", "steps"}, "y");
  };
  const auto concat = [](OnnxFile& f) {
    f.Ramp("w2", {2, 4, 1, 1}).Node("Conv", {"x", "w2"}, "d");
    f.Node("Concat", {"d", "c"}, "y").Int("axis", 1);
  };
  const auto concat_of_input = [](OnnxFile& f) {
    f.Node("Concat", {"x", "c"}, "y").Int("axis", 1);
  };
  const auto add = [](OnnxFile& f) {
    f.Ramp("w2", {4, 4, 1, 1}).Node("Conv", {"x", "w2"}, "d").Node("Add", {"c", "d"}, "y");
  };
  const auto relu = [](OnnxFile& f) { f.Node("Relu", {"c"}, "y"); };
  const auto relu6 = [](OnnxFile& f) {
    f.Floats("0", {}, {0}).Floats("6", {}, {6}).Node("Clip", {"c", "0", "6"}, "y");
  };
  const auto transposed = [](OnnxFile& f) {
    f.Node("Transpose", {"c"}, "t").Ints("perm", {0, 2, 3, 1});
    f.Node("Transpose", {"t"}, "y").Ints("perm", {0, 3, 1, 2});
  };
  const std::vector<float> seven_up{1, 2, 0.5f, 2, 3, 1, 4}, seven_zero(7, 0.0f);
  const std::vector<float> inner{0, 1, -2, 3, 4, 0, 0}, outer{5, 1, -2, 3, 4, 0, 0};
  return {{"MaxPoolWithFactorsAboveZero", max_pool, up, offsets, 1},
          {"MaxPoolWithAFactorBelowZero", max_pool, mixed, offsets, 2},
          {"MeanWithoutPadding", mean_pool(false), mixed, offsets, 1},
          {"MeanOfPaddingWithOffsets", mean_pool(true), mixed, offsets, 2},
          {"MeanOfPaddingWithoutOffsets", mean_pool(true), mixed, zero, 1},
          {"PadWithOffsets", pad, mixed, offsets, 2},
          {"PadWithoutOffsets", pad, mixed, zero, 1},
          {"PaddedChannelsWithoutOffsets", channel_pad, seven_up, inner, 1},
          {"PaddedChannelsWithOffsets", channel_pad, seven_up, outer, 2},
          {"SliceOfChannels", slice, {2, -3}, {1, 4}, 1},
          {"ConcatOfConvolutions", concat, {1, 2, -3, 4, 5, 6}, {6, 5, 4, 3, 2, 1}, 2},
          {"ConcatOfTheInput", concat_of_input, {1, 2, 3, 4, 5, 6, 7, 8}, std::vector<float>(8), 2},
          {"AdditionOfConvolutions", add, mixed, offsets, 2},
          {"ReluWithFactorsAboveZero", relu, up, zero, 1},
          {"ReluWithOffsets", relu, up, offsets, 2},
          {"ReluWithAFactorBelowZero", relu, mixed, zero, 2},
          {"Relu6", relu6, up, zero, 2},
          {"Transposes", transposed, mixed, offsets, 1}};
}

TEST(OnnxBatchNormTest, IsFoldedBackThroughWhatKeepsItAsItIs) {
  for (const BackwardCase& c : BackwardCases()) {
    SCOPED_TRACE(c.name);
    OnnxFile without = Image(4, 6, 6);
    c.add(without);
    OnnxFile with = Image(4, 6, 6);
    c.add(with);
    Norm(with, "y", "n", c.factors, c.offsets);
    const std::vector<float> input = OnnxFile::RampValues({4, 6, 6});
    // Tolerance: the norm is rounded into the weights instead of the sums.
    EXPECT_THAT(Compute(with, input),
                Pointwise(FloatNear(1e-5f), Apply(Compute(without, input), c.factors, c.offsets)));
    EXPECT_EQ(CountLayers(with), c.layers);
  }
}

// A network whose first node is a norm; the rest reads `n` (4x6x6).
struct ForwardCase {
  std::string name;
  std::function<void(OnnxFile&)> add;
  std::vector<float> factors, offsets;
  int layers_more;  // 0 where the norm is folded
};

std::vector<ForwardCase> ForwardCases() {
  const std::vector<float> mixed{2, -0.5f, 3, 1}, up{2, 0.5f, 3, 0}, zero(4, 0.0f);
  const std::vector<float> offsets{1, -2, 0.25f, 3};
  const auto conv = [](int64_t pad, int64_t groups) {
    return [pad, groups](OnnxFile& f) {
      f.Ramp("w", {6, 4 / groups, 3, 3}).Ramp("b", {6}).Node("Conv", {"n", "w", "b"}, "c");
      f.Ints("pads", {pad, pad, pad, pad}).Int("group", groups);
    };
  };
  const auto pooled = [](const char* type) {
    return [type](OnnxFile& f) {
      f.Node(type, {"n"}, "p").Ints("kernel_shape", {2, 2}).Ints("pads", {1, 1, 0, 0});
      f.Ramp("w", {3, 4, 2, 2}).Node("Conv", {"p", "w"}, "c");
    };
  };
  const auto dense = [](OnnxFile& f) {
    f.Node("Transpose", {"n"}, "t").Ints("perm", {0, 2, 3, 1}).Node("Flatten", {"t"}, "f");
    f.Ramp("w", {144, 3}).Node("MatMul", {"f", "w"}, "g");
  };
  const auto sliced = [](OnnxFile& f) {
    f.Integers("starts", {2}).Integers("ends", {4}).Integers("axes", {1});
    f.Node("Slice", {"n", "starts", "ends", "axes"}, "s");
    f.Ramp("w", {3, 2, 1, 1}).Node("Conv", {"s", "w"}, "c");
  };
  const auto joined = [](OnnxFile& f) {
    f.Node("Concat", {"n", "x"}, "j").Int("axis", 1);
    f.Ramp("w", {3, 8, 1, 1}).Node("Conv", {"j", "w"}, "c");
  };
  const auto read_twice = [](OnnxFile& f) {
    f.Ramp("w", {4, 4, 1, 1}).Node("Conv", {"n", "w"}, "c").Node("Add", {"c", "n"}, "y");
  };
  const auto rectified = [](OnnxFile& f) {
    f.Node("Relu", {"n"}, "r").Ramp("w", {3, 4, 1, 1}).Node("Conv", {"r", "w"}, "c");
  };
  return {{"Conv", conv(0, 1), mixed, offsets, 0},
          {"ConvOfGroups", conv(0, 2), mixed, offsets, 0},
          {"ConvWithPaddingAndOffsets", conv(1, 1), mixed, offsets, 1},
          {"ConvWithPaddingAndFactorsOnly", conv(1, 2), mixed, zero, 0},
          {"MaxPool", pooled("MaxPool"), up, offsets, 0},
          {"MaxPoolWithAFactorBelowZero", pooled("MaxPool"), mixed, offsets, 1},
          {"AveragePool", pooled("AveragePool"), mixed, offsets, 0},
          {"DenseLayerAfterATranspose", dense, mixed, offsets, 0},
          {"Slice", sliced, mixed, offsets, 0},
          {"Concat", joined, mixed, offsets, 1},  // x is read twice, and stays what it is
          {"TwoReaders", read_twice, mixed, offsets, 1},
          {"ReluWithFactorsOnly", rectified, up, zero, 0},
          {"ReluWithOffsets", rectified, up, offsets, 1}};
}

TEST(OnnxBatchNormTest, IsFoldedForwardIntoItsOnlyReader) {
  for (ForwardCase& c : std::vector<ForwardCase>(ForwardCases())) {
    SCOPED_TRACE(c.name);
    OnnxFile without;
    without.Input("x", {-1, 4, 6, 6}).Node("Identity", {"x"}, "n");
    c.add(without);
    OnnxFile with;
    with.Input("x", {-1, 4, 6, 6});
    Norm(with, "x", "n", c.factors, c.offsets);
    c.add(with);
    if (c.name == "Concat") {
      // Here only a part of what the reader sees is normalised.
      EXPECT_EQ(CountLayers(with), CountLayers(without));
      continue;
    }
    const std::vector<float> input = OnnxFile::RampValues({4, 6, 6});
    EXPECT_THAT(Compute(with, input),
                Pointwise(FloatNear(1e-4f), Compute(without, Apply(input, c.factors, c.offsets))));
    EXPECT_EQ(CountLayers(with), CountLayers(without) + c.layers_more);
  }
}

TEST(OnnxBatchNormTest, TwoInARowAreOne) {
  OnnxFile file;
  file.Input("x", {-1, 2, 3, 3});
  Norm(file, "x", "a", {2, 3}, {1, -1});
  Norm(file, "a", "b", {-1, 4}, {5, 0});
  file.Ramp("w", {2, 2, 1, 1}).Node("Conv", {"b", "w"}, "c").Ints("pads", {1, 1, 1, 1});
  const ModelPackage package = Import(file);
  ASSERT_EQ(package.weights.layers.size(), 2u);
  EXPECT_THAT(package.weights.layers[0].weights, ElementsAre(-2, 12));
  EXPECT_THAT(package.weights.layers[0].bias, ElementsAre(4, -4));
}

// BatchNorm1d behind a flatten has numbers for each element of the image.
TEST(OnnxBatchNormTest, OfAFlattenedImageGoesIntoTheDenseLayerBehindIt) {
  std::vector<float> factors, offsets;
  for (int i = 0; i < 12; ++i) {
    factors.push_back(1.0f + 0.5f * static_cast<float>(i));
    offsets.push_back(static_cast<float>(i % 3));
  }
  OnnxFile file;
  file.Input("x", {-1, 2, 2, 3}).Node("Transpose", {"x"}, "t").Ints("perm", {0, 3, 2, 1});
  file.Node("Flatten", {"t"}, "f");
  Norm(file, "f", "n", factors, offsets);
  file.Floats("half", {}, {0.5f}).Node("Mul", {"n", "half"}, "h");
  file.Ramp("w", {12, 2}).Node("MatMul", {"h", "w"}, "g");
  EXPECT_EQ(CountLayers(file), 1);
  const std::vector<float> input = OnnxFile::RampValues({2, 2, 3});
  const std::vector<float> weights = OnnxFile::RampValues({12, 2});
  std::vector<float> expected(2, 0.0f);
  for (int i = 0; i < 12; ++i) {
    // Element i of the file's order: columns, rows, channels.
    const int column = i / 4, row = i / 2 % 2, channel = i % 2;
    const float x = input[(channel * 2 + row) * 3 + column];
    const float mapped = 0.5f * (x * factors[i] + offsets[i]);
    for (int o = 0; o < 2; ++o) expected[o] += mapped * weights[2 * i + o];
  }
  EXPECT_THAT(Compute(file, input), Pointwise(FloatNear(1e-5f), expected));
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
    EXPECT_EQ(PrintGraph(package.graph), ImageText(3, 2, 2, "output s = c\n"));
    EXPECT_THAT(package.weights.layers[0].bias, ElementsAre(1, 2, 3));
  }
}

TEST(OnnxArithmeticTest, WithConstantsIsInTheLayerBeforeIt) {
  struct Case {
    const char* type;
    bool constant_first;
    std::vector<float> expected;  // of 10 and 20, with the constants 2 and 4
  };
  const Case cases[] = {{"Add", false, {12, 24}}, {"Add", true, {12, 24}},  {"Sub", false, {8, 16}},
                        {"Sub", true, {-8, -16}}, {"Mul", false, {20, 80}}, {"Mul", true, {20, 80}},
                        {"Div", false, {5, 5}}};
  for (const Case& c : cases) {
    OnnxFile file;
    file.Input("x", {-1, 2, 1, 1}).Floats("w", {2, 2, 1, 1}, {1, 0, 0, 1});
    file.Floats("k", {1, 2, 1, 1}, {2, 4}).Node("Conv", {"x", "w"}, "c");
    const std::vector<std::string> inputs =
        c.constant_first ? std::vector<std::string>{"k", "c"} : std::vector<std::string>{"c", "k"};
    file.Node(c.type, inputs, "y");
    EXPECT_EQ(CountLayers(file), 1) << c.type;
    EXPECT_EQ(Compute(file, {10, 20}), c.expected) << c.type << c.constant_first;
  }
}

TEST(OnnxSubTest, OfTwoTensorsIsAnAdditionOfTheOpposite) {
  OnnxFile file = Image(2, 2, 2);
  file.Node("Sub", {"x", "c"}, "s");
  EXPECT_EQ(Text(file), ImageText(2, 2, 2, "s = Add(x, c)\noutput s\n"));
  OnnxFile sum = Image(2, 2, 2);
  sum.Node("Neg", {"w"}, "v").Node("Conv", {"x", "v"}, "d").Node("Add", {"x", "d"}, "s");
  EXPECT_EQ(Compute(file, OnnxFile::RampValues({2, 2, 2})),
            Compute(sum, OnnxFile::RampValues({2, 2, 2})));
  // Where the second is needed as it is, its opposite is a layer of its own.
  OnnxFile both = Image(2, 2, 2);
  both.Node("Sub", {"x", "c"}, "s").Node("Concat", {"s", "c"}, "j").Int("axis", 1);
  EXPECT_EQ(Text(both), ImageText(2, 2, 2,
                                  "s:negated = Conv(c) k=1x1 g=2 out=2\ns = Add(x, s:negated)\n"
                                  "j = Concat(s, c)\noutput j\n"));
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

TEST(OnnxClipTest, HasOtherSpellings) {
  const std::string relu6 = "input x 2x2x2\nc = Conv(x) k=1x1 out=2 relu=6\noutput c\n";
  const std::string relu = "input x 2x2x2\nc = Conv(x) k=1x1 out=2 relu\noutput c\n";
  const auto file = [](const std::function<void(OnnxFile&)>& add, int64_t opset = 13) {
    OnnxFile f = Image(2, 2, 2, opset);
    f.Floats("0", {}, {0}).Floats("6", {1}, {6}).Floats("-1", {}, {-1});
    f.Floats("most", {}, {std::numeric_limits<float>::max()});
    add(f);
    return Text(f);
  };
  EXPECT_EQ(file([](OnnxFile& f) {
              f.Node("Max", {"c", "0"}, "a").Node("Min", {"6", "a"}, "b");
            }),
            relu6);
  EXPECT_EQ(file([](OnnxFile& f) {
              f.Node("Relu", {"c"}, "a").Node("Min", {"a", "6"}, "b");
            }),
            relu6);
  EXPECT_EQ(file([](OnnxFile& f) {
              f.Node("Relu", {"c"}, "a").Node("Clip", {"a", "", "6"}, "b");
            }),
            relu6);
  EXPECT_EQ(file([](OnnxFile& f) {
              f.Node("Relu", {"c"}, "a").Node("Clip", {"a", "-1", "6"}, "b");
            }),
            relu6);
  EXPECT_EQ(file([](OnnxFile& f) { f.Node("Clip", {"c", "0"}, "a"); }), relu);
  EXPECT_EQ(file([](OnnxFile& f) { f.Node("Clip", {"c", "0", "most"}, "a"); }), relu);
  EXPECT_EQ(file([](OnnxFile& f) { f.Node("Clip", {"c"}, "a").Node("Relu", {"a"}, "b"); }), relu);
  EXPECT_EQ(file([](OnnxFile& f) { f.Node("Clip", {"c"}, "a").Float("min", 0); }, 9), relu);
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

// Padding that the file asks for counts, what the last window reaches beyond it does not.
TEST(OnnxPoolTest, CeilModeWithCountedPaddingKeepsTheZerosApart) {
  OnnxFile file;
  file.Input("x", {1, 1, 4, 1}).Floats("w", {1, 1, 1, 1}, {1}).Node("Conv", {"x", "w"}, "c");
  file.Node("AveragePool", {"c"}, "p").Ints("kernel_shape", {4, 1}).Ints("strides", {2, 1});
  file.Ints("pads", {1, 0, 0, 0}).Int("ceil_mode", 1).Int("count_include_pad", 1);
  EXPECT_EQ(Text(file),
            "input x 1x4x1\nc = Conv(x) k=1x1 out=1\np:zeros = Pad(c) c=0,0 p=1,0,0,0\n"
            "p = AveragePool(p:zeros) k=4x1 s=2x1 p=0,0,1,0\noutput p\n");
  EXPECT_THAT(Compute(file, {3, 6, 9, 12}), ElementsAre(4.5f, 9));
}

TEST(OnnxPoolTest, TheMeanOfRowsOrColumnsIsAPoolToo) {
  OnnxFile rows = Image(3, 4, 5);
  rows.Node("ReduceMean", {"c"}, "p").Ints("axes", {2});
  EXPECT_EQ(Text(rows), ImageText(3, 4, 5, "p = AveragePool(c) k=4x1\noutput p\n"));
  OnnxFile columns = Image(3, 4, 5);
  columns.Node("ReduceMean", {"c"}, "m").Ints("axes", {-1}).Int("keepdims", 0);
  columns.Node("ReduceMean", {"m"}, "p").Ints("axes", {2}).Int("keepdims", 0);
  columns.Ramp("w2", {3, 2}).Node("MatMul", {"p", "w2"}, "g");
  EXPECT_EQ(Text(columns), ImageText(3, 4, 5,
                                     "m = AveragePool(c) k=1x5\np = AveragePool(m) k=4x1\n"
                                     "g = Conv(p) k=1x1 out=2\noutput g\n"));
}

TEST(OnnxPoolTest, TheMeanOfAllMayBeTakenOfAnotherArrangement) {
  const std::string expected =
      ImageText(3, 4, 5, "p = AveragePool(c) k=4x5\ng = Conv(p) k=1x1 out=2\noutput g\n");
  OnnxFile last = Image(3, 4, 5);
  last.Node("Transpose", {"c"}, "t").Ints("perm", {0, 2, 3, 1});
  last.Node("ReduceMean", {"t"}, "p").Ints("axes", {1, 2}).Int("keepdims", 0);
  last.Ramp("w2", {3, 2}).Node("MatMul", {"p", "w2"}, "g");
  EXPECT_EQ(Text(last), expected);
  OnnxFile flat = Image(3, 4, 5);
  flat.Integers("to", {0, 3, -1}).Node("Reshape", {"c", "to"}, "f");
  flat.Node("ReduceMean", {"f"}, "p").Ints("axes", {2}).Int("keepdims", 0);
  flat.Ramp("w2", {3, 2}).Node("MatMul", {"p", "w2"}, "g");
  EXPECT_EQ(Text(flat), expected);
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

// As exported with the batch of the training: Reshape names it, the rest does not care.
TEST(OnnxLayoutTest, AFixedBatchIsTakenAsOne) {
  for (const OnnxFile::Dims& to : {OnnxFile::Dims{8, 32}, {8, -1}, {0, -1}, {-1, 32}}) {
    OnnxFile file;
    file.Input("x", {8, 2, 4, 4}).Integers("to", to).Ramp("w", {32, 3}).Integers("0", {0});
    file.Integers("8", {8}).Node("Slice", {"x", "0", "8", "0"}, "all");
    file.Node("Reshape", {"all", "to"}, "f").Node("MatMul", {"f", "w"}, "g");
    EXPECT_EQ(Text(file), "input x 2x4x4\ng = Conv(x) k=4x4 out=3\noutput g\n");
  }
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

// x, a signal, then a convolution `c` of it with a kernel of one.
OnnxFile Signal(int64_t channels, int64_t length, int64_t opset = 13) {
  OnnxFile file(opset);
  file.Input("x", {-1, channels, length}).Ramp("w", {channels, channels, 1});
  file.Node("Conv", {"x", "w"}, "c");
  return file;
}

TEST(OnnxSignalTest, AConvolutionOverALengthIsOneOverColumns) {
  OnnxFile file;
  file.Input("x", {1, 4, 30}).Ramp("w", {6, 2, 3}).Ramp("b", {6});
  file.Node("Conv", {"x", "w", "b"}, "c").Ints("kernel_shape", {3}).Ints("strides", {2});
  file.Ints("dilations", {3}).Ints("pads", {1, 4}).Int("group", 2);
  EXPECT_EQ(Text(file),
            "input x 4x1x30\nc = Conv(x) k=1x3 s=1x2 d=1x3 p=0,1,0,4 g=2 out=6\noutput c\n");
  EXPECT_EQ(Import(file).weights.layers[0].weights, OnnxFile::RampValues({6, 2, 3}));
}

TEST(OnnxSignalTest, EveryAutoPadIsResolved) {
  const auto text = [](const std::string& mode) {
    OnnxFile file;
    file.Input("x", {1, 1, 10}).Ramp("w", {1, 1, 4});
    file.Node("Conv", {"x", "w"}, "c").Ints("strides", {3}).Text("auto_pad", mode);
    return Text(file);
  };
  const std::string input = "input x 1x1x10\nc = Conv(x) k=1x4 s=1x3";
  EXPECT_EQ(text("SAME_UPPER"), input + " p=0,1,0,2 out=1\noutput c\n");
  EXPECT_EQ(text("SAME_LOWER"), input + " p=0,2,0,1 out=1\noutput c\n");
  EXPECT_EQ(text("VALID"), input + " out=1\noutput c\n");
}

TEST(OnnxSignalTest, EveryOperatorKeepsTheLength) {
  OnnxFile file = Signal(4, 16);
  for (const char* name : {"scale", "offset", "mean"}) file.Ramp(name, {4});
  file.Floats("variance", {4}, {1, 2, 3, 4});
  file.Node("BatchNormalization", {"c", "scale", "offset", "mean", "variance"}, "n");
  file.Node("Relu", {"n"}, "r");
  file.Node("MaxPool", {"r"}, "m").Ints("kernel_shape", {3}).Ints("strides", {2});
  file.Ints("pads", {1, 1});
  file.Node("AveragePool", {"r"}, "a").Ints("kernel_shape", {2}).Ints("strides", {2});
  file.Node("Concat", {"m", "a"}, "j").Int("axis", 1);
  file.Integers("pads", {0, 1, 2, 0, 0, 3}).Node("Pad", {"j", "pads"}, "p");
  file.Integers("from", {1}).Integers("to", {11}).Integers("axis", {2}).Integers("step", {3});
  file.Node("Slice", {"p", "from", "to", "axis", "step"}, "s");
  file.Node("GlobalAveragePool", {"s"}, "g").Node("Flatten", {"g"}, "f");
  file.Ramp("fw", {9, 3}).Node("MatMul", {"f", "fw"}, "fc").Output("fc").Output("s");
  EXPECT_EQ(Text(file),
            "input x 4x1x16\n"
            "c = Conv(x) k=1x1 out=4 relu\n"
            "m = MaxPool(c) k=1x3 s=1x2 p=0,1,0,1\n"
            "a = AveragePool(c) k=1x2 s=1x2\n"
            "j = Concat(m, a)\n"
            "p = Pad(j) c=1,0 p=0,2,0,3\n"
            "s = Slice(p) start=0,0,1 step=1,1,3 size=9x1x4\n"
            "g = AveragePool(s) k=1x4\n"
            "fc = Conv(g) k=1x1 out=3\n"
            "output fc\noutput s\n");
}

TEST(OnnxSignalTest, TheMeanOverTheLengthIsAPool) {
  OnnxFile file = Signal(2, 8);
  file.Node("ReduceMean", {"c"}, "m").Ints("axes", {-1}).Int("keepdims", 0);
  EXPECT_EQ(Text(file),
            "input x 2x1x8\nc = Conv(x) k=1x1 out=2\nm = AveragePool(c) k=1x8\noutput m\n");
}

TEST(OnnxSignalTest, ImagesOfOneRowBecomeSignalsAndBack) {
  OnnxFile file;
  file.Input("x", {1, 2, 1, 12})
      .Ramp("w", {3, 2, 1, 3})
      .Ramp("v", {4, 3, 3})
      .Ramp("u", {5, 4, 1, 2});
  file.Integers("axis", {2}).Node("Conv", {"x", "w"}, "a").Node("Squeeze", {"a", "axis"}, "s");
  file.Node("Conv", {"s", "v"}, "b").Node("Unsqueeze", {"b", "axis"}, "t");
  file.Node("Conv", {"t", "u"}, "c");
  EXPECT_EQ(Text(file),
            "input x 2x1x12\n"
            "a = Conv(x) k=1x3 out=3\n"
            "b = Conv(a) k=1x3 out=4\n"
            "c = Conv(b) k=1x2 out=5\n"
            "output c\n");
}

TEST(OnnxSignalTest, ALengthThatIsRowsStaysRows) {
  OnnxFile file;
  file.Input("x", {1, 2, 12, 1}).Ramp("w", {3, 2, 3, 1}).Ramp("v", {4, 3, 3}).Integers("axis", {3});
  file.Node("Conv", {"x", "w"}, "a").Node("Squeeze", {"a", "axis"}, "s");
  file.Node("Conv", {"s", "v"}, "b").Ints("pads", {1, 0});
  EXPECT_EQ(Text(file),
            "input x 2x12x1\n"
            "a = Conv(x) k=3x1 out=3\n"
            "b = Conv(a) k=3x1 p=1,0,0,0 out=4\n"
            "output b\n");
}

TEST(OnnxSignalTest, AMatrixOverTheChannelsIsAConvolutionOfOnePosition) {
  OnnxFile file = Signal(2, 3);
  file.Floats("m", {2, 1}, {1, 10}).Floats("b", {1}, {0.5f});
  file.Node("Transpose", {"c"}, "t").Ints("perm", {0, 2, 1});
  file.Node("MatMul", {"t", "m"}, "y").Node("Add", {"y", "b"}, "z");
  file.Node("Transpose", {"z"}, "back").Ints("perm", {0, 2, 1});
  const ModelPackage package = Import(file);
  EXPECT_EQ(PrintGraph(package.graph),
            "input x 2x1x3\nc = Conv(x) k=1x1 out=2\ny = Conv(c) k=1x1 out=1\noutput back = y\n");
  EXPECT_THAT(package.weights.layers[1].weights, ElementsAre(1, 10));
  EXPECT_THAT(package.weights.layers[1].bias, ElementsAre(0.5f));
}

TEST(OnnxSignalTest, AFlattenedSignalIsReadInTheOrderOfTheFile) {
  OnnxFile file = Signal(2, 3);
  file.Ramp("m", {6, 1}).Node("Transpose", {"c"}, "t").Ints("perm", {0, 2, 1});
  file.Node("Flatten", {"t"}, "f").Node("MatMul", {"f", "m"}, "y");
  // In the file: position by position; in the normal form: channel by channel.
  const std::vector<float> m = OnnxFile::RampValues({6, 1});
  EXPECT_THAT(Import(file).weights.layers[1].weights,
              ElementsAre(m[0], m[2], m[4], m[1], m[3], m[5]));
}

TEST(OnnxSignalTest, AnInputThatIsTurnedAroundFirstHasItsChannelsLast) {
  OnnxFile file;
  file.Input("x", {1, 20, 3}).Ramp("w", {4, 3, 5});
  file.Node("Transpose", {"x"}, "t").Ints("perm", {0, 2, 1}).Node("Conv", {"t", "w"}, "c");
  EXPECT_EQ(Text(file), "input x 3x1x20\nc = Conv(x) k=1x5 out=4\noutput c\n");
}

TEST(OnnxSignalTest, AnInputOfOneDimensionIsFeatures) {
  OnnxFile file;
  file.Input("x", {3}).Ramp("w", {3, 2}).Ramp("b", {2});
  file.Node("MatMul", {"x", "w"}, "m").Node("Add", {"m", "b"}, "a").Node("Relu", {"a"}, "r");
  file.Node("Concat", {"r", "x"}, "j").Int("axis", 0).Node("Softmax", {"j"}, "s").Int("axis", 0);
  EXPECT_EQ(Text(file),
            "input x 3x1x1\nm = Conv(x) k=1x1 out=2 relu\nj = Concat(m, x)\noutput j\n");
}

TEST(OnnxGraphTest, OutputsKeepTheirNamesAndOrder) {
  OnnxFile file = Image(2, 4, 4);
  file.Ramp("m", {32, 3}).Node("Relu", {"c"}, "r").Node("Flatten", {"r"}, "flat");
  file.Node("MatMul", {"flat", "m"}, "fc").Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {2, 2});
  file.Output("fc").Output("p").Output("r");
  EXPECT_EQ(Text(file), ImageText(2, 4, 4,
                                  "r = Relu(c)\n"
                                  "fc = Conv(r) k=4x4 out=3\n"
                                  "p = MaxPool(c) k=2x2\n"
                                  "output fc\noutput p\noutput r\n"));
}

TEST(OnnxGraphTest, AnOutputIsAReaderThatKeepsItsValue) {
  OnnxFile file = Image(2, 4, 4);
  file.Node("Relu", {"c"}, "r").Node("Relu", {"r"}, "rr").Output("rr").Output("c");
  EXPECT_EQ(Text(file), ImageText(2, 4, 4, "r = Relu(c)\noutput rr = r\noutput c\n"));
}

TEST(OnnxGraphTest, SoftmaxIsDroppedOnEveryOutput) {
  OnnxFile file = Image(2, 1, 1);
  file.Ramp("m", {2, 3}).Node("Flatten", {"c"}, "flat").Node("MatMul", {"flat", "m"}, "logits");
  file.Node("Softmax", {"logits"}, "scores").Node("MatMul", {"flat", "m"}, "boxes");
  file.Node("LogSoftmax", {"boxes"}, "log").Node("Unsqueeze", {"log", "axis"}, "wide");
  file.Integers("axis", {1});
  file.Output("scores").Output("wide").Output("logits");
  EXPECT_EQ(Text(file), ImageText(2, 1, 1,
                                  "logits = Conv(c) k=1x1 out=3\n"
                                  "boxes = Conv(c) k=1x1 out=3\n"
                                  "output scores = logits\noutput wide = boxes\noutput logits\n"));
}

TEST(OnnxGraphTest, DeadEndsOfOneOutputLiveForAnother) {
  OnnxFile file = Image(2, 4, 4);
  file.Node("Relu", {"c"}, "r").Node("Relu", {"x"}, "dead").Output("r");
  EXPECT_EQ(Import(file).graph.nodes.size(), 1u);
  file.Output("dead");
  EXPECT_EQ(Import(file).graph.nodes.size(), 2u);
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

  file.Node("Relu", {"a"}, "y\n").Node("Relu", {"b"}, "y\t");
  file.graph().clear_output();
  file.Output("y\n").Output("y\t");
  const ModelPackage package = Import(file);
  ASSERT_EQ(package.graph.outputs.size(), 2u);
  EXPECT_EQ(package.graph.outputs[0].name, "y_");
  EXPECT_EQ(package.graph.outputs[1].name, "y__1");
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
