// The networks of ../shared/data/models, as they came from their exporters.

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "model/importer.h"
#include "model/onnx_tensor.h"
#include "model/onnx_wire.pb.h"
#include "model/text_form.h"
#include "tests/support/paths.h"
#include "tests/unit/model/float_reference.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::filesystem::path DataFolder() {
  const char* given = std::getenv("MICO_TEST_DATA");
  return given != nullptr ? given : std::filesystem::path(kSourceFolder) / "../shared/data";
}

class RealNetworksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::filesystem::is_directory(DataFolder() / "models")) return;
    const std::string missing =
        fmt::format("no networks in {}; set MICO_TEST_DATA", (DataFolder() / "models").string());
    if (std::getenv("CI") != nullptr) FAIL() << missing;
    GTEST_SKIP() << missing;
  }

  static std::string Read(const std::string& name) {
    absl::StatusOr<std::string> bytes = ReadFile(DataFolder() / "models" / name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or("");
  }

  static ModelPackage Import(const std::string& name) {
    absl::StatusOr<ModelPackage> package = OnnxImporter().Import(Read(name));
    EXPECT_TRUE(package.ok()) << package.status();
    return package.value_or(ModelPackage{});
  }

  static std::vector<float> ReadTensor(const std::string& name) {
    onnx_wire::TensorProto proto;
    EXPECT_TRUE(proto.ParseFromString(Read(name)));
    absl::StatusOr<ConstantTensor> tensor = DecodeTensor(proto);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return tensor.value_or(ConstantTensor{}).floats;
  }

  static int64_t CountMacs(const Graph& graph) {
    int64_t macs = 0;
    for (const int layer : graph.QuantizedLayers()) {
      macs += mico::CountMacs(graph, graph.nodes[layer]);
    }
    return macs;
  }

  static int64_t CountParameters(const Weights& weights) {
    size_t parameters = 0;
    for (const LayerWeights& layer : weights.layers) {
      parameters += layer.weights.size() + layer.bias.size();
    }
    return static_cast<int64_t>(parameters);
  }

  static int CountNodes(const Graph& graph, OpKind op) {
    return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                          [&](const Node& node) { return node.op == op; }));
  }
};

TEST_F(RealNetworksTest, LeNet5IsSevenNodes) {
  const ModelPackage package = Import("lenet5-mnist/lenet5_mnist.onnx");

  EXPECT_EQ(PrintGraph(package.graph),
            "input input 1x32x32\n"
            "/c1/Conv = Conv(input) k=5x5 out=6 relu\n"
            "/MaxPool = MaxPool(/c1/Conv) k=2x2 s=2x2\n"
            "/c3/Conv = Conv(/MaxPool) k=5x5 out=16 relu\n"
            "/MaxPool_1 = MaxPool(/c3/Conv) k=2x2 s=2x2\n"
            "/c5/Conv = Conv(/MaxPool_1) k=5x5 out=120 relu\n"
            "/f6/Gemm = Conv(/c5/Conv) k=1x1 out=84 relu\n"
            "/f7/Gemm = Conv(/f6/Gemm) k=1x1 out=10\n"
            "output logits = /f7/Gemm\n");
  EXPECT_EQ(CountParameters(package.weights), 61706);
  EXPECT_EQ(CountMacs(package.graph),
            6 * 28 * 28 * 25 + 16 * 10 * 10 * 6 * 25 + 120 * 16 * 25 + 120 * 84 + 84 * 10);
}

TEST_F(RealNetworksTest, Mnist8KeepsItsPaddingAndFoldsItsBiases) {
  const ModelPackage package = Import("mnist-8-cntk/mnist-8.onnx");

  EXPECT_EQ(PrintGraph(package.graph),
            "input Input3 1x28x28\n"
            "Convolution28 = Conv(Input3) k=5x5 p=2,2,2,2 out=8 relu\n"
            "Pooling66 = MaxPool(Convolution28) k=2x2 s=2x2\n"
            "Convolution110 = Conv(Pooling66) k=5x5 p=2,2,2,2 out=16 relu\n"
            "Pooling160 = MaxPool(Convolution110) k=3x3 s=3x3\n"
            "Times212 = Conv(Pooling160) k=4x4 out=10\n"
            "output Plus214_Output_0 = Times212\n");
  EXPECT_EQ(CountParameters(package.weights), 8 * 25 + 8 + 16 * 8 * 25 + 16 + 10 * 256 + 10);
}

