// What the importer refuses, and what it says.

#include <cmath>
#include <functional>

#include "gmock/gmock.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Refusal(OnnxFile& file, absl::StatusCode code) {
  const absl::StatusOr<ModelPackage> package = file.Import();
  EXPECT_EQ(package.status().code(), code) << package.status();
  return std::string(package.status().message());
}

std::string Unsupported(OnnxFile& file) { return Refusal(file, absl::StatusCode::kUnimplemented); }
std::string Malformed(OnnxFile& file) { return Refusal(file, absl::StatusCode::kInvalidArgument); }

OnnxFile Image(int64_t opset = 13) {
  OnnxFile file(opset);
  file.Input("x", {-1, 4, 8, 8}).Ramp("w", {4, 4, 1, 1}).Node("Conv", {"x", "w"}, "c");
  return file;
}

TEST(OnnxErrorsTest, BytesThatAreNoModelAreRefused) {
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(100, '\xff')}) {
    EXPECT_EQ(OnnxImporter().Import(bytes).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(OnnxErrorsTest, EveryTruncationIsRefused) {
  OnnxFile file = Image();
  const std::string bytes = file.Bytes();
  // The operator set is the last field; before it the file is never whole.
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(OnnxImporter().Import(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(OnnxErrorsTest, AChangedByteNeverBreaksTheImporter) {
  OnnxFile file = Image();
  file.Node("Relu", {"c"}, "r").Node("MaxPool", {"r"}, "p").Ints("kernel_shape", {2, 2});
  const std::string bytes = file.Bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const char flip : {'\x01', '\x10', '\x80'}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const absl::StatusOr<ModelPackage> package = OnnxImporter().Import(changed);
      if (!package.ok()) continue;
      EXPECT_TRUE(Validate(package->graph).ok()) << i;
    }
  }
}

TEST(OnnxErrorsTest, OperatorSetsOutsideOfEightToEighteenAreRefused) {
  for (const int64_t opset : {7, 19}) {
    OnnxFile file = Image(opset);
    EXPECT_THAT(Unsupported(file), HasSubstr("supported are 8 to 18"));
  }
}

TEST(OnnxErrorsTest, OneErrorListsEveryUnsupportedNode) {
  OnnxFile file = Image();
  file.Node("Sigmoid", {"c"}, "gate").Node("Tanh", {"gate"}, "product");
  file.Node("MaxPool", {"product"}, "pool").Ints("kernel_shape", {2, 2}).Ints("dilations", {2, 2});
  file.Node("Relu", {"pool"}, "fine").Node("Special", {"fine"}, "special");
  file.node().set_domain("com.example");
  EXPECT_THAT(Unsupported(file),
              AllOf(HasSubstr("for 4 reasons"), HasSubstr("'gate' (Sigmoid): no such operator"),
                    HasSubstr("'product' (Tanh): "), HasSubstr("'pool' (MaxPool): dilations 2x2"),
                    HasSubstr("'special' (Special): operators of 'com.example'")));
}

TEST(OnnxErrorsTest, UnsupportedFormsOfSupportedOperatorsAreNamed) {
  const auto refusal = [](const std::function<void(OnnxFile&)>& add, int64_t opset = 13) {
    OnnxFile file = Image(opset);
    file.Integers("zeros", {0, 0, 0, 0, 0, 0, 0, 1}).Floats("one", {}, {1}).Ramp("m", {8, 8});
    add(file);
    return Unsupported(file);
  };
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Conv", {"x", "c"}, "y");
              }),
              HasSubstr("its weights are computed"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Conv", {"c", "w"}, "y").Ints("strides", {1, 1, 1});
              }),
              HasSubstr("a window over 3 axes"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("MatMul", {"c", "m"}, "y");
              }),
              HasSubstr("along its last axis only"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("MatMul", {"c", "x"}, "y");
              }),
              HasSubstr("only data times a constant matrix"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Gemm", {"c", "m"}, "y").Int("transA", 1);
              }),
              HasSubstr("transA"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("GlobalAveragePool", {"c"}, "p").Node("Add", {"c", "p"}, "y");
              }),
              HasSubstr("adds 1x4x8x8 and 1x4x1x1"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Add", {"c", "m"}, "y");
              }),
              HasSubstr("numbers of its own for each element of 4x8x8"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Clip", {"c", "one"}, "y");
              }),
              HasSubstr("clips to [1, inf]"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Pad", {"c", "zeros", "one"}, "y");
              }),
              HasSubstr("pads with 1"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Pad", {"c", "zeros"}, "y").Text("mode", "edge");
              }),
              HasSubstr("mode 'edge'"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Concat", {"c", "x"}, "y").Int("axis", 2);
              }),
              HasSubstr("along axis 2"));
  EXPECT_THAT(refusal([](OnnxFile& f) { f.Node("ReduceMean", {"c"}, "y").Ints("axes", {1}); }),
              HasSubstr("only the mean over rows, columns or both"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Transpose", {"c"}, "y").Ints("perm", {0, 1, 3, 2});
              }),
              HasSubstr("output 'y' is 1x4x8x8"));
  EXPECT_THAT(refusal([](OnnxFile& f) { f.Node("Flatten", {"c"}, "y"); }),
              HasSubstr("output 'y' is 1x256"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Integers("to", {1, 2, 2, 64}).Node("Reshape", {"c", "to"}, "y");
              }),
              HasSubstr("cuts an axis in pieces"));
  EXPECT_THAT(refusal([](OnnxFile& f) { f.Node("Cast", {"c"}, "y").Int("to", 7); }),
              HasSubstr("casts to element type 7"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Softmax", {"c"}, "s").Int("axis", 1).Node("Relu", {"s"}, "y");
              }),
              HasSubstr("reads what Softmax 's' gives"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {2, 2}).AlsoWrites("where");
                f.Node("Relu", {"where"}, "y");
              }),
              HasSubstr("other than its first"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("AveragePool", {"c"}, "y").Ints("kernel_shape", {2, 2});
                f.Ints("pads", {2, 0, 0, 0});
              }),
              HasSubstr("padding as large as the kernel"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Mul", {"c", "x"}, "y");
              }),
              HasSubstr("only a constant factor"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Div", {"one", "c"}, "y");
              }),
              HasSubstr("only a constant divisor"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Sub", {"m", "c"}, "y");
              }),
              HasSubstr("numbers of its own for each element"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Ramp("k", {2, 1, 1, 1}).Node("Mul", {"c", "k"}, "y");
              }),
              HasSubstr("only one that broadcasts to it"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Min", {"c", "one"}, "y");
              }),
              HasSubstr("clips to [-inf, 1]"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("Max", {"c", "x"}, "y");
              }),
              HasSubstr("one constant number"));
  EXPECT_THAT(refusal([](OnnxFile& f) { f.Node("ReduceMean", {"c"}, "y"); }),
              HasSubstr("over other axes, or over all"));
  EXPECT_THAT(refusal([](OnnxFile& f) {
                f.Node("ReduceMean", {"c"}, "y").Ints("axes", {0, 2});
              }),
              HasSubstr("over other axes, or over all"));
}

