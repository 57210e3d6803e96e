// TorchScript in the normal form: what PyTorch computes, what ONNX files of the same networks give,
// and what is refused. tests/judge/script_modules.py makes the modules.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstdlib>
#include <sstream>

#include "base/file.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "model/onnx_tensor.h"
#include "model/onnx_wire.pb.h"
#include "model/text_form.h"
#include "tests/support/child_process.h"
#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "worker/torch/convert_script.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

constexpr char kPython[] = "/usr/bin/python3";
// Sums in another order, and factors that are folded into float weights; relative to the largest.
constexpr double kTolerance = 1e-5;

ConstantTensor ReadTensor(const std::string& bytes) {
  onnx_wire::TensorProto proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  absl::StatusOr<ConstantTensor> tensor = DecodeTensor(proto);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.value_or(ConstantTensor{});
}

// Channels, rows, columns, as PyTorch has them, of our rows, columns, channels.
std::vector<float> ChannelsFirst(const std::vector<float>& ours, const Shape& shape) {
  std::vector<float> turned(ours.size());
  const int64_t places = shape.height * shape.width;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    turned[i % shape.channels * places + i / shape.channels] = ours[i];
  }
  return turned;
}

void ExpectNear(const std::vector<float>& ours, std::span<const float> expected) {
  ASSERT_EQ(ours.size(), expected.size());
  double largest = 1.0;
  for (const float value : expected) largest = std::max<double>(largest, std::fabs(value));
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(ours[i], expected[i], kTolerance * largest) << "element " << i;
  }
}

std::unique_ptr<TorchEvaluator> NewEvaluator() {
  auto evaluator = TorchEvaluator::Create({.threads = 1});
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return *std::move(evaluator);
}

class TorchScriptTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder(*TemporaryFolder::Create());
    const EndedProcess made =
        RunToEnd({kPython, std::string(kSourceFolder) + "/tests/judge/script_modules.py", "--out",
                  folder_->path()},
                 folder_->path() / "log", std::chrono::minutes(5));
    made_ = made.exit_code == 0;
    log_ = made.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  void SetUp() override {
    if (made_) return;
    const bool lacks_torch = log_.find("ModuleNotFoundError") != std::string::npos;
    ASSERT_TRUE(lacks_torch && std::getenv("CI") == nullptr) << log_;
    GTEST_SKIP() << "NOT TESTED: no python3-torch and python3-onnx for " << kPython;
  }

  static std::string Read(const std::string& name) {
    return ReadFile(folder_->path() / name).value_or("");
  }

  static void ExpectWhatPyTorchComputes(TorchEvaluator& evaluator, const std::string& name) {
    const ConstantTensor inputs = ReadTensor(Read(name + ".input.pb"));
    const auto package =
        ConvertScript(Read(name + ".ts.pt"), {inputs.dims.begin() + 1, inputs.dims.end()});
    ASSERT_TRUE(package.ok()) << package.status();
    const Graph& graph = package->graph;
    const int64_t samples = inputs.dims[0], size = inputs.size() / samples;
    for (int64_t sample = 0; sample < samples; ++sample) {
      const auto ours =
          evaluator.FloatForward(*package, std::span(inputs.floats).subspan(sample * size, size));
      ASSERT_TRUE(ours.ok()) << ours.status();
      for (size_t i = 0; i < graph.outputs.size(); ++i) {
        SCOPED_TRACE(fmt::format("sample {}, output {} of\n{}", sample, i, PrintGraph(graph)));
        const ConstantTensor expected = ReadTensor(Read(fmt::format("{}.output{}.pb", name, i)));
        const int64_t count = expected.size() / samples;
        const Shape& shape = graph.values[graph.outputs[i].value].shape;
        ASSERT_NO_FATAL_FAILURE(
            ExpectNear(ChannelsFirst((*ours)[i], shape),
                       std::span(expected.floats).subspan(sample * count, count)));
      }
    }
  }

  static TemporaryFolder* folder_;
  static bool made_;
  static std::string log_;
};

TemporaryFolder* TorchScriptTest::folder_ = nullptr;
bool TorchScriptTest::made_ = false;
std::string TorchScriptTest::log_;

TEST_F(TorchScriptTest, ComputesWhatPyTorchComputes) {
  const auto evaluator = NewEvaluator();
  std::istringstream names(Read("supported"));
  int count = 0;
  for (std::string name; std::getline(names, name); ++count) {
    SCOPED_TRACE(name);
    // The second output of this one is scores behind a Softmax, which has been dropped.
    if (name == "scores") continue;
    ExpectWhatPyTorchComputes(*evaluator, name);
  }
  EXPECT_GE(count, 17);
}

TEST_F(TorchScriptTest, ASoftmaxAtTheEndIsDropped) {
  const auto package = ConvertScript(Read("scores.ts.pt"), {5});
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->graph.outputs,
            (std::vector<GraphOutput>{{"output0", package->graph.outputs[0].value},
                                      {"output1", package->graph.outputs[0].value}}));
}

