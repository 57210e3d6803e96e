// Files that somebody broke, or made to break us: every one gives an error or a valid network, in
// bounded time and memory.

#include <cmath>
#include <limits>

#include "base/file.h"
#include "base/random.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "tests/support/allocation_watch.h"
#include "tests/support/paths.h"
#include "tests/unit/model/onnx_file.h"

namespace mico {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;

constexpr size_t kMiB = size_t{1} << 20;

// Either refused with a message, or a network that keeps what a package promises.
absl::StatusCode ImportSafely(std::string_view bytes) {
  const absl::StatusOr<ModelPackage> package = OnnxImporter().Import(bytes);
  if (package.ok()) {
    EXPECT_TRUE(Validate(package->graph).ok()) << Validate(package->graph);
    EXPECT_TRUE(ParseModelPackage(Serialize(*package)).ok());
    return absl::StatusCode::kOk;
  }
  EXPECT_THAT(package.status().code(),
              AnyOf(absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnimplemented,
                    absl::StatusCode::kResourceExhausted))
      << package.status();
  EXPECT_THAT(std::string(package.status().message()), Not(testing::IsEmpty()));
  return package.status().code();
}

std::string Refused(OnnxFile& file) {
  const absl::StatusOr<ModelPackage> package = file.Import();
  EXPECT_FALSE(package.ok());
  EXPECT_NE(package.status().code(), absl::StatusCode::kInternal) << package.status();
  return std::string(package.status().message());
}

OnnxFile Image() {
  OnnxFile file;
  file.Input("x", {-1, 4, 8, 8}).Ramp("w", {4, 4, 1, 1}).Node("Conv", {"x", "w"}, "c");
  return file;
}

// A network that uses much of what the importer knows.
std::string Varied() {
  OnnxFile file;
  file.Input("x", {-1, 2, 6, 6}).Ramp("w", {3, 2, 3, 3}).Ramp("b", {3});
  file.Node("Conv", {"x", "w", "b"}, "c").Ints("pads", {1, 1, 1, 1}).Text("auto_pad", "NOTSET");
  file.Floats("one", {3}, {1, 2, 3}).Node("BatchNormalization", {"c", "one", "b", "b", "one"}, "n");
  file.Node("Relu", {"n"}, "r").Node("MaxPool", {"r"}, "p").Ints("kernel_shape", {2, 2});
  file.Ints("strides", {2, 2}).Node("Concat", {"p", "p"}, "k").Int("axis", 1);
  file.Integers("zero", {0}).Integers("rest", {-1}).Node("Shape", {"k"}, "s");
  file.Node("Gather", {"s", "zero"}, "batch")
      .Node("Concat", {"batch", "rest"}, "to")
      .Int("axis", 0);
  file.Node("Reshape", {"k", "to"}, "flat").Ramp("m", {5, 54}).Node("Gemm", {"flat", "m"}, "y");
  return file.Int("transB", 1).Bytes();
}

TEST(OnnxBadFilesTest, TheVariedNetworkIsGoodAsItIs) {
  EXPECT_EQ(ImportSafely(Varied()), absl::StatusCode::kOk);
}

TEST(OnnxBadFilesTest, EveryTruncationIsRefused) {
  const std::string bytes = Varied();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(ImportSafely(std::string_view(bytes).substr(0, size)), absl::StatusCode::kOk) << size;
  }
}

TEST(OnnxBadFilesTest, EveryChangedBitIsRefusedOrGivesAValidNetwork) {
  const std::string bytes = Varied();
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    ImportSafely(changed);
  }
}

TEST(OnnxBadFilesTest, ARealFileWithChangedBytesIsRefusedOrGivesAValidNetwork) {
  const std::string bytes =
      ReadFile(std::filesystem::path(kSourceFolder) / "examples/fashion-mnist/fashion_mnist.onnx")
          .value();
  Random random(20'261'128);
  for (int round = 0; round < 300; ++round) {
    std::string changed = bytes;
    // Most of the file is weights; its structure lies at both ends and between the tensors.
    for (int i = 0; i < 8; ++i) {
      const bool in_structure = i < 4;
      const uint64_t place = random.Below(in_structure ? 4096 : bytes.size());
      const bool at_end = in_structure && random.Below(2) == 0;
      changed[at_end ? bytes.size() - 1 - place : place] = static_cast<char>(random.Below(256));
    }
    ImportSafely(changed);
  }
}