TEST(OnnxErrorsTest, InputsAreChecked) {
  OnnxFile dynamic;
  dynamic.Input("x", {-1, 3, -1, -1}).Ramp("w", {4, 3, 1, 1}).Node("Conv", {"x", "w"}, "c");
  EXPECT_THAT(Malformed(dynamic), HasSubstr("input 'x': dimension 2 has no fixed size"));

  OnnxFile batch;
  batch.Input("x", {4, 6}).Integers("to", {2, 12}).Node("Reshape", {"x", "to"}, "c");
  EXPECT_THAT(Malformed(batch), AllOf(HasSubstr("reshapes 1x6 to 2x12"),
                                      HasSubstr("which the file fixes to 4, is taken as 1")));

  OnnxFile part;
  part.Input("x", {4, 6}).Integers("0", {0}).Integers("3", {3});
  part.Node("Slice", {"x", "0", "3", "0"}, "c");
  EXPECT_THAT(Unsupported(part), HasSubstr("takes a part of the batch"));

  OnnxFile mean;
  mean.Input("x", {4, 6}).Node("ReduceMean", {"x"}, "c").Ints("axes", {0});
  EXPECT_THAT(Unsupported(mean), HasSubstr("which the file fixes to 4"));

  OnnxFile matrix;
  matrix.Input("x", {4, 6}).Ramp("w", {4, 4}).Node("MatMul", {"w", "x"}, "c");
  EXPECT_THAT(Unsupported(matrix), HasSubstr("which the file fixes to 4"));

  OnnxFile endless;
  endless.Input("x", {int64_t{1} << 40, 6}).Ramp("w", {6, 4}).Node("MatMul", {"x", "w"}, "c");
  EXPECT_THAT(Malformed(endless), HasSubstr("out of range"));

  OnnxFile huge;
  huge.Input("x", {1, int64_t{1} << 20, 1 << 20, 8}).Ramp("w", {1, 1}).Node("Relu", {"x"}, "c");
  EXPECT_THAT(Malformed(huge), HasSubstr("2^31"));

  OnnxFile volume;
  volume.Input("x", {1, 3, 9, 9, 9}).Ramp("w", {4, 3, 3, 3, 3}).Node("Conv", {"x", "w"}, "c");
  EXPECT_THAT(Unsupported(volume), HasSubstr("input 'x' has 5 dimensions"));

  OnnxFile scalar;
  scalar.Input("x", {}).Node("Relu", {"x"}, "c");
  EXPECT_THAT(Unsupported(scalar), HasSubstr("input 'x' has 0 dimensions"));

  OnnxFile features;
  features.Input("x", {-1}).Ramp("w", {3, 2}).Node("MatMul", {"x", "w"}, "c");
  EXPECT_THAT(Malformed(features), HasSubstr("input 'x': dimension 0 has no fixed size"));

  OnnxFile two = Image();
  two.Input("z", {1, 4, 8, 8}).Node("Add", {"c", "z"}, "y");
  EXPECT_THAT(Unsupported(two), HasSubstr("2 inputs"));

  OnnxFile bytes = Image();
  bytes.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(2);
  EXPECT_THAT(Unsupported(bytes), HasSubstr("element type 2"));
}

