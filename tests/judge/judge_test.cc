// Networks that we did not write, and a judge who does not know us: random_networks.py makes them,
// PyTorch exports them to ONNX and computes their outputs.
//
//   build/ci/tests/judge_test [--networks N] [--seed S]
//
// Network number S + i depends on that number alone; every failure names it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/file.h"
#include "fmt/format.h"
#include "model/importer.h"
#include "model/onnx_tensor.h"
#include "model/onnx_wire.pb.h"
#include "model/text_form.h"
#include "quant/interpreter.h"
#include "tests/golden/generated_project.h"
#include "tests/support/child_process.h"
#include "tests/support/paths.h"
#include "tests/support/random_dataset.h"
#include "tests/support/raw_data.h"
#include "tests/unit/quant/quant_testing.h"
#include "worker/torch/convert_script.h"
#include "worker/torch/torch_evaluator.h"

namespace mico {
namespace {

// What CI takes; a run by hand may take any.
int networks = 40;
int seed = 1;

constexpr char kPython[] = "/usr/bin/python3";
// Relative to the largest magnitude of the outputs: sums in another order, and factors that are
// folded into float weights.
constexpr double kTolerance = 1e-4;
constexpr int kSchemes = 3;
constexpr int64_t kSamples = 3;

struct Judged {
  ModelPackage package, from_script;
  std::vector<float> inputs;  // sample after sample
  std::vector<ConstantTensor> outputs;
};

// The project's own self-test has the oracle's integers.
void ExpectTheProgramIsTheOracle(const QuantizedModel& model, const BitScheme& scheme) {
  static const TargetFile host = golden::CatalogueTarget("host-c99");
  const auto files =
      GenerateC(model, host.target, golden::DescribeForTest(model, scheme.ToString(), kSamples));
  ASSERT_TRUE(files.ok()) << files.status();
  golden::GeneratedProject project(*files);
  ASSERT_NO_FATAL_FAILURE(project.BuildOnHost("gcc", "-O1"));
  const golden::CommandResult run = project.RunOn(host);
  ASSERT_EQ(run.exit_code, 0) << run.output;
  ASSERT_EQ(golden::ProtocolLines(run.output).back(), fmt::format("end selftest {} 0", kSamples));
}

class JudgeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder(*TemporaryFolder::Create());
    const EndedProcess made = RunToEnd(
        {kPython, std::string(kSourceFolder) + "/tests/judge/random_networks.py", "--out",
         folder_->path(), "--seed", std::to_string(seed), "--networks", std::to_string(networks)},
        folder_->path() / "log", std::chrono::minutes(10));
    made_ = made.exit_code == 0;
    log_ = made.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  void SetUp() override {
    if (!made_) {
      const bool lacks_torch = log_.find("ModuleNotFoundError") != std::string::npos;
      ASSERT_TRUE(lacks_torch && std::getenv("CI") == nullptr) << log_;
      GTEST_SKIP() << "NOT TESTED: no python3-torch and python3-onnx for " << kPython;
    }
    auto evaluator = TorchEvaluator::Create({.threads = 1});
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    evaluator_ = std::move(*evaluator);
  }

  static std::string Read(int number, const std::string& suffix) {
    const auto bytes = ReadFile(folder_->path() / (std::to_string(number) + suffix));
    return bytes.value_or("");
  }

  static std::string Describe(int number) {
    return fmt::format("judge_test --seed {} --networks 1\n{}", number, Read(number, ".txt"));
  }

  static ConstantTensor ReadTensor(const std::string& bytes) {
    onnx_wire::TensorProto proto;
    EXPECT_TRUE(proto.ParseFromString(bytes));
    absl::StatusOr<ConstantTensor> tensor = DecodeTensor(proto);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return tensor.value_or(ConstantTensor{});
  }