TEST_F(TorchScriptTest, LayersAreCalledAfterTheirModules) {
  const auto package = ConvertScript(Read("twice_scripted.ts.pt"), {3, 6, 6});
  ASSERT_TRUE(package.ok()) << package.status();
  std::vector<std::string> names;
  for (const int layer : package->graph.QuantizedLayers()) {
    names.push_back(package->graph.nodes[layer].name);
  }
  EXPECT_THAT(names, ::testing::ElementsAre("conv", "conv_1", "fc", "fc_1"));
}

TEST_F(TorchScriptTest, RefusesByNameWhatItDoesNotSupport) {
  std::istringstream lines(Read("refused"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    std::istringstream fields(line);
    std::string name, text;
    std::getline(fields, name, '\t');
    SCOPED_TRACE(name);
    const auto package = ConvertScript(Read(name + ".ts.pt"), {3, 8, 8});
    ASSERT_FALSE(package.ok());
    EXPECT_TRUE(absl::IsUnimplemented(package.status()) ||
                absl::IsInvalidArgument(package.status()))
        << package.status();
    while (std::getline(fields, text, '\t')) {
      EXPECT_THAT(std::string(package.status().message()), HasSubstr(text));
    }
  }
  EXPECT_GE(count, 20);
}

TEST_F(TorchScriptTest, AShapeThatDoesNotFitIsNamed) {
  const std::string file = Read("residual_scripted.ts.pt");
  EXPECT_THAT(ConvertScript(file, {4, 8, 8}).status().message(), HasSubstr("'conv1'"));
  EXPECT_THAT(ConvertScript(file, {192}).status().message(), HasSubstr("'conv1'"));
  EXPECT_THAT(ConvertScript(file, {}).status().message(), HasSubstr("input shape"));
  EXPECT_THAT(ConvertScript(file, {1, 1, 8, 8}).status().message(), HasSubstr("input shape"));
  EXPECT_THAT(ConvertScript(file, {int64_t{1} << 20, 1 << 20, 8}).status().message(),
              HasSubstr("2^28"));
}

TEST_F(TorchScriptTest, FilesThatEndEarlyAreRefused) {
  const std::string file = Read("dense_scripted.ts.pt");
  for (const size_t size : {size_t{0}, size_t{4}, size_t{100}, file.size() / 2, file.size() - 1}) {
    const auto package = ConvertScript(file.substr(0, size), {7});
    EXPECT_TRUE(absl::IsInvalidArgument(package.status())) << size << ": " << package.status();
    EXPECT_THAT(package.status().message(), HasSubstr("libtorch cannot load the file"));
  }
}

// One network in both kinds of files.
struct Twin {
  std::string name, onnx, script;
  std::vector<int64_t> input;
  absl::StatusOr<Dataset> (*load)(const std::filesystem::path& data_folder);
};

class TwinTest : public ::testing::TestWithParam<Twin> {};

INSTANTIATE_TEST_SUITE_P(Networks, TwinTest,
                         ::testing::Values(Twin{"ResNet20",
                                                "resnet20-cifar10/resnet20_cifar10.onnx",
                                                "resnet20-cifar10/resnet20_cifar10.ts.pt",
                                                {3, 32, 32},
                                                LoadCifar10},
                                           Twin{"LeNet5",
                                                "lenet5-mnist/lenet5_mnist.onnx",
                                                "lenet5-mnist/lenet5_mnist.ts.pt",
                                                {1, 32, 32},
                                                LoadMnist32}),
                         [](const auto& info) { return info.param.name; });

TEST_P(TwinTest, GivesTheLogitsOfItsOnnxFile) {
  const auto data = DataFolder(kSourceFolder);
  if (!data.has_value()) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "no development data; set MICO_TEST_DATA";
    GTEST_SKIP() << "NOT TESTED: no development data; set MICO_TEST_DATA";
  }
  const auto onnx =
      OnnxImporter().Import(ReadFile(*data / "models" / GetParam().onnx).value_or(""));
  ASSERT_TRUE(onnx.ok()) << onnx.status();
  const auto dataset = GetParam().load(*data);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const auto evaluator = NewEvaluator();

  const auto script =
      ConvertScript(ReadFile(*data / "models" / GetParam().script).value_or(""), GetParam().input);

  ASSERT_TRUE(script.ok()) << script.status();
  EXPECT_EQ(script->graph.QuantizedLayers().size(), onnx->graph.QuantizedLayers().size());
  constexpr int64_t kSamples = 500;
  const auto expected = evaluator->FloatForward(*onnx, *dataset, Split::kTest, 0, kSamples);
  const auto ours = evaluator->FloatForward(*script, *dataset, Split::kTest, 0, kSamples);
  ASSERT_TRUE(expected.ok() && ours.ok()) << expected.status() << ours.status();
  ExpectNear(ours->front(), expected->front());
}

}  // namespace
}  // namespace mico