TEST(OnnxErrorsTest, WindowsOfAnotherRankThanTheirInputAreMalformed) {
  OnnxFile strides = Image();
  strides.Ramp("v", {4, 4, 1, 1}).Node("Conv", {"c", "v"}, "y").Ints("strides", {2});
  EXPECT_THAT(Malformed(strides), HasSubstr("strides has 1 numbers; needs 2"));

  OnnxFile weights = Image();
  weights.Ramp("v", {4, 4, 3}).Node("Conv", {"c", "v"}, "y");
  EXPECT_THAT(Malformed(weights), HasSubstr("its weights are 4x4x3, it reads 1x4x8x8"));

  OnnxFile pool = Image();
  pool.Node("MaxPool", {"c"}, "y").Ints("kernel_shape", {3});
  EXPECT_THAT(Malformed(pool), HasSubstr("kernel_shape has 1 numbers; needs 2"));
}

TEST(OnnxErrorsTest, OutputsAreChecked) {
  OnnxFile none = Image();
  (void)none.Bytes();
  none.graph().clear_output();
  EXPECT_EQ(OnnxImporter().Import(none.model().SerializeAsString()).status().message(),
            "the model has 0 outputs; needs 1 to 64");

  OnnxFile many = Image();
  for (int i = 0; i < 65; ++i) many.Output("c");
  EXPECT_THAT(Malformed(many), HasSubstr("65 outputs; needs 1 to 64"));

  OnnxFile missing = Image();
  missing.Output("c").Output("elsewhere");
  EXPECT_THAT(Malformed(missing), HasSubstr("output 'elsewhere' is written by no node"));

  OnnxFile constant = Image();
  constant.Output("c").Output("w");
  EXPECT_THAT(Malformed(constant), HasSubstr("output 'w' does not depend on the input"));

  OnnxFile twice = Image();
  twice.Output("c").Output("c");
  EXPECT_THAT(Malformed(twice), HasSubstr("two outputs are named 'c'"));
}

TEST(OnnxErrorsTest, OneErrorListsEveryOutputThatCannotBe) {
  OnnxFile file = Image();
  file.Node("Identity", {"x"}, "same").Node("Flatten", {"c"}, "flat").Node("Erf", {"c"}, "erf");
  file.Node("MaxPool", {"c"}, "p").Ints("kernel_shape", {2, 2}).AlsoWrites("where");
  file.Output("same").Output("flat").Output("erf").Output("p").Output("where").Output("x");
  EXPECT_THAT(Unsupported(file),
              AllOf(HasSubstr("for 5 reasons"), HasSubstr("'erf' (Erf): no such operator"),
                    HasSubstr("output 'same' is the network's input; needs something computed"),
                    HasSubstr("output 'flat' is 1x256"),
                    HasSubstr("output 'where' is an output of 'p' other than its first"),
                    HasSubstr("output 'x' is the network's input")));
}

TEST(OnnxErrorsTest, NothingComputedMayFollowASoftmaxThatIsAnOutput) {
  OnnxFile file = Image();
  file.Node("Softmax", {"c"}, "s").Int("axis", 1).Node("Relu", {"s"}, "r").Output("s").Output("r");
  EXPECT_THAT(Unsupported(file), HasSubstr("reads what Softmax 's' gives"));
}

