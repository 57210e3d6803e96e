// The converter in its sandbox, and files that try to be more than networks.
// tests/judge/hostile_modules.py makes them.
#include "worker/script_converter.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/model_package.h"
#include "tests/support/child_process.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPython[] = "/usr/bin/python3";

ScriptConverterOptions Options() {
  ScriptConverterOptions options;
  options.program = std::filesystem::path(kBinaryFolder) / "bin/mico-torchscript";
  return options;
}

class ScriptConverterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder(*TemporaryFolder::Create());
    const EndedProcess made =
        RunToEnd({kPython, std::string(kSourceFolder) + "/tests/judge/hostile_modules.py", "--out",
                  folder_->path(), "--trace", Trace()},
                 folder_->path() / "log", std::chrono::minutes(5));
    made_ = made.exit_code == 0;
    log_ = made.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  void SetUp() override {
    static const Check sandbox = ScriptConverter(Options()).Look();
    if (sandbox.state != Check::State::kOk) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << sandbox.found;
      GTEST_SKIP() << "NOT TESTED: " << sandbox.found << "; mend: " << sandbox.remedy;
    }
    if (made_) return;
    const bool lacks_torch = log_.find("ModuleNotFoundError") != std::string::npos;
    ASSERT_TRUE(lacks_torch && std::getenv("CI") == nullptr) << log_;
    GTEST_SKIP() << "NOT TESTED: no python3-torch for " << kPython;
  }

  // Whatever happened, nothing of it is left.
  void TearDown() override {
    if (!made_) return;
    EXPECT_FALSE(std::filesystem::exists(Trace()));
    // The kernel takes a moment to end a namespace.
    for (int i = 0; i < 500 && IsAnyoneLeft(); ++i) usleep(10'000);
    EXPECT_FALSE(IsAnyoneLeft());
  }

  // A reader for the shape of this test.
  static bool IsAnyoneLeft() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const auto command = ReadFile(entry.path() / "cmdline");
      if (command.ok() && *command == std::string_view("/program\0003x8x8\0", 15)) return true;
    }
    return false;
  }

  static std::string Trace() { return (folder_->path() / "trace").string(); }

  absl::StatusOr<std::string> Convert(const std::string& name) const {
    const auto file = ReadFile(folder_->path() / (name + ".ts.pt"));
    EXPECT_TRUE(file.ok()) << file.status();
    return ScriptConverter(options_).Convert(file.value_or(""), {3, 8, 8}, nullptr);
  }

  std::string ErrorOf(const std::string& name) const {
    const absl::Status status = Convert(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << ": " << status;
    return std::string(status.message());
  }

  ScriptConverterOptions options_ = Options();
  static TemporaryFolder* folder_;
  static bool made_;
  static std::string log_;
};

TemporaryFolder* ScriptConverterTest::folder_ = nullptr;
bool ScriptConverterTest::made_ = false;
std::string ScriptConverterTest::log_;

TEST_F(ScriptConverterTest, ANetworkBecomesAPackage) {
  const auto bytes = Convert("harmless");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto package = ParseModelPackage(*bytes);
  ASSERT_TRUE(package.ok()) << package.status();
  EXPECT_EQ(package->graph.name, "Harmless");
  EXPECT_EQ(package->graph.QuantizedLayers().size(), 2U);
}

TEST_F(ScriptConverterTest, WhatAFilePrintsIsNotTheAnswer) {
  const auto bytes = Convert("chatter");
  EXPECT_TRUE(bytes.ok()) << bytes.status();
}

TEST_F(ScriptConverterTest, AFileThatOpensFilesFindsNone) {
  EXPECT_THAT(ErrorOf("reads"), AllOf(HasSubstr("/etc/passwd"), HasSubstr("No such file")));
  EXPECT_THAT(ErrorOf("writes"), HasSubstr("trace"));
  EXPECT_THAT(ErrorOf("saves"), HasSubstr("opens files (aten::save)"));
}