TEST(OnnxBadFilesTest, RandomBytesAreRefused) {
  Random random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(random.Below(200), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
    EXPECT_NE(ImportSafely(bytes), absl::StatusCode::kOk);
  }
}

TEST(OnnxBadFilesTest, AGraphWithoutNodesOrWithoutAnythingIsRefused) {
  OnnxFile empty;
  empty.Input("x", {1, 4}).Output("x");
  EXPECT_THAT(Refused(empty), HasSubstr("no ONNX graph with nodes"));

  onnx_wire::ModelProto model;
  model.add_opset_import()->set_version(13);
  EXPECT_NE(ImportSafely(model.SerializeAsString()), absl::StatusCode::kOk);
}

TEST(OnnxBadFilesTest, InitializersOfAnotherTypeThanTheirReaderNeedsAreRefused) {
  OnnxFile weights;
  weights.Input("x", {1, 1, 1, 2}).Integers("w", {1, 2}).Node("Conv", {"x", "w"}, "c");
  EXPECT_THAT(Refused(weights), HasSubstr("not floats"));

  OnnxFile shape = Image();
  shape.Floats("to", {2}, {1, 256}).Node("Reshape", {"c", "to"}, "y");
  EXPECT_THAT(Refused(shape), HasSubstr("not integers"));

  OnnxFile missing;
  missing.Input("x", {1, 4, 8, 8}).Node("Conv", {"x", "w"}, "c");
  EXPECT_THAT(Refused(missing), HasSubstr("reads tensor 'w', which nothing writes"));

  OnnxFile typeless = Image();
  typeless.graph().mutable_initializer(0)->clear_data_type();
  EXPECT_THAT(Refused(typeless), HasSubstr("tensor 'w': element type 0"));
}

// Half, bfloat16, strings, complex numbers, ...: only float, double, int32, int64, bool are read.
TEST(OnnxBadFilesTest, ElementTypesThatAreNotReadAreNamed) {
  for (const int type : {2, 3, 4, 5, 8, 10, 12, 13, 14, 15, 16, 17, 99, -1}) {
    OnnxFile file = Image();
    file.graph().mutable_initializer(0)->set_data_type(type);
    file.graph().mutable_initializer(0)->set_raw_data(std::string(32, '\0'));
    EXPECT_THAT(Refused(file), HasSubstr(fmt::format("tensor 'w': element type {}", type)));
  }
}

TEST(OnnxBadFilesTest, DoublesAreReadAsFloatsAndRefusedWhereTheyDoNotFit) {
  OnnxFile file = Image();
  onnx_wire::TensorProto& weights = *file.graph().mutable_initializer(0);
  weights.set_data_type(onnx_wire::TensorProto::DOUBLE);
  weights.clear_float_data();
  for (int i = 0; i < 16; ++i) weights.add_double_data(0.5);
  EXPECT_TRUE(file.Import().ok()) << file.Import().status();

  weights.set_double_data(3, 1e300);
  EXPECT_THAT(Refused(file), HasSubstr("not a finite"));
}

TEST(OnnxBadFilesTest, RawDataOfAnyOtherLengthIsRefused) {
  for (const size_t size : {0, 1, 63, 65, 128}) {
    OnnxFile file = Image();
    file.graph().mutable_initializer(0)->clear_float_data();
    file.graph().mutable_initializer(0)->set_raw_data(std::string(size, '\0'));
    EXPECT_THAT(Refused(file), HasSubstr("its shape needs 64")) << size;
  }
}