TEST(OnnxErrorsTest, TensorsAreChecked) {
  OnnxFile external = Image();
  external.graph().mutable_initializer(0)->set_data_location(1);
  EXPECT_THAT(Malformed(external), HasSubstr("its data lie in another file"));

  OnnxFile path = Image();
  path.graph().mutable_initializer(0)->add_external_data()->set_key("location");
  EXPECT_THAT(Malformed(path), HasSubstr("its data lie in another file"));

  OnnxFile short_data = Image();
  short_data.graph().mutable_initializer(0)->mutable_float_data()->RemoveLast();
  EXPECT_THAT(Malformed(short_data), HasSubstr("tensor 'w': 15 values"));

  OnnxFile raw = Image();
  raw.graph().mutable_initializer(0)->set_raw_data("abc");
  EXPECT_THAT(Malformed(raw), HasSubstr("its shape needs 64"));

  OnnxFile overflow = Image();
  overflow.graph().mutable_initializer(0)->set_dims(0, int64_t{1} << 62);
  EXPECT_THAT(Malformed(overflow), HasSubstr("out of range"));

  OnnxFile half = Image();
  half.graph().mutable_initializer(0)->set_data_type(10);
  EXPECT_THAT(Unsupported(half), HasSubstr("tensor 'w': element type 10"));

  OnnxFile infinite = Image();
  infinite.graph().mutable_initializer(0)->set_float_data(3, INFINITY);
  EXPECT_THAT(Malformed(infinite),
              HasSubstr("layer 'c' has a weight or bias that is not a finite"));

  OnnxFile mismatch;
  mismatch.Input("x", {1, 5, 8, 8}).Ramp("w", {4, 4, 1, 1}).Node("Conv", {"x", "w"}, "c");
  EXPECT_THAT(Malformed(mismatch), HasSubstr("do not match 5 input channels"));
}

TEST(OnnxErrorsTest, GraphsAreChecked) {
  OnnxFile circle;
  circle.Input("x", {1, 2}).Node("Add", {"x", "b"}, "a").Node("Relu", {"a"}, "b");
  EXPECT_THAT(Malformed(circle), HasSubstr("in a circle"));

  OnnxFile missing;
  missing.Input("x", {1, 2}).Node("Add", {"x", "nobody"}, "a");
  EXPECT_THAT(Malformed(missing), HasSubstr("reads tensor 'nobody', which nothing writes"));

  OnnxFile twice = Image();
  twice.Node("Relu", {"x"}, "c");
  EXPECT_THAT(Malformed(twice), HasSubstr("written before"));

  OnnxFile overwritten = Image();
  overwritten.Node("Relu", {"c"}, "x");
  EXPECT_THAT(Malformed(overwritten), HasSubstr("which is an input or initializer"));

  OnnxFile layerless;
  layerless.Input("x", {1, 2, 4, 4}).Node("MaxPool", {"x"}, "p").Ints("kernel_shape", {2, 2});
  EXPECT_THAT(Malformed(layerless), HasSubstr("no layer with weights"));

  OnnxFile constant;
  constant.Input("x", {1, 2}).Ramp("w", {2}).Node("Identity", {"w"}, "c");
  EXPECT_THAT(Malformed(constant), HasSubstr("does not depend on the input"));
}

TEST(OnnxErrorsTest, ASmallFileCannotAskForMuchMemory) {
  // A chain that a fold would have to spread over as many channels at every step.
  OnnxFile wide(13);
  wide.Input("x", {1, 2, 1, 1}).Ramp("w", {2, 2, 1, 1}).Node("Conv", {"x", "w"}, "c");
  wide.Integers("pads", {0, 0, 0, 0, 0, 100'000'000, 0, 0}).Node("Pad", {"c", "pads"}, "p");
  wide.Integers("0", {0}).Integers("2", {2}).Integers("1", {1}).Floats("one", {}, {1});
  wide.Node("Slice", {"p", "0", "2", "1"}, "s").Node("Add", {"s", "one"}, "y");
  EXPECT_EQ(wide.Import()->weights.layers.size(), 2u);

  OnnxFile file(13);
  file.Input("x", {1, 2'000'000'000}).Floats("one", {}, {1}).Node("Add", {"x", "one"}, "y");
  Refusal(file, absl::StatusCode::kResourceExhausted);
}

TEST(OnnxErrorsTest, ALongChainDoesNotExhaustTheStack) {
  OnnxFile file = Image();
  std::string from = "c";
  for (int i = 0; i < 20'000; ++i) {
    const std::string to = "p" + std::to_string(i);
    file.Node("MaxPool", {from}, to).Ints("kernel_shape", {1, 1});
    from = to;
  }
  file.Floats("one", {}, {1}).Node("Add", {from, "one"}, "y");
  EXPECT_EQ(file.Import()->weights.layers.size(), 2u);
}

}  // namespace
}  // namespace mico
