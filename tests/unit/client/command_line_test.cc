#include "client/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/file.h"
#include "outcome.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandLineTest : public ::testing::Test {
 protected:
  ~CommandLineTest() override {
    unsetenv("MICO_SERVER");
    unsetenv("MICO_OUTPUT");
  }
  Outcome Run(const std::vector<std::string>& arguments) {
    return Captured([&] { return RunCommandLine(arguments, false); });
  }
  // An address at which nobody listens; the error tells which one was called.
  std::string Nobody(const std::string& name) const {
    return "unix:" + (folder_.path() / name).string();
  }
  std::string Config(const std::string& text) const {
    const std::filesystem::path path = folder_.path() / "mico.ini";
    std::ofstream(path) << text;
    return path.string();
  }
  void ExpectWrong(const std::vector<std::string>& arguments, const std::string& why) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.code, ExitCode::kWrongInput) << why;
    EXPECT_EQ(outcome.out, "") << why;
    EXPECT_THAT(outcome.err, StartsWith("mico-cli: "));
    EXPECT_THAT(outcome.err, HasSubstr(why));
  }

  TemporaryFolder folder_ = *TemporaryFolder::Create();
};

TEST_F(CommandLineTest, HelpAndVersionAreAnswersAndNotErrors) {
  const Outcome version = Run({"--version"});
  EXPECT_EQ(version.code, ExitCode::kDone);
  EXPECT_EQ(version.out, "mico-cli " MICO_VERSION "\n");

  for (const char* verb : {"submit", "status", "front", "fetch", "cancel", "jobs", "models",
                           "datasets", "targets", "workers"}) {
    EXPECT_THAT(Run({"--help"}).out, HasSubstr(verb));
    const Outcome help = Run({verb, "--help"});
    EXPECT_EQ(help.code, ExitCode::kDone);
    EXPECT_THAT(help.out, HasSubstr("Exit codes: 0 done"));
    EXPECT_EQ(help.err, "");
  }
}

TEST_F(CommandLineTest, WrongUsageIsExitCodeTwoAndSaysWhatIsNeeded) {
  ExpectWrong({}, "needed: a verb");
  ExpectWrong({"frob"}, "frob");
  ExpectWrong({"status"}, "JOB is required");
  ExpectWrong({"fetch", "4f1c"}, "--output-dir is required");
  ExpectWrong({"fetch", "4f1c", "-o", "x", "--trial", "1", "--best"}, "excludes");
  ExpectWrong({"fetch", "4f1c", "-o", "x", "--trial", "0"}, "needed: at least 1");
  ExpectWrong({"submit", "--trials", "many"}, "'many'; needed: a whole number");
  ExpectWrong({"submit", "--trials", "99999999999999999999"}, "needed: a whole number");
  ExpectWrong({"submit", "--seed", "-1"}, "'-1'; needed: a whole number");
  ExpectWrong({"submit", "--watch", "--dry-run"}, "excludes");
  ExpectWrong({"jobs", "--output", "xml"}, "--output: 'xml'; needed: table, json or csv");
  ExpectWrong({"jobs", "--server", "localhost"}, "--server: 'localhost'; needed: HOST:PORT");
}

TEST_F(CommandLineTest, FlagsOverrideTheEnvironmentOverridesTheFile) {
  const std::string config = Config("server=" + Nobody("file") + "\n");
  EXPECT_THAT(Run({"--config", config, "jobs"}).err, HasSubstr(Nobody("file")));

  setenv("MICO_SERVER", Nobody("environment").c_str(), 1);
  EXPECT_THAT(Run({"--config", config, "jobs"}).err, HasSubstr(Nobody("environment")));

  EXPECT_THAT(Run({"--config", config, "jobs", "--server", Nobody("flag")}).err,
              HasSubstr(Nobody("flag")));
}

TEST_F(CommandLineTest, AnEmptyVariableIsNone) {
  setenv("MICO_SERVER", "", 1);

  EXPECT_THAT(Run({"--config", Config("server=" + Nobody("file") + "\n"), "jobs"}).err,
              HasSubstr(Nobody("file")));
}

TEST_F(CommandLineTest, AFlagMendsAVariableThatIsWrong) {
  setenv("MICO_OUTPUT", "xml", 1);

  ExpectWrong({"jobs"}, "'xml'");
  EXPECT_EQ(Run({"jobs", "--output", "json", "--server", Nobody("flag")}).code,
            ExitCode::kServerUnreachable);
}

TEST_F(CommandLineTest, AConfigurationThatIsAbsentOrHasUnknownKeysIsRefused) {
  ExpectWrong({"--config", (folder_.path() / "absent.ini").string(), "jobs"}, "absent.ini");
  ExpectWrong({"--config", Config("sever=localhost:1\n"), "jobs"}, "sever");
}

}  // namespace
}  // namespace mico