TEST(OnnxBadFilesTest, WeightsThatAreNoNumbersAreRefused) {
  for (const float value : {NAN, INFINITY, -INFINITY}) {
    OnnxFile file = Image();
    file.graph().mutable_initializer(0)->set_float_data(3, value);
    EXPECT_THAT(Refused(file), HasSubstr("layer 'c' has a weight or bias that is not a finite"));
  }
}

TEST(OnnxBadFilesTest, WeightsThatOnlyFoldingMakesInfiniteAreRefused) {
  const auto normalised = [](float scale, float variance, float epsilon) {
    OnnxFile file = Image();
    const std::vector<float> zeros(4, 0.0f);
    file.Floats("scale", {4}, std::vector<float>(4, scale)).Floats("zero", {4}, zeros);
    file.Floats("variance", {4}, std::vector<float>(4, variance));
    file.Node("BatchNormalization", {"c", "scale", "zero", "zero", "variance"}, "n");
    file.Float("epsilon", epsilon);
    return Refused(file);
  };
  EXPECT_THAT(normalised(1.0f, 0.0f, 0.0f), Not(testing::IsEmpty()));   // divides by zero
  EXPECT_THAT(normalised(1.0f, -1.0f, 0.0f), Not(testing::IsEmpty()));  // root of a negative
  EXPECT_THAT(normalised(NAN, 1.0f, 0.0f), Not(testing::IsEmpty()));
  EXPECT_THAT(normalised(3e38f, 1e-30f, 0.0f), Not(testing::IsEmpty()));  // leaves float

  OnnxFile product = Image();
  product.Floats("huge", {}, {3e38f}).Node("Mul", {"c", "huge"}, "m");
  product.Floats("more", {}, {3e38f}).Node("Mul", {"m", "more"}, "y");
  Refused(product);
}

TEST(OnnxBadFilesTest, ExternalDataAreRefusedWhateverTheySay) {
  for (const std::string& location : {"/etc/passwd", "../../secret", "", "w.bin"}) {
    OnnxFile file = Image();
    auto& entry = *file.graph().mutable_initializer(0)->add_external_data();
    entry.set_key("location");
    entry.set_value(location);
    EXPECT_THAT(Refused(file), HasSubstr("another file")) << location;
  }
}

TEST(OnnxBadFilesTest, OneNameForTwoTensorsIsRefused) {
  OnnxFile initializers = Image();
  initializers.Ramp("w", {4, 4, 1, 1});
  EXPECT_THAT(Refused(initializers), HasSubstr("two initializers are named 'w'"));

  OnnxFile inputs = Image();
  inputs.Input("x", {1, 4, 8, 8});
  EXPECT_THAT(Refused(inputs), HasSubstr("inputs"));

  OnnxFile outputs = Image();
  outputs.Node("Relu", {"c"}, "r").AlsoWrites("r");
  EXPECT_THAT(Refused(outputs), HasSubstr("'r', which is written before"));
}

TEST(OnnxBadFilesTest, ShapesThatNoTensorHasAreRefused) {
  using Dims = OnnxFile::Dims;
  for (const Dims& dims : {Dims{}, Dims{0}, Dims{1, 0}, Dims{1, 4, 0, 8}, Dims{1, 3, 1 << 30, 8},
                           Dims{1, int64_t{1} << 62, 4, 4}}) {
    OnnxFile file;
    file.Input("x", dims).Ramp("w", {4, 3}).Node("MatMul", {"x", "w"}, "y");
    Refused(file);
  }
  // OnnxFile writes a negative extent as a symbol.
  OnnxFile negative = Image();
  negative.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_value(-8);
  EXPECT_THAT(Refused(negative), HasSubstr("dimension 2 has no fixed size"));

  OnnxFile shapeless = Image();
  shapeless.graph().mutable_input(0)->clear_type();
  Refused(shapeless);
}