TEST_F(RealNetworksTest, Mnist8GivesTheOutputsThatComeWithIt) {
  const ModelPackage package = Import("mnist-8-cntk/mnist-8.onnx");
  FloatReference reference(package);
  for (int set = 0; set < 3; ++set) {
    const std::string folder = fmt::format("mnist-8-cntk/test_data_set_{}/", set);
    const std::vector<float> input = ReadTensor(folder + "input_0.pb");
    const std::vector<float> expected = ReadTensor(folder + "output_0.pb");
    ASSERT_EQ(input.size(), 28u * 28u);
    ASSERT_EQ(expected.size(), 10u);

    const std::vector<float> logits = reference.Run(input);

    // The logits are thousands, where neighbouring floats are up to 5e-4 apart: two different
    // orders of summation agree to 1e-6 of the largest logit, not to a fixed difference.
    const auto [low, high] = std::minmax_element(expected.begin(), expected.end());
    const float tolerance = 1e-6f * std::max(-*low, *high);
    for (size_t i = 0; i < logits.size(); ++i) {
      EXPECT_NEAR(logits[i], expected[i], tolerance) << "set " << set << ", class " << i;
    }
  }
}

TEST_F(RealNetworksTest, ResNet20FoldsItsShortcutsToSliceAndPad) {
  const ModelPackage package = Import("resnet20-cifar10/resnet20_cifar10.onnx");
  const Graph& graph = package.graph;

  EXPECT_EQ(graph.values[graph.input].shape, (Shape{3, 32, 32}));
  EXPECT_EQ(graph.values[graph.scored_value()].shape, (Shape{10, 1, 1}));
  EXPECT_EQ(CountNodes(graph, OpKind::kConv), 20);
  EXPECT_EQ(CountNodes(graph, OpKind::kAdd), 9);
  EXPECT_EQ(CountNodes(graph, OpKind::kAveragePool), 1);
  EXPECT_EQ(CountNodes(graph, OpKind::kRelu), 0);
  // 269722 in training; folding leaves one bias where a batch norm had two numbers.
  EXPECT_EQ(CountParameters(package.weights), 269722 - 7 * 16 - 6 * 32 - 6 * 64);
  const int64_t first_stage = (3 + 6 * 16) * 16 * 9 * 32 * 32;
  const int64_t second_stage = (16 + 5 * 32) * 32 * 9 * 16 * 16;
  const int64_t third_stage = (32 + 5 * 64) * 64 * 9 * 8 * 8;
  EXPECT_EQ(CountMacs(graph), first_stage + second_stage + third_stage + 64 * 10);
  const std::string text = PrintGraph(graph);
  EXPECT_THAT(text, HasSubstr("step=1,2,2 size=16x16x16"));
  EXPECT_THAT(text, HasSubstr("c=8,8"));
  EXPECT_THAT(text, HasSubstr("step=1,2,2 size=32x8x8"));
  EXPECT_THAT(text, HasSubstr("c=16,16"));
}

TEST_F(RealNetworksTest, BatchNormsOfTheMlpDisappearInItsMatrices) {
  const ModelPackage package = Import("mnist-mlp-onnx2c/mnist-mlp-bn.onnx");

  EXPECT_EQ(PrintGraph(package.graph),
            "input network_input 784x1x1\n"
            "MatMul_0 = Conv(network_input) k=1x1 out=64\n"
            "MatMul_4 = Conv(MatMul_0) k=1x1 out=64\n"
            "MatMul_8 = Conv(MatMul_4) k=1x1 out=10\n"
            "output network_output = MatMul_8\n");
}

TEST_F(RealNetworksTest, TheNetworkOf14By14IsThreeNodes) {
  const ModelPackage package = Import("mnist-atmega-onnx2c/mnist.simplified.onnx");

  EXPECT_EQ(PrintGraph(package.graph),
            "input network_input 1x14x14\n"
            "Conv_3 = Conv(network_input) k=5x5 s=2x2 out=20 relu\n"
            "Conv_5 = Conv(Conv_3) k=3x3 out=12\n"
            "Gemm_9 = Conv(Conv_5) k=3x3 out=10\n"
            "output network_output = Gemm_9\n");
  // 3752 in the file; its convolutions come without a bias.
  EXPECT_EQ(CountParameters(package.weights), 3752 - 2 + 20 + 12);
}

TEST_F(RealNetworksTest, SuperResolutionIsRefusedForCuttingItsChannels) {
  const absl::StatusOr<ModelPackage> package =
      OnnxImporter().Import(Read("super-resolution/super_resolution.onnx"));

  ASSERT_EQ(package.status().code(), absl::StatusCode::kUnimplemented) << package.status();
  EXPECT_EQ(
      std::string(package.status().message()),
      "the model is not supported for 1 reason:\n"
      "  'Reshape_8' (Reshape): reshapes 1x9x224x224 to 1x1x3x3x224x224, which cuts an axis in "
      "pieces");
}

TEST_F(RealNetworksTest, UltraFaceIsRefusedWithEveryReason) {
  const absl::StatusOr<ModelPackage> package =
      OnnxImporter().Import(Read("ultraface-slim-320/version-slim-320_simplified.onnx"));

  ASSERT_EQ(package.status().code(), absl::StatusCode::kUnimplemented) << package.status();
  // Two outputs are none of the reasons.
  EXPECT_THAT(std::string(package.status().message()),
              AllOf(HasSubstr("for 8 reasons"), HasSubstr("cuts an axis in pieces"),
                    Not(HasSubstr("outputs"))));
}

}  // namespace
}  // namespace mico