  static Judged Load(int number) {
    Judged judged;
    absl::StatusOr<ModelPackage> package = OnnxImporter().Import(Read(number, ".onnx"));
    EXPECT_TRUE(package.ok()) << package.status();
    if (!package.ok()) return judged;
    judged.package = *std::move(package);
    const ConstantTensor inputs = ReadTensor(Read(number, ".input.pb"));
    judged.inputs = inputs.floats;
    absl::StatusOr<ModelPackage> from_script =
        ConvertScript(Read(number, ".ts.pt"), {inputs.dims.begin() + 1, inputs.dims.end()});
    EXPECT_TRUE(from_script.ok()) << from_script.status();
    if (!from_script.ok()) return Judged{};
    judged.from_script = *std::move(from_script);
    for (int i = 0;; ++i) {
      const std::string bytes = Read(number, fmt::format(".output{}.pb", i));
      if (bytes.empty()) break;
      judged.outputs.push_back(ReadTensor(bytes));
    }
    return judged;
  }

  // What the file calls channels, rows, columns, of our rows, columns, channels.
  static std::vector<float> ChannelsFirst(const std::vector<float>& ours, const Shape& shape) {
    std::vector<float> turned(ours.size());
    const int64_t places = shape.height * shape.width;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      turned[i % shape.channels * places + i / shape.channels] = ours[i];
    }
    return turned;
  }

  void ExpectTheJudgesFloats(const ModelPackage& package, const Judged& judged) {
    const Graph& graph = package.graph;
    ASSERT_EQ(graph.outputs.size(), judged.outputs.size());
    const size_t in = judged.inputs.size() / kSamples;
    for (int64_t sample = 0; sample < kSamples; ++sample) {
      const auto ours =
          evaluator_->FloatForward(package, std::span(judged.inputs).subspan(sample * in, in));
      ASSERT_TRUE(ours.ok()) << ours.status();
      for (size_t i = 0; i < graph.outputs.size(); ++i) {
        SCOPED_TRACE(fmt::format("sample {}, output {} of\n{}", sample, i, PrintGraph(graph)));
        const size_t out = judged.outputs[i].floats.size() / kSamples;
        const auto expected = std::span(judged.outputs[i].floats).subspan(sample * out, out);
        const Shape& shape = graph.values[graph.outputs[i].value].shape;
        ASSERT_EQ((*ours)[i].size(), out);
        ASSERT_NO_FATAL_FAILURE(ExpectNear(ChannelsFirst((*ours)[i], shape), expected));
      }
    }
  }

  static void ExpectNear(const std::vector<float>& ours, std::span<const float> expected) {
    double largest = 0.0;
    for (const float value : expected) largest = std::max<double>(largest, std::fabs(value));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(ours[i], expected[i], kTolerance * largest) << "element " << i;
    }
  }

  void ExpectEqualIntegers(const Judged& judged, int number) {
    const Graph& graph = judged.package.graph;
    Random random(number);
    const Dataset dataset = RandomDataset(
        graph.values[graph.input].shape, number,
        {.samples = 8, .num_classes = 1, .is_uint8 = false, .can_be_negative = number % 3 != 0});
    const auto calibrated =
        evaluator_->Calibrate(judged.package, dataset, 8, 1, Metric::kTop1, nullptr);
    ASSERT_TRUE(calibrated.ok()) << calibrated.status();
    const Calibration& calibration = calibrated->calibration;
    for (int i = 0; i < kSchemes; ++i) {
      const BitScheme scheme = testing::RandomScheme(graph, calibration.input_non_negative, random);
      SCOPED_TRACE(scheme.ToString());
      const auto model = Quantize(judged.package, calibration, scheme);
      ASSERT_TRUE(model.ok()) << model.status();
      ASSERT_NO_FATAL_FAILURE(ExpectTheEvaluatorIsTheOracle(*model, dataset));
      if (i == 0) ASSERT_NO_FATAL_FAILURE(ExpectTheProgramIsTheOracle(*model, scheme));
    }
  }

  void ExpectTheEvaluatorIsTheOracle(const QuantizedModel& model, const Dataset& dataset) {
    const auto outputs = evaluator_->IntegerForward(model, dataset, Split::kTest, 0, kSamples);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    std::vector<IntegerTensor> expected(model.graph.outputs.size());
    for (int64_t sample = 0; sample < kSamples; ++sample) {
      const auto oracle =
          RunInteger(model, QuantizeInput(model, dataset.Prepared(Split::kTest, sample)));
      ASSERT_TRUE(oracle.ok()) << oracle.status();
      for (size_t i = 0; i < oracle->size(); ++i) {
        expected[i].insert(expected[i].end(), (*oracle)[i].begin(), (*oracle)[i].end());
      }
    }
    ASSERT_EQ(*outputs, expected);
  }

  static TemporaryFolder* folder_;
  static bool made_;
  static std::string log_;
  std::unique_ptr<TorchEvaluator> evaluator_;
};

