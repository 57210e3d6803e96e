// mico_model_prepare against the one function that data set, evaluator and oracle use, for every
// byte that there is.
#include <algorithm>

#include "codegen/generate_c.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/interpreter.h"
#include "quant/pack.h"
#include "tests/golden/generated_project.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico::golden {
namespace {

// 16x16 pixels: a channel holds every byte once.
constexpr int64_t kPixels = 256;
constexpr std::string_view kNetwork =
    "input x {}x16x16\n"
    "c1 = Conv(x) k=3x3 s=4x4 out=4 relu\n"
    "c2 = Conv(c1) k=4x4 out=3\n"
    "output c2\n";

struct PrepareCase {
  std::string name;
  int64_t channels;
  InputPreparation preparation;
  bool non_negative;  // the input's grid
  int bits;           // searched or not
};

std::vector<PrepareCase> Cases() {
  const InputPreparation plain, unit{1.0 / 255.0, {0.0}, {1.0}};
  const InputPreparation centred{1.0 / 255.0, {0.5}, {0.5}};
  const InputPreparation imagenet{1.0 / 255.0, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
  // Values of any size: all above the grid, all below it, or a tiny step.
  const InputPreparation large{1e6, {0.0}, {1e-3}}, below{1.0, {1e9}, {1.0}};
  const InputPreparation tiny{1e-9, {0.0, 1e-9}, {1.0, 3.0}};
  return {{"raw", 1, plain, true, 8},
          {"unit", 1, unit, true, 8},
          {"unit_in_4_bits", 1, unit, true, 4},
          {"unit_in_3_bits", 2, unit, true, 3},
          {"unit_in_1_bit", 1, unit, true, 1},
          {"centred", 1, centred, false, 8},
          {"centred_in_2_bits", 1, centred, false, 2},
          {"imagenet", 3, imagenet, false, 8},
          {"imagenet_in_4_bits", 3, imagenet, false, 4},
          {"imagenet_in_5_bits", 3, imagenet, false, 5},
          {"large", 2, large, true, 8},
          {"below", 1, below, false, 8},
          {"tiny", 2, tiny, false, 8}};
}

class PrepareTest : public ::testing::TestWithParam<PrepareCase> {
 protected:
  PrepareTest() {
    const std::string text = fmt::format(fmt::runtime(kNetwork), GetParam().channels);
    const std::string scheme = fmt::format("w8a{},w8a8", GetParam().bits);
    model_ = testing::MustQuantize(testing::RandomWeights(text, 5), GetParam().non_negative,
                                   testing::ParseScheme(scheme));
    info_ = DescribeForTest(model_, scheme, 1);
    info_.preparation = GetParam().preparation;
  }

  TensorType input_type() const { return model_.graph.tensors[model_.graph.input].type; }

  // Byte i of each channel is another permutation of all bytes.
  std::vector<uint8_t> Raw() const {
    std::vector<uint8_t> raw;
    for (int64_t i = 0; i < GetParam().channels * kPixels; ++i) {
      raw.push_back(static_cast<uint8_t>(i * 37 + i / kPixels * 11));
    }
    return raw;
  }

  // What the data set and the quantizer make of them, as the generated C stores it.
  std::vector<uint8_t> Expected(const std::vector<uint8_t>& raw) const {
    std::vector<float> prepared;
    for (size_t i = 0; i < raw.size(); ++i) {
      const auto channel = static_cast<int64_t>(i) / kPixels;
      prepared.push_back(static_cast<float>(info_.preparation.Apply(raw[i], channel)));
    }
    return Pack(QuantizeInput(model_, prepared), input_type());
  }

  // Compiles `main` beside the project's sources and returns what it prints.
  std::string Run(std::string_view main, const std::string& sources) {
    const TargetFile host = CatalogueTarget("host-c99");
    const auto files = GenerateC(model_, host.target, info_);
    EXPECT_TRUE(files.ok()) << files.status();
    if (!files.ok()) return "";
    GeneratedProject project(*files);
    project.Write("selftest/main.c", main);
    const CommandResult built = RunCommand(
        fmt::format("cd {} && gcc -std=c99 -Wall -Wextra -Werror -I. selftest/main.c {} -lm -o "
                    "program.elf",
                    project.Path(""), sources));
    EXPECT_EQ(built.exit_code, 0) << built.output;
    return project.RunOn(host).output;
  }

  static std::string Text(const std::vector<uint8_t>& bytes) {
    std::string text;
    for (const uint8_t byte : bytes) text += fmt::format("{} ", byte);
    return text;
  }

  QuantizedModel model_;
  ArtifactInfo info_;
};

INSTANTIATE_TEST_SUITE_P(All, PrepareTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

constexpr std::string_view kPrintInput =
    "  for (i = 0; i < MICO_MODEL_INPUT_BYTES; ++i) printf(\"%d \", input[i]);\n"
    "  return 0;\n}\n";

TEST_P(PrepareTest, EveryByteBecomesTheIntegerThatTheEvaluatorReads) {
  info_.input_is_uint8 = true;
  ASSERT_EQ(input_type().is_signed, !GetParam().non_negative);
  ASSERT_EQ(input_type().bits, GetParam().bits);
  const std::vector<uint8_t> raw = Raw();
  const std::string main = fmt::format(
      "#include <stdio.h>\n#include \"mico_model.h\"\n"
      "static const uint8_t raw[] = {{{}}};\n"
      "int main(void) {{\n  uint8_t input[MICO_MODEL_INPUT_BYTES];\n  int i;\n"
      "  mico_model_prepare(raw, input);\n{}",
      fmt::join(raw, ","), kPrintInput);
  EXPECT_EQ(Run(main, "mico_model_prepare.c"), Text(Expected(raw)));
}

// What mico_model.h says for data that are no bytes.
TEST_P(PrepareTest, TheDocumentedFormulaGivesTheIntegersOfNumbers) {
  if (input_type().container_bits() != 8) GTEST_SKIP() << "the formula is the same, packing is not";
  const std::vector<uint8_t> raw = Raw();
  std::vector<std::string> numbers;
  for (int64_t pixel = 0; pixel < kPixels; ++pixel) {
    for (int64_t channel = 0; channel < GetParam().channels; ++channel) {
      numbers.push_back(fmt::format(
          "{:.9g}f", info_.preparation.Apply(raw[channel * kPixels + pixel], channel) + 0.0));
    }
  }
  for (std::string& number : numbers) {
    if (number.find_first_of(".e") == std::string::npos) number.insert(number.size() - 1, ".0");
  }
  const std::string main = fmt::format(
      "#include <math.h>\n#include <stdio.h>\n#include \"mico_model.h\"\n"
      "static const float x[] = {{{}}};\n"
      "int main(void) {{\n  uint8_t input[MICO_MODEL_INPUT_BYTES];\n  int i;\n"
      "  for (i = 0; i < MICO_MODEL_INPUT_ELEMENTS; ++i) {{\n"
      "    double integer = floor((double)x[i] / MICO_MODEL_INPUT_SCALE + 0.5);\n"
      "    if (integer < MICO_MODEL_INPUT_LOWEST) integer = MICO_MODEL_INPUT_LOWEST;\n"
      "    if (integer > MICO_MODEL_INPUT_HIGHEST) integer = MICO_MODEL_INPUT_HIGHEST;\n"
      "    input[i] = (uint8_t)(int)integer;\n  }}\n{}",
      fmt::join(numbers, ","), kPrintInput);
  EXPECT_EQ(Run(main, ""), Text(Expected(raw)));
}

class RawSelfTest : public PrepareTest {
 protected:
  // Self-tests that begin with bytes, as a worker makes them of a data set.
  void AddRawCases() {
    info_.input_is_uint8 = true;
    info_.self_tests.clear();
    for (int i = 0; i < 2; ++i) {
      SelfTestCase& test = info_.self_tests.emplace_back();
      test.raw = Raw();
      std::rotate(test.raw.begin(), test.raw.begin() + 7 * i, test.raw.end());
      std::vector<float> prepared;
      for (size_t at = 0; at < test.raw.size(); ++at) {
        prepared.push_back(static_cast<float>(
            info_.preparation.Apply(test.raw[at], static_cast<int64_t>(at) / kPixels)));
      }
      test.input = QuantizeInput(model_, prepared);
      test.outputs = JoinOutputs(model_.graph, *RunInteger(model_, test.input));
    }
  }
  CommandResult RunProject(const TargetFile& target) {
    const auto files = GenerateC(model_, target.target, info_);
    EXPECT_TRUE(files.ok()) << files.status();
    GeneratedProject project(*files);
    project.BuildFor(target);
    return project.RunOn(target);
  }
};

INSTANTIATE_TEST_SUITE_P(Some, RawSelfTest, ::testing::Values(Cases()[2], Cases()[7]),
                         [](const auto& info) { return info.param.name; });

TEST_P(RawSelfTest, CoversTheWayFromBytesToLogits) {
  AddRawCases();
  for (const char* name : {"host-c99", "rv32imc", "cortex-m4"}) {
    const CommandResult result = RunProject(CatalogueTarget(name));
    EXPECT_EQ(result.exit_code, 0) << name << result.output;
    EXPECT_EQ(ProtocolLines(result.output).back(), "end selftest 2 0") << name;
  }
}

TEST_P(RawSelfTest, FailsWhereTheTableIsNotThatOfTheDataSet) {
  AddRawCases();
  info_.preparation.scale *= 0.5;
  const CommandResult result = RunProject(CatalogueTarget("host-c99"));
  EXPECT_EQ(result.exit_code, 1) << result.output;
  EXPECT_EQ(ProtocolLines(result.output).back(), "end selftest 0 2");
}

TEST(RawSelfTestInfo, BytesAreWholeSamplesOfBytes) {
  const std::string text = fmt::format(fmt::runtime(kNetwork), 1);
  const QuantizedModel model = testing::MustQuantize(testing::RandomWeights(text, 5), true,
                                                     testing::ParseScheme("w8a8,w8a8"));
  ArtifactInfo info = DescribeForTest(model, "w8a8,w8a8", 2);
  const Target target = CatalogueTarget("host-c99").target;
  info.self_tests[0].raw.assign(kPixels, 0);
  info.input_is_uint8 = true;
  EXPECT_FALSE(GenerateC(model, target, info).ok()) << "the second has none";
  info.self_tests[1].raw.assign(kPixels, 0);
  EXPECT_TRUE(GenerateC(model, target, info).ok());
  info.input_is_uint8 = false;
  EXPECT_FALSE(GenerateC(model, target, info).ok()) << "these data are no bytes";
}

}  // namespace
}  // namespace mico::golden