TEST(OnnxBadFilesTest, InitializersWithShapesOutOfRangeAreRefused) {
  using Dims = OnnxFile::Dims;
  const int64_t far = std::numeric_limits<int64_t>::max();
  for (const Dims& dims :
       {Dims{-1}, Dims{-4, -4, 1, 1}, Dims{far}, Dims{far, far}, Dims{1 << 16, 1 << 16},
        Dims{std::numeric_limits<int64_t>::min()}, Dims{0, far}, Dims(17, 1)}) {
    OnnxFile file = Image();
    auto& shape = *file.graph().mutable_initializer(0)->mutable_dims();
    shape.Clear();
    shape.Add(dims.begin(), dims.end());
    Refused(file);
  }
}

TEST(OnnxBadFilesTest, AttributesOutOfRangeAreRefused) {
  using Dims = OnnxFile::Dims;
  const int64_t far = std::numeric_limits<int64_t>::max(), near = -far - 1;
  const auto refused = [](const char* name, const Dims& values, const char* type = "Conv") {
    OnnxFile file = Image();
    file.Node(type, {"c", "w"}, "y");
    if (std::string_view(type) != "Conv") file.node().mutable_input()->RemoveLast();
    if (std::string_view(type) != "Conv" && std::string_view(name) != "kernel_shape") {
      file.Ints("kernel_shape", {2, 2});
    }
    Refused(file.Ints(name, values));
  };
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, far, near}) {
    for (const char* type : {"Conv", "MaxPool", "AveragePool"}) {
      refused("strides", {bad, 1}, type);
      refused("dilations", {1, bad}, type);
      refused("kernel_shape", {bad, bad}, type);
      if (bad != 0) refused("pads", {bad, 0, 0, 0}, type);
    }
  }
  refused("kernel_shape", {9, 9}, "MaxPool");  // larger than the input
  refused("pads", Dims(1'000'000, 1));
  refused("kernel_shape", Dims(1'000'000, 1));

  for (const int64_t groups : {int64_t{0}, int64_t{-1}, int64_t{3}, far, near}) {
    OnnxFile file = Image();
    file.Node("Conv", {"c", "w"}, "y").Int("group", groups);
    EXPECT_THAT(Refused(file), HasSubstr("groups")) << groups;
  }
}

TEST(OnnxBadFilesTest, AKernelLargerThanItsInputIsRefused) {
  OnnxFile file;
  file.Input("x", {1, 1, 4, 4}).Ramp("w", {1, 1, 5, 5}).Node("Conv", {"x", "w"}, "c");
  Refused(file);
  OnnxFile dilated;
  dilated.Input("x", {1, 1, 4, 4}).Ramp("w", {1, 1, 2, 2}).Node("Conv", {"x", "w"}, "c");
  Refused(dilated.Ints("dilations", {4, 4}));
}

TEST(OnnxBadFilesTest, AxesOutOfRangeAreRefused) {
  const int64_t far = std::numeric_limits<int64_t>::max(), near = -far - 1;
  for (const int64_t axis : {int64_t{5}, int64_t{-5}, far, near}) {
    for (const char* type : {"Concat", "Flatten", "Softmax"}) {
      OnnxFile file = Image();
      Refused(file.Node(type, {"c"}, "y").Int("axis", axis));
    }
    OnnxFile transposed = Image();
    Refused(transposed.Node("Transpose", {"c"}, "y").Ints("perm", {0, 1, 2, axis}));
    OnnxFile mean = Image();
    Refused(mean.Node("ReduceMean", {"c"}, "y").Ints("axes", {2, axis}));
    OnnxFile squeezed = Image();
    Refused(squeezed.Integers("axes", {axis}).Node("Squeeze", {"c", "axes"}, "y"));
    OnnxFile raised = Image();
    Refused(raised.Integers("axes", {0, axis}).Node("Unsqueeze", {"c", "axes"}, "y"));
  }
}