TemporaryFolder* JudgeTest::folder_ = nullptr;
bool JudgeTest::made_ = false;
std::string JudgeTest::log_;

TEST_F(JudgeTest, FloatsAreTheJudgesAndIntegersAreEqualEverywhere) {
  const auto failures = [] {
    return ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
  };
  // A few failures say as much as many.
  constexpr int kMostFailures = 5;
  for (int i = 0; i < networks && failures() < kMostFailures; ++i) {
    const int number = seed + i;
    SCOPED_TRACE(Describe(number));
    const Judged judged = Load(number);
    if (!judged.package.graph.nodes.empty()) {
      ASSERT_FALSE(judged.outputs.empty());
      ExpectTheJudgesFloats(judged.package, judged);
      ExpectTheJudgesFloats(judged.from_script, judged);
      ExpectEqualIntegers(judged, number);
    }
  }
}

// A network of ../shared/data and the data it reads.
struct RealNetwork {
  std::string file;
  absl::StatusOr<Dataset> (*load)(const std::filesystem::path& data_folder);
};

class RealNetworkTest : public ::testing::TestWithParam<RealNetwork> {};

INSTANTIATE_TEST_SUITE_P(
    Networks, RealNetworkTest,
    ::testing::Values(RealNetwork{"mnist-mlp-onnx2c/mnist-mlp-bn.onnx", LoadMnistFlat},
                      RealNetwork{"mnist-atmega-onnx2c/mnist.simplified.onnx", LoadMnistBinary14}),
    [](const auto& info) { return info.index == 0 ? "Mlp" : "Mnist14"; });

TEST_P(RealNetworkTest, ItsProgramAtEightBitsIsTheOracle) {
  const auto data = DataFolder(kSourceFolder);
  if (!data.has_value()) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << "no development data; set MICO_TEST_DATA";
    GTEST_SKIP() << "NOT TESTED: no development data; set MICO_TEST_DATA";
  }
  const auto bytes = ReadFile(*data / "models" / GetParam().file);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto package = OnnxImporter().Import(*bytes);
  ASSERT_TRUE(package.ok()) << package.status();
  const auto dataset = GetParam().load(*data);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const auto evaluator = TorchEvaluator::Create({.threads = 1});
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const auto calibrated =
      (*evaluator)->Calibrate(*package, *dataset, 256, 1, Metric::kTop1, nullptr);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  const BitScheme scheme = BitScheme::Uniform(8, 8, InputLayers(package->graph));

  const auto model = Quantize(*package, calibrated->calibration, scheme);

  ASSERT_TRUE(model.ok()) << model.status();
  ExpectTheProgramIsTheOracle(*model, scheme);
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const int value = std::atoi(argv[i + 1]);
    if (option == "--networks") mico::networks = value;
    if (option == "--seed") mico::seed = value;
  }
  return RUN_ALL_TESTS();
}
