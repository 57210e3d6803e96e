#include <filesystem>
#include <map>
#include <sstream>

#include "codegen/generate_c.h"
#include "codegen/program_plan.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "quant/interpreter.h"
#include "quant/pack.h"
#include "tests/golden/generated_project.h"
#include "tests/support/paths.h"
#include "tests/unit/quant/quant_testing.h"

namespace mico::golden {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kCases = 3;

struct Network {
  std::string name;
  std::string text;
  std::string scheme;
  bool input_non_negative;
};

const Network kPlain = {"plain",
                        "input x 1x10x10\n"
                        "c1 = Conv(x) k=3x3 p=1,1,1,1 out=8 relu\n"
                        "p1 = MaxPool(c1) k=2x2 s=2x2\n"
                        "c2 = Conv(p1) k=3x3 out=12 relu\n"
                        "fc = Conv(c2) k=3x3 out=10\n"
                        "output fc\n",
                        "w8a8,w8a8,w8a8", true};

// Residual stream, depthwise, concat, pad, slice, ReLU of its own, average pool with borders.
const Network kResidual = {"residual",
                           "input x 3x9x9\n"
                           "stem = Conv(x) k=3x3 s=2x2 p=1,1,1,1 out=8\n"
                           "dw = Conv(stem) k=3x3 p=1,1,1,1 g=8 out=8 relu=6\n"
                           "pw = Conv(dw) k=1x1 out=8\n"
                           "sum = Add(pw, stem) relu\n"
                           "half = Slice(sum) start=0,0,0 step=1,2,2 size=8x3x3\n"
                           "wide = Pad(half) c=3,5 p=0,0,0,0\n"
                           "down = Conv(sum) k=3x3 s=2x2 p=1,1,1,1 out=16\n"
                           "join = Add(down, wide)\n"
                           "act = Relu(join)\n"
                           "a = Conv(act) k=1x1 out=5 relu\n"
                           "b = Conv(act) k=3x3 p=1,1,1,1 g=4 out=4 relu\n"
                           "cat = Concat(a, b)\n"
                           "pool = AveragePool(cat) k=2x2 s=1x1 p=1,1,0,0\n"
                           "fc = Conv(pool) k=3x3 out=7\n"
                           "output fc\n",
                           "w4a8,w4a4,w4a4,w2a2,w4a8,w4a8,w2a8", false};

const Network kMixed = {"mixed",
                        "input x 2x8x8\n"
                        "c1 = Conv(x) k=3x3 p=1,1,1,1 out=9 relu\n"
                        "c2 = Conv(c1) k=3x3 p=1,1,1,1 out=7 relu\n"
                        "c3 = Conv(c2) k=1x1 out=16 relu\n"
                        "c4 = Conv(c3) k=3x3 s=2x2 p=0,0,1,1 out=6\n"
                        "p4 = MaxPool(c4) k=3x3 s=1x1 p=1,1,1,1\n"
                        "c5 = Conv(p4) k=1x1 out=11 relu\n"
                        "c6 = Conv(c5) k=4x4 out=5\n"
                        "pool = MaxPool(c6) k=1x1\n"
                        "output pool\n",
                        "w3a8,w1a1,w2a2,w5a4,w4a3,w1a2", true};

// Outputs of different shapes and signs, one of them read inside, one moved, one named twice.
const Network kSeveral = {"several",
                          "input x 2x9x9\n"
                          "a = Conv(x) k=3x3 p=1,1,1,1 out=5 relu\n"
                          "m = MaxPool(a) k=3x3 s=3x3\n"
                          "b = Conv(a) k=3x3 s=2x2 out=7\n"
                          "fc = Conv(b) k=4x4 out=3\n"
                          "boxes = Conv(m) k=1x1 out=3\n"
                          "output scores = fc\n"
                          "output inner = b\n"
                          "output moved = m\n"
                          "output boxes\n"
                          "output same = fc\n",
                          "w8a8,w4a4,w4a4,w2a2", true};

// A one-dimensional network: signals are images of one row.
const Network kSignals = {"signals",
                          "input x 3x1x40\n"
                          "a = Conv(x) k=1x5 s=1x2 p=0,2,0,2 out=8 relu\n"
                          "dw = Conv(a) k=1x3 d=1x2 p=0,2,0,2 g=8 out=8 relu\n"
                          "m = MaxPool(dw) k=1x2 s=1x2\n"
                          "p = AveragePool(dw) k=1x3 s=1x2 p=0,0,0,1\n"
                          "both = Concat(m, p)\n"
                          "b = Conv(both) k=1x3 out=6 relu\n"
                          "part = Slice(b) start=0,0,1 step=1,1,2 size=6x1x4\n"
                          "wide = Pad(part) c=0,0 p=0,1,0,2\n"
                          "fc = Conv(wide) k=1x7 out=4\n"
                          "output fc\n"
                          "output b\n",
                          "w8a8,w4a4,w4a8,w2a4", false};

struct Quantized {
  Network network;
  QuantizedModel model;
};

Quantized Make(const Network& network) {
  const ModelPackage package = testing::RandomWeights(network.text, 3);
  return {network, testing::MustQuantize(package, network.input_non_negative,
                                         testing::ParseScheme(network.scheme))};
}

std::vector<GeneratedFile> Generate(const Quantized& quantized, const Target& target,
                                    ArtifactInfo info) {
  absl::StatusOr<std::vector<GeneratedFile>> files = GenerateC(quantized.model, target, info);
  EXPECT_TRUE(files.ok()) << files.status();
  return files.ok() ? *std::move(files) : std::vector<GeneratedFile>();
}

std::vector<GeneratedFile> Generate(const Quantized& quantized, const Target& target) {
  return Generate(quantized, target,
                  DescribeForTest(quantized.model, quantized.network.scheme, kCases));
}

std::string ContentOf(const std::vector<GeneratedFile>& files, const std::string& path) {
  for (const GeneratedFile& file : files) {
    if (file.path == path) return file.content;
  }
  return "";
}

void ExpectPassed(const CommandResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::vector<std::string> lines = ProtocolLines(result.output);
  ASSERT_FALSE(lines.empty()) << result.output;
  EXPECT_EQ(lines.front(), fmt::format("begin selftest {}", kCases));
  EXPECT_EQ(lines.back(), fmt::format("end selftest {} 0", kCases)) << result.output;
}

class ArtifactTest : public ::testing::TestWithParam<const Network*> {
 protected:
  const Quantized quantized_ = Make(*GetParam());
};

INSTANTIATE_TEST_SUITE_P(Networks, ArtifactTest,
                         ::testing::Values(&kPlain, &kResidual, &kMixed, &kSeveral, &kSignals),
                         [](const auto& info) { return info.param->name; });

TEST_P(ArtifactTest, IsTheSameBytesWhenMadeTwice) {
  const Target target = CatalogueTarget("rv32imc").target;
  const std::vector<GeneratedFile> first = Generate(quantized_, target);
  const std::vector<GeneratedFile> second = Generate(Make(*GetParam()), target);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].path, second[i].path);
    EXPECT_EQ(first[i].content, second[i].content) << first[i].path;
  }
}