// The wire schema has no field for a subgraph: If and Loop are refused like any unknown operator.
TEST(OnnxBadFilesTest, SubgraphsAreRefusedByTheNameOfTheirNode) {
  for (const char* type : {"If", "Loop", "Scan"}) {
    OnnxFile file = Image();
    file.Node(type, {"c"}, "y");
    auto& attribute = *file.node().add_attribute();
    attribute.set_name("then_branch");
    attribute.set_type(onnx_wire::AttributeProto::GRAPH);
    // Field 6, the graph, of any content.
    attribute.GetReflection()
        ->MutableUnknownFields(&attribute)
        ->AddLengthDelimited(6, file.graph().SerializeAsString());
    EXPECT_THAT(Refused(file), HasSubstr(fmt::format("'y' ({}): no such operator", type)));
  }
}

TEST(OnnxBadFilesTest, NestingWithoutEndIsRefused) {
  // Unknown groups are what a protobuf parser descends into: field 100, 100,000 levels deep.
  std::string groups;
  for (int level = 0; level < 100'000; ++level) groups += "\xa3\x06";
  EXPECT_EQ(ImportSafely(groups), absl::StatusCode::kInvalidArgument);
  for (int level = 0; level < 100'000; ++level) groups += "\xa4\x06";
  EXPECT_EQ(ImportSafely(groups), absl::StatusCode::kInvalidArgument);
}

TEST(OnnxBadFilesTest, NamesOfAnyBytesBecomePlain) {
  const std::string name("a\x1b[2J\n\r\t\0\xff\xfe'\"", 14);
  OnnxFile file;
  file.Input(name, {-1, 4, 8, 8}).Ramp("w", {4, 4, 1, 1}).Node("Conv", {name, "w"}, name + "c");
  const absl::StatusOr<ModelPackage> package = file.Import();
  ASSERT_TRUE(package.ok()) << package.status();
  for (const Value& value : package->graph.values) {
    for (const char c : value.name) EXPECT_TRUE(c > ' ' && c < 127) << value.name;
  }

  OnnxFile refused = Image();
  refused.Node(name, {"c"}, name);
  for (const char c : Refused(refused)) EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 127));

  OnnxFile missing;
  missing.Input("x", {1, 4}).Node("Relu", {name}, "y");
  for (const char c : Refused(missing)) EXPECT_TRUE(c >= ' ' && c < 127);
}

TEST(OnnxBadFilesTest, AHundredThousandNodesAreReadAndOneMoreRefused) {
  OnnxFile file;
  file.Input("x", {-1, 2}).Ramp("w", {2, 2}).Node("MatMul", {"x", "w"}, "y0");
  constexpr int kMost = 100'000;
  for (int i = 1; i < kMost; ++i) {
    file.Node(i % 2 == 0 ? "Relu" : "Add", {fmt::format("y{}", i - 1)}, fmt::format("y{}", i));
    if (i % 2 == 1) file.node().add_input(fmt::format("y{}", i - 1));
  }
  EXPECT_EQ(ImportSafely(file.Bytes()), absl::StatusCode::kOk);

  file.Node("Relu", {fmt::format("y{}", kMost - 1)}, "last");
  EXPECT_THAT(Refused(file), HasSubstr("100001 nodes; at most 100000"));
}

