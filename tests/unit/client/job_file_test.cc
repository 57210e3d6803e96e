#include "client/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"

namespace mico {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class JobFileTest : public ::testing::Test {
 protected:
  absl::Status Merge(const std::string& text) {
    std::ofstream(folder_.path() / "job.yaml") << text;
    return MergeJobFile(folder_.path() / "job.yaml", options_);
  }
  std::string ErrorOf(const std::string& text) {
    const absl::Status status = Merge(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(status.message());
  }

  TemporaryFolder folder_ = *TemporaryFolder::Create();
  SubmitOptions options_;
};

TEST_F(JobFileTest, EveryFieldOfSubmitCanBeInTheFile) {
  ASSERT_TRUE(Merge("model: /models/net.onnx\n"
                    "data: /data/set.npz\n"
                    "target: rv32imc\n"
                    "metric: mse\n"
                    "strategy: random\n"
                    "ptq: reconstruct\n"
                    "qat: top:8\n"
                    "qat-epochs: 2.5\n"
                    "qat-minutes: 30\n"
                    "qat-optimizer: sgd\n"
                    "qat-augment: shift+flip\n"
                    "max-latency: 0.7x\n"
                    "max-ram: 64KiB\n"
                    "max-flash: 96000\n"
                    "min-accuracy: 90%\n"
                    "max-error: 1.05x\n"
                    "trials: 64\n"
                    "calibration-samples: 128\n"
                    "seed: 18446744073709551615\n")
                  .ok());

  EXPECT_EQ(options_.model, "/models/net.onnx");
  EXPECT_EQ(options_.data, "/data/set.npz");
  EXPECT_EQ(options_.target, "rv32imc");
  EXPECT_EQ(options_.metric, "mse");
  EXPECT_EQ(options_.max_error, "1.05x");
  EXPECT_EQ(options_.strategy, "random");
  EXPECT_EQ(options_.ptq, "reconstruct");
  EXPECT_EQ(options_.qat, "top:8");
  EXPECT_EQ(options_.qat_epochs, "2.5");
  EXPECT_EQ(options_.qat_minutes, "30");
  EXPECT_EQ(options_.qat_optimizer, "sgd");
  EXPECT_EQ(options_.qat_augment, "shift+flip");
  EXPECT_EQ(options_.max_latency, "0.7x");
  EXPECT_EQ(options_.max_ram, "64KiB");
  EXPECT_EQ(options_.max_flash, "96000");
  EXPECT_EQ(options_.min_accuracy, "90%");
  EXPECT_EQ(options_.trials, 64);
  EXPECT_EQ(options_.calibration_samples, 128);
  EXPECT_EQ(options_.seed, 18446744073709551615u);
}

TEST_F(JobFileTest, RelativePathsAreRelativeToTheFile) {
  ASSERT_TRUE(Merge("model: net.onnx\ndata: ../data/set.npz\n").ok());

  EXPECT_EQ(options_.model, (folder_.path() / "net.onnx").string());
  EXPECT_EQ(options_.data, (folder_.path().parent_path() / "data/set.npz").string());
}

TEST_F(JobFileTest, FlagsOverrideTheFile) {
  options_.model = "mine.onnx";
  options_.trials = 3;

  ASSERT_TRUE(Merge("model: net.onnx\ntrials: 64\ntarget: rv32imc\n").ok());

  EXPECT_EQ(options_.model, "mine.onnx");
  EXPECT_EQ(options_.trials, 3);
  EXPECT_EQ(options_.target, "rv32imc");
}

TEST_F(JobFileTest, AnUnknownKeyIsNamed) {
  EXPECT_THAT(ErrorOf("max-latenzy: 0.7x\n"), HasSubstr("unknown key 'max-latenzy'"));
  EXPECT_THAT(ErrorOf("[a, b]: c\n"), HasSubstr("unknown key ''"));
}

TEST_F(JobFileTest, AKeyThatComesTwiceIsNamed) {
  EXPECT_THAT(ErrorOf("trials: 1\ntrials: 2\n"), EndsWith("key 'trials' comes twice"));
}

TEST_F(JobFileTest, AValueOfAnotherKindSaysWhatIsNeeded) {
  EXPECT_THAT(ErrorOf("trials: many\n"), EndsWith("key 'trials': 'many'; needed: a whole number"));
  EXPECT_THAT(ErrorOf("trials: 64.5\n"), HasSubstr("'64.5'"));
  EXPECT_THAT(ErrorOf("seed: -1\n"), HasSubstr("'-1'"));
  EXPECT_THAT(ErrorOf("trials: [1, 2]\n"), HasSubstr("needed: a whole number"));
  EXPECT_THAT(ErrorOf("model:\n"), EndsWith("key 'model': ''; needed: the name of a file"));
  EXPECT_THAT(ErrorOf("target: {name: rv32imc}\n"), EndsWith("needed: one value"));
}

TEST_F(JobFileTest, WhatIsNoMapIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("needed: a map"));
  EXPECT_THAT(ErrorOf("- model\n"), HasSubstr("needed: a map"));
  EXPECT_THAT(ErrorOf("{model: net.onnx"), HasSubstr("job.yaml: line 1"));
}

TEST_F(JobFileTest, AFileThatCannotBeReadIsWrongInput) {
  EXPECT_EQ(MergeJobFile(folder_.path() / "absent.yaml", options_).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MergeJobFile(folder_.path(), options_).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobFileTest, NumbersThatAreNoneAreNamedWithWhatIsNeeded) {
  for (const char* value : {"12 parsecs", "-1", ".nan", "1e3", "0x10", "[1]", "{a: 1}", "~",
                            "99999999999999999999999999"}) {
    const std::string error = ErrorOf(std::string("seed: ") + value + "\n");
    EXPECT_THAT(error, HasSubstr("key 'seed'")) << value;
    EXPECT_THAT(error, EndsWith("needed: a whole number")) << value;
  }
}

TEST_F(JobFileTest, AliasesAndDeepNestingEndBeforeMemoryDoes) {
  EXPECT_THAT(ErrorOf("model: &a net.onnx\ndata: *a\n"), HasSubstr("anchor"));
  EXPECT_THAT(ErrorOf("model: " + std::string(100'000, '[')), HasSubstr("32 levels"));
}

TEST_F(JobFileTest, WhatIsNoJobFileIsNamed) {
  EXPECT_THAT(ErrorOf(std::string("\x7f"
                                  "ELF\x01\0: {",
                                  9)),
              HasSubstr("job.yaml"));
  EXPECT_THAT(ErrorOf(std::string(2 << 20, ' ')), HasSubstr("larger than 1048576 bytes"));
  const absl::Status folder = MergeJobFile(folder_.path(), options_);
  EXPECT_EQ(folder.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(folder.message()), HasSubstr(folder_.path().string()));
}

}  // namespace
}  // namespace mico