TEST_P(ArtifactTest, GivesTheOraclesLogitsOnThisMachine) {
  const TargetFile host = CatalogueTarget("host-c99");
  GeneratedProject project(Generate(quantized_, host.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildOnHost("gcc", "-O2"));
  ExpectPassed(project.RunOn(host));
}

TEST_P(ArtifactTest, IsCleanUnderSanitizers) {
  const TargetFile host = CatalogueTarget("host-c99");
  GeneratedProject project(Generate(quantized_, host.target));
  ASSERT_NO_FATAL_FAILURE(
      project.BuildOnHost("clang", "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"));
  ExpectPassed(project.RunOn(host));
}

TEST_P(ArtifactTest, GivesTheOraclesLogitsOnRv32) {
  const TargetFile target = CatalogueTarget("rv32imc");
  GeneratedProject project(Generate(quantized_, target.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
  ExpectPassed(project.RunOn(target));
}

TEST_P(ArtifactTest, GivesTheOraclesLogitsOnCortexM4) {
  const TargetFile target = CatalogueTarget("cortex-m4");
  GeneratedProject project(Generate(quantized_, target.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
  ExpectPassed(project.RunOn(target));
}

// Sum of the sizes of sections whose names begin with `prefix`.
int64_t SectionBytes(const std::string& object, const std::string& prefix) {
  const CommandResult sizes = RunCommand("size -A " + object);
  EXPECT_EQ(sizes.exit_code, 0) << sizes.output;
  std::istringstream lines(sizes.output);
  std::string line, name;
  int64_t total = 0;
  while (std::getline(lines, line)) {
    int64_t bytes = 0;
    std::istringstream words(line);
    if (words >> name >> bytes && name.starts_with(prefix)) total += bytes;
  }
  return total;
}

TEST_P(ArtifactTest, ConstantsTakeTheBytesThatThePlanSays) {
  const TargetFile target = CatalogueTarget("rv32imc");
  GeneratedProject project(Generate(quantized_, target.target));
  const std::string object = project.CompileOne(target, "weights.c");
  const absl::StatusOr<ProgramPlan> plan = PlanProgram(quantized_.model.graph, target.target);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->Work(quantized_.model.graph).constant_bytes,
            SectionBytes(object, ".rodata") + SectionBytes(object, ".srodata"));
}

TEST_P(ArtifactTest, HasNoWritableGlobalsAndNoHeap) {
  const TargetFile target = CatalogueTarget("rv32imc");
  const std::vector<GeneratedFile> files = Generate(quantized_, target.target);
  GeneratedProject project(files);
  for (const GeneratedFile& file : files) {
    if (!file.path.ends_with(".c") || file.path.starts_with("selftest/")) continue;
    const std::string object = project.CompileOne(target, file.path);
    for (const char* writable : {".data", ".sdata", ".bss", ".sbss"}) {
      EXPECT_EQ(SectionBytes(object, writable), 0) << file.path << " " << writable;
    }
    const std::string needed = RunCommand("nm -u " + object).output;
    std::istringstream lines(needed);
    std::string undefined, symbol;
    while (lines >> undefined >> symbol) {
      EXPECT_TRUE(symbol.starts_with("mico_") || symbol.starts_with("__") || symbol == "memcpy" ||
                  symbol == "memset")
          << file.path << " needs " << symbol;
    }
  }
}

// The plan's scratch is what the kernel's twin function asks for.
TEST_P(ArtifactTest, ScratchIsWhatTheKernelsAskFor) {
  const TargetFile host = CatalogueTarget("host-c99");
  const QuantizedGraph& graph = quantized_.model.graph;
  const absl::StatusOr<ProgramPlan> plan = PlanProgram(graph, host.target);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::string calls, expected;
  for (size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    if (step.kind != StepKind::kConv) continue;
    const ConvAttributes& conv = step.conv();
    const Shape& in = graph.tensors[step.inputs[0]].shape;
    const Shape& out = graph.tensors[step.output].shape;
    calls += fmt::format(
        "  {{ const mico_conv2d_params_t p = {{{}, {}, {}, {}, {}, {}, {}, {}, {}}};\n"
        "    say({}_scratch_bytes(&p, (mico_shape_t){{{}, {}, {}}}, (mico_shape_t){{{}, {}, "
        "{}}})); "
        "}}\n",
        conv.kernel_height, conv.kernel_width, conv.stride_height, conv.stride_width,
        conv.padding.top, conv.padding.left, conv.dilation_height, conv.dilation_width, conv.groups,
        plan->steps[i].kernel, in.height, in.width, in.channels, out.height, out.width,
        out.channels);
    expected += fmt::format("{}\n", plan->steps[i].scratch_bytes);
  }
  GeneratedProject project(Generate(quantized_, host.target));
  // Takes the place of the self-test's main; scratch is planned in whole words.
  project.Write(
      "selftest/main.c",
      "#include <stdio.h>\n#include \"weights.h\"\n"
      "static void say(int32_t bytes) { printf(\"%d\\n\", (int)((bytes + 3) / 4 * 4)); }\n"
      "int main(void) {\n" +
          calls + "  return 0;\n}\n");
  const CommandResult built = RunCommand(
      fmt::format("gcc -std=c99 -I{0} {0}/selftest/main.c {0}/kernels/*.c -o {0}/program.elf",
                  project.Path("")));
  ASSERT_EQ(built.exit_code, 0) << built.output;
  EXPECT_EQ(project.RunOn(host).output, expected);
}

TEST(ArtifactFilesTest, MakefileAndCMakeBuildAndRunTheSelfTest) {
  const TargetFile host = CatalogueTarget("host-c99");
  GeneratedProject project(Generate(Make(kResidual), host.target));
  const std::string folder = project.Path("");
  const CommandResult made = RunCommand(fmt::format("make -C {} selftest", folder));
  EXPECT_EQ(made.exit_code, 0) << made.output;
  EXPECT_THAT(made.output, HasSubstr(fmt::format("end selftest {} 0", kCases)));
  EXPECT_THAT(made.output, Not(HasSubstr("warning")));
  const CommandResult configured = RunCommand(fmt::format(
      "cmake -S {0} -B {0}/build && cmake --build {0}/build && {0}/build/mico_model_selftest",
      folder));
  EXPECT_EQ(configured.exit_code, 0) << configured.output;
}

TEST(ArtifactFilesTest, LayerHookTellsWhatEachStepCosts) {
  const TargetFile target = CatalogueTarget("rv32imc");
  const Quantized quantized = Make(kPlain);
  GeneratedProject project(Generate(quantized, target.target));
  ASSERT_NO_FATAL_FAILURE(project.BuildFor(target, "-DMICO_LAYER_HOOK=mico_selftest_layer"));
  const CommandResult result = project.RunOn(target);
  ExpectPassed(result);
  std::vector<std::string> layers;
  int64_t sum = 0, run = 0;
  for (const std::string& line : ProtocolLines(result.output)) {
    std::istringstream words(line);
    std::string verb;
    int64_t index = 0;
    words >> verb >> index;
    if (verb == "run") run = index;
    if (verb != "layer") continue;
    EXPECT_EQ(index, static_cast<int64_t>(layers.size()));
    layers.push_back(line);
    int64_t count = 0;
    words >> count;
    sum += count;
  }
  EXPECT_EQ(layers.size(), quantized.model.graph.steps.size());
  EXPECT_GT(sum, 0);
  EXPECT_LE(sum, run);
}

TEST(ArtifactFilesTest, CountsAreEqualInTwoRunsUnderTheEmulator) {
  for (const char* name : {"rv32imc", "cortex-m4"}) {
    const TargetFile target = CatalogueTarget(name);
    GeneratedProject project(Generate(Make(kPlain), target.target));
    ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
    EXPECT_EQ(project.RunOn(target).output, project.RunOn(target).output) << name;
  }
}

TEST(ArtifactFilesTest, AWrongLogitFailsTheSelfTest) {
  for (const char* name : {"host-c99", "rv32imc", "cortex-m4"}) {
    const TargetFile target = CatalogueTarget(name);
    const Quantized quantized = Make(kPlain);
    ArtifactInfo info = DescribeForTest(quantized.model, kPlain.scheme, kCases);
    info.self_tests[1].outputs[0] ^= 1;
    GeneratedProject project(Generate(quantized, target.target, info));
    ASSERT_NO_FATAL_FAILURE(project.BuildFor(target));
    const CommandResult result = project.RunOn(target);
    EXPECT_EQ(result.exit_code, 1) << name;
    EXPECT_THAT(ProtocolLines(result.output),
                AllOf(Contains("case 1 fail"), Contains("end selftest 2 1")));
  }
}

// mico_model_prepare makes the integers that the data set and QuantizeInput make.
TEST(ArtifactFilesTest, PrepareEqualsTheDatasetAndTheQuantizer) {
  const TargetFile host = CatalogueTarget("host-c99");
  const Quantized quantized = Make(kResidual);
  ArtifactInfo info = DescribeForTest(quantized.model, kResidual.scheme, 1);
  info.input_is_uint8 = true;
  info.preparation = {1.0 / 255.0, {0.49, 0.48, 0.45}, {0.2, 0.25, 0.3}};
  std::string raw;
  std::vector<float> prepared;
  for (int i = 0; i < 3 * 9 * 9; ++i) {
    const int stored = (i * 37 + 11) % 256;
    raw += fmt::format("{},", stored);
    prepared.push_back(static_cast<float>(info.preparation.Apply(stored, i / 81)));
  }
  GeneratedProject project(Generate(quantized, host.target, info));
  project.Write("selftest/main.c",
                "#include <stdio.h>\n#include \"mico_model.h\"\n"
                "static const uint8_t raw[] = {" +
                    raw +
                    "};\n"
                    "int main(void) {\n  uint8_t input[MICO_MODEL_INPUT_BYTES];\n  int i;\n"
                    "  mico_model_prepare(raw, input);\n"
                    "  for (i = 0; i < MICO_MODEL_INPUT_BYTES; ++i) printf(\"%d \", input[i]);\n"
                    "  return 0;\n}\n");
  const CommandResult built =
      RunCommand(fmt::format("gcc -std=c99 -I{0} {0}/selftest/main.c {0}/mico_model_prepare.c -o "
                             "{0}/program.elf",
                             project.Path("")));
  ASSERT_EQ(built.exit_code, 0) << built.output;
  std::string expected;
  const IntegerTensor integers = QuantizeInput(quantized.model, prepared);
  const TensorType type = quantized.model.graph.tensors[quantized.model.graph.input].type;
  for (const uint8_t byte : Pack(integers, type)) expected += fmt::format("{} ", byte);
  EXPECT_EQ(project.RunOn(host).output, expected);
}

TEST(ArtifactFilesTest, MisalignedAndNullBuffersAreRefused) {
  const TargetFile host = CatalogueTarget("host-c99");
  GeneratedProject project(Generate(Make(kPlain), host.target));
  project.Write(
      "selftest/main.c",
      "#include <stdio.h>\n#include \"mico_model.h\"\n"
      "static uint32_t arena[MICO_MODEL_ARENA_BYTES / 4 + 2];\n"
      "static uint8_t in[MICO_MODEL_INPUT_BYTES];\n"
      "static int16_t out[MICO_MODEL_CLASSES];\n"
      "int main(void) {\n"
      "  printf(\"%d%d%d%d%d\", mico_model_run(in, out, arena), mico_model_run(in, out, 0),\n"
      "         mico_model_run(in, out, (uint8_t *)arena + 1), mico_model_run(0, out, arena),\n"
      "         mico_model_run(in, 0, arena));\n  return 0;\n}\n");
  const CommandResult built =
      RunCommand(fmt::format("gcc -std=c99 -I{0} {0}/selftest/main.c {0}/*.c {0}/kernels/*.c -o "
                             "{0}/program.elf",
                             project.Path("")));
  ASSERT_EQ(built.exit_code, 0) << built.output;
  EXPECT_EQ(project.RunOn(host).output, "02211");
}

TEST(ArtifactFilesTest, EveryOutputSaysWhereItLiesAndWhatItMeans) {
  const Quantized quantized = Make(kSeveral);
  const std::vector<GeneratedFile> files = Generate(quantized, CatalogueTarget("host-c99").target);
  const std::string header = ContentOf(files, "mico_model.h");
  // 3 scores, then b (4x4x7), m (3x3x5), boxes (3x3x3); what has two names lies at one place.
  for (const std::string line :
       {"MODEL_OUTPUTS 5\n", "MODEL_CLASSES 3\n", "MODEL_OUTPUT_ELEMENTS 3\n",
        "MODEL_OUTPUT_BYTES 374\n", "MODEL_OUTPUT_0_NAME \"scores\"\n", "MODEL_OUTPUT_0_OFFSET 0\n",
        "MODEL_OUTPUT_1_OFFSET 3\n", "MODEL_OUTPUT_1_CHANNELS 7\n", "MODEL_OUTPUT_1_WIDTH 4\n",
        "MODEL_OUTPUT_2_OFFSET 115\n", "MODEL_OUTPUT_2_ELEMENTS 45\n",
        "MODEL_OUTPUT_3_OFFSET 160\n", "MODEL_OUTPUT_4_OFFSET 0\n",
        "MODEL_OUTPUT_4_NAME \"same\"\n"}) {
    EXPECT_THAT(header, HasSubstr("#define MICO_" + line));
  }
  for (size_t i = 0; i < quantized.model.graph.outputs.size(); ++i) {
    const double scale = quantized.model.scales[quantized.model.graph.outputs[i].tensor];
    EXPECT_THAT(header, HasSubstr(fmt::format("MODEL_OUTPUT_{}_SCALE {:.17g}\n", i, scale)));
  }
  EXPECT_THAT(ContentOf(files, "report.json"),
              AllOf(HasSubstr("\"name\": \"inner\""), HasSubstr("\"offset\": 115")));
  EXPECT_THAT(ContentOf(files, "README.md"),
              HasSubstr("| output 1, inner | 4 x 4 x 7 from element 3, scale"));
}

TEST(ArtifactFilesTest, NamesFromOutsideStayInsideComments) {
  const TargetFile host = CatalogueTarget("host-c99");
  const Quantized quantized = Make(kPlain);
  ArtifactInfo info = DescribeForTest(quantized.model, kPlain.scheme, 1);
  info.model_name = "evil */ int x; /*\n#error \\";
  const std::vector<GeneratedFile> files = Generate(quantized, host.target, info);
  EXPECT_THAT(ContentOf(files, "mico_model.c"), HasSubstr("evil *_ int x; /__#error _"));
  GeneratedProject project(files);
  ASSERT_NO_FATAL_FAILURE(project.BuildOnHost("gcc", "-O0"));
}

TEST(ArtifactFilesTest, NothingSaysWhenOrWhereItWasMade) {
  const std::vector<GeneratedFile> files =
      Generate(Make(kPlain), CatalogueTarget("rv32imc").target);
  const std::string here = std::filesystem::current_path().string();
  for (const GeneratedFile& file : files) {
    EXPECT_THAT(file.content, Not(HasSubstr(here))) << file.path;
    EXPECT_THAT(file.content, Not(HasSubstr(kSourceFolder))) << file.path;
    EXPECT_THAT(file.content, Not(HasSubstr("__DATE__"))) << file.path;
  }
}

// Networks by chance, every operator and width, all in one go.
TEST(RandomNetworksTest, GenerateTheOraclesLogits) {
  const TargetFile host = CatalogueTarget("host-c99");
  Random random(11);
  for (int i = 0; i < 8; ++i) {
    const std::string text = testing::RandomNetwork(random);
    const ModelPackage package = testing::RandomWeights(text, i);
    const bool non_negative = i % 2 == 0;
    const BitScheme scheme = testing::RandomScheme(package.graph, non_negative, random);
    const Quantized quantized = {{"random", text, scheme.ToString(), non_negative},
                                 testing::MustQuantize(package, non_negative, scheme)};
    GeneratedProject project(Generate(quantized, host.target));
    ASSERT_NO_FATAL_FAILURE(
        project.BuildOnHost("clang", "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"))
        << text;
    const CommandResult result = project.RunOn(host);
    ExpectPassed(result);
    if (result.exit_code != 0) FAIL() << text << scheme.ToString();
  }
}

}  // namespace
}  // namespace mico::golden