TEST(OnnxBadFilesTest, AHundredThousandNodesThatNobodyKnowsAreRefusedAtOnce) {
  OnnxFile file = Image();
  for (int i = 1; i < 100'000; ++i) file.Node("Special", {"c"}, fmt::format("y{}", i));
  for (int i = 1; i < 100'000; ++i) file.Output(fmt::format("y{}", i));
  Refused(file);
}

// Each of these asks for gigabytes, or for hours, in a few hundred bytes.
TEST(OnnxBadFilesTest, AShapeOfManyOnesCannotCostTime) {
  // Stepping through each element of such a constant would step over all of its dimensions.
  std::vector<int64_t> dims(100'000, 1);
  dims[0] = 1 << 24;
  OnnxFile file = Image();
  file.Integers("shape", dims).Node("ConstantOfShape", {"shape"}, "k").Node("Add", {"c", "k"}, "y");
  EXPECT_THAT(Refused(file), HasSubstr("100000 dimensions; at most 16"));

  OnnxFile expanded = Image();
  expanded.Integers("shape", dims).Floats("one", {}, {1}).Node("Expand", {"one", "shape"}, "k");
  expanded.Node("Add", {"c", "k"}, "y");
  EXPECT_THAT(Refused(expanded), HasSubstr("100000 dimensions; at most 16"));

  OnnxFile reshaped = Image();
  reshaped.Integers("shape", std::vector<int64_t>(100'000, 1)).Floats("one", {}, {1});
  reshaped.Node("Reshape", {"one", "shape"}, "k").Node("Add", {"c", "k"}, "y");
  EXPECT_THAT(Refused(reshaped), HasSubstr("100000 dimensions; at most 16"));
}

TEST(OnnxBadFilesTest, AViewOfManyDimensionsCannotCostMemory) {
  // Every reader would keep 100,000 dimensions.
  std::vector<int64_t> dims(100'000, 1);
  dims[0] = 256;
  OnnxFile file = Image();
  file.Integers("shape", dims).Node("Reshape", {"c", "shape"}, "v0");
  for (int i = 1; i < 1000; ++i) {
    file.Node("Identity", {fmt::format("v{}", i - 1)}, fmt::format("v{}", i));
  }
  const std::string bytes = file.Bytes();
  const AllocationWatch watch;
  EXPECT_THAT(std::string(OnnxImporter().Import(bytes).status().message()),
              HasSubstr("100000 dimensions; at most 16"));
  EXPECT_THAT(watch.peak_bytes(), Le(64 * kMiB));
}

TEST(OnnxBadFilesTest, WhatASmallFileAsksForIsCheckedBeforeItIsAllocated) {
  const int64_t huge = int64_t{1} << 30;
  std::vector<OnnxFile> files(6, Image());
  files[0].Integers("shape", {1, huge}).Node("ConstantOfShape", {"shape"}, "k");
  files[0].Node("Add", {"c", "k"}, "y");
  files[1]
      .Integers("shape", {huge, 1})
      .Floats("one", {}, {1})
      .Node("Expand", {"one", "shape"}, "k");
  files[1].Node("Add", {"c", "k"}, "y");
  files[2].graph().mutable_initializer(0)->set_dims(0, huge);
  files[3].graph().mutable_initializer(0)->clear_float_data();
  files[3].graph().mutable_initializer(0)->set_raw_data("");
  files[3].graph().mutable_initializer(0)->set_dims(0, huge);
  files[4].Integers("pads", {0, huge, huge, huge, 0, 0, 0, 0}).Node("Pad", {"c", "pads"}, "y");
  files[5].Node("Conv", {"c", "w"}, "y").Ints("pads", {huge, huge, huge, huge});
  for (size_t i = 0; i < files.size(); ++i) {
    const std::string bytes = files[i].Bytes();
    const AllocationWatch watch;
    EXPECT_NE(ImportSafely(bytes), absl::StatusCode::kOk) << i;
    EXPECT_THAT(watch.peak_bytes(), Le(kMiB)) << i;
  }
}

TEST(OnnxBadFilesTest, ANetworkWhoseTensorsFitNoMachineIsRefused) {
  OnnxFile file = Image();
  file.Integers("pads", {0, 0, 0, 0, 0, 0, 16'000, 16'000}).Node("Pad", {"c", "pads"}, "y");
  EXPECT_THAT(Refused(file), HasSubstr("elements"));
}

TEST(OnnxBadFilesTest, StepsOfSlicesOfAnySizeDoNotOverflow) {
  const int64_t far = std::numeric_limits<int64_t>::max();
  OnnxFile file = Image();
  file.Integers("zero", {0}).Integers("far", {far}).Integers("axis", {1}).Integers("end", {4});
  file.Node("Slice", {"c", "zero", "end", "axis", "far"}, "s");
  file.Node("Slice", {"s", "zero", "end", "axis", "far"}, "t");
  file.Node("Slice", {"t", "zero", "end", "axis", "far"}, "y");
  ImportSafely(file.Bytes());
}

}  // namespace
}  // namespace mico
