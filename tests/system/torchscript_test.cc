// A team hands over TorchScript: real processes, a real sandbox.
#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <regex>

#include "tests/support/paths.h"
#include "tests/support/raw_data.h"
#include "tests/system/service_fixture.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TorchScriptSystemTest : public ServiceFixture {
 protected:
  void SetUp() override {
    const auto data = DataFolder(kSourceFolder);
    if (!data.has_value()) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << "no development data; set MICO_TEST_DATA";
      GTEST_SKIP() << "NOT TESTED: no development data; set MICO_TEST_DATA";
    }
    models_ = *data / "models/lenet5-mnist";
    const EndedProcess made = RunToEnd(
        {"/usr/bin/python3", std::string(kSourceFolder) + "/examples/mnist/make_dataset.py",
         "--data", *data / "mnist", "--size", "32", "--scale", "1/255", "--train", "256", "--val",
         "200", "--test", "200", "--output", Path("mnist.npz")},
        Path("make.log"), std::chrono::seconds(300));
    ASSERT_EQ(made.exit_code, 0) << ReadFile(Path("make.log.err")).value_or("");
    StartServer("data");
    StartWorker(0);
    WaitForTarget();
  }

  EndedProcess Submit(const std::filesystem::path& model, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"submit",          "--model",  model,     "--data",
                                       Path("mnist.npz"), "--target", "rv32imc", "--strategy",
                                       "uniform",         "--trials", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Cli(arguments);
  }

  v1::Job EndOf(const EndedProcess& submitted) {
    std::smatch match;
    EXPECT_TRUE(std::regex_search(submitted.output, match, std::regex("job ([0-9a-f]+)")))
        << submitted.output << ReadFile(Path("cli.log.err")).value_or("");
    return match.empty() ? v1::Job() : WaitForEnd(match[1]);
  }

  std::filesystem::path models_;
};

TEST_F(TorchScriptSystemTest, LeNet5IsSearchedAsItsOnnxFileIs) {
  const EndedProcess submitted = Submit(models_ / "lenet5_mnist.ts.pt");
  ASSERT_EQ(submitted.exit_code, 0) << ReadFile(Path("cli.log.err")).value_or("");
  EXPECT_THAT(ReadFile(Path("cli.log.err")).value_or(""), HasSubstr("lenet5_mnist.ts.pt"));

  const v1::Job script = EndOf(submitted);
  const v1::Job onnx = EndOf(Submit(models_ / "lenet5_mnist.onnx"));

  EXPECT_EQ(script.state(), v1::JOB_STATE_DONE) << script.error();
  EXPECT_EQ(onnx.state(), v1::JOB_STATE_DONE) << onnx.error();
  EXPECT_EQ(script.float_val().correct(), onnx.float_val().correct());
  EXPECT_EQ(script.float_test().correct(), onnx.float_test().correct());
  EXPECT_EQ(FrontAsText(script), FrontAsText(onnx));
  EXPECT_THAT(Cli({"models"}).output, HasSubstr("lenet5_mnist.ts.pt"));
  EXPECT_THAT(Cli({"doctor"}).output, HasSubstr("bubblewrap keeps files and network away"));
}

TEST_F(TorchScriptSystemTest, WhatIsWrongWithAFileIsSaidAtSubmit) {
  const EndedProcess shape = Submit(models_ / "lenet5_mnist.ts.pt", {"--input-shape", "3x32x32"});
  EXPECT_EQ(shape.exit_code, 2);
  EXPECT_THAT(ReadFile(Path("cli.log.err")).value_or(""),
              AllOf(HasSubstr("lenet5_mnist.ts.pt"), HasSubstr("3x32x32"), HasSubstr("'c1'")));

  std::ofstream(Path("broken.pt"), std::ios::binary) << "PK\x03\x04 and no more";
  EXPECT_EQ(Submit(Path("broken.pt")).exit_code, 2);
  EXPECT_THAT(ReadFile(Path("cli.log.err")).value_or(""),
              AllOf(HasSubstr("broken.pt"), HasSubstr("libtorch cannot load the file")));
}

}  // namespace
}  // namespace mico