TEST_F(ScriptConverterTest, AFileThatLoopsForEverIsStopped) {
  options_.most_cpu_time = std::chrono::seconds(2);
  EXPECT_THAT(ErrorOf("loops"), HasSubstr("more than 2 s"));
}

TEST_F(ScriptConverterTest, AFileThatForksForEverIsStopped) {
  options_.most_cpu_time = std::chrono::seconds(3);
  EXPECT_THAT(ErrorOf("forks"), Not(HasSubstr("sandbox")));
}

TEST_F(ScriptConverterTest, AFileThatGrowsToGigabytesIsStopped) {
  options_.most_memory_bytes = uint64_t{2} << 30;
  EXPECT_THAT(ErrorOf("grows"), HasSubstr("memory"));
  EXPECT_THAT(ErrorOf("explodes"), HasSubstr("memory"));
}

TEST_F(ScriptConverterTest, AFileThatUnpacksToGigabytesIsStopped) {
  options_.most_memory_bytes = uint64_t{1200} << 20;
  EXPECT_THAT(ErrorOf("zip_bomb"), HasSubstr("libtorch cannot load the file"));
  EXPECT_THAT(ErrorOf("claims_gigabytes"), HasSubstr("libtorch cannot load the file"));
}

TEST_F(ScriptConverterTest, AFileThatCrashesItsReaderIsRefused) {
  EXPECT_THAT(ErrorOf("crashes"), Not(HasSubstr("sandbox")));
}

TEST_F(ScriptConverterTest, WhatAFileSaysRepaintsNoScreen) {
  EXPECT_THAT(ErrorOf("raises"), AllOf(HasSubstr("not today"), Not(HasSubstr("\x1b"))));
}

TEST_F(ScriptConverterTest, MalformedFilesAreRefused) {
  for (const char* name : {"unknown_class", "endless_pickle", "unknown_operator", "future_version",
                           "no_code", "broken_code", "deep_code", "not_torchscript", "other_zip"}) {
    EXPECT_THAT(ErrorOf(name), Not(HasSubstr("sandbox"))) << name;
  }
  EXPECT_THAT(ErrorOf("unknown_operator"), HasSubstr("unheard_of"));
  EXPECT_THAT(ErrorOf("unknown_class"), HasSubstr("system"));
  EXPECT_THAT(ErrorOf("future_version"), HasSubstr("version"));
}

TEST_F(ScriptConverterTest, TooLargeAFileIsNotRead) {
  options_.most_file_bytes = 100;
  EXPECT_THAT(ErrorOf("harmless"), HasSubstr("at most 100"));
}

TEST_F(ScriptConverterTest, TooLargeANetworkIsNotTaken) {
  options_.most_package_bytes = 100;
  EXPECT_THAT(ErrorOf("harmless"), HasSubstr("more than 100 bytes"));
}

// Whatever the program answers, it is not believed.
TEST_F(ScriptConverterTest, AnAnswerThatIsNoNetworkIsRefused) {
  options_.program = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
  const auto status = ScriptConverter(options_).Convert("file", {3, 8, 8}, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST_F(ScriptConverterTest, ALookSaysWhetherItWorksHere) {
  EXPECT_EQ(ScriptConverter(options_).Look().state, Check::State::kOk);

  options_.program = folder_->path() / "no-such-program";
  const Check missing = ScriptConverter(options_).Look();
  EXPECT_EQ(missing.state, Check::State::kWarning);
  EXPECT_THAT(missing.found, HasSubstr("no-such-program"));

  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  const Check lacking = ScriptConverter(Options()).Look();
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(lacking.state, Check::State::kWarning);
  EXPECT_THAT(lacking.found, HasSubstr("bwrap"));
  EXPECT_EQ(lacking.remedy, "apt-get install bubblewrap");
}

}  // namespace
}  // namespace mico
