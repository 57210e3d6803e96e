// PrepareProcess replaces the process, so it is tested from outside: this program runs itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "worker/torch/runtime.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

constexpr char kPrintEnvironment[] = "--print-environment";

std::string EnvironmentSeenUnder(const std::string& environment) {
  const std::string command =
      environment + " /proc/" + std::to_string(getpid()) + "/exe " + kPrintEnvironment + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  std::array<char, 256> chunk;
  while (fgets(chunk.data(), chunk.size(), pipe) != nullptr) output += chunk.data();
  EXPECT_EQ(pclose(pipe), 0) << output;
  return output;
}

TEST(RuntimeTest, SetsOneThreadForEachLibraryWhateverTheEnvironmentSays) {
  for (const std::string environment : {"env -u OMP_NUM_THREADS -u OPENBLAS_NUM_THREADS",
                                        "env OMP_NUM_THREADS=64 OPENBLAS_NUM_THREADS=7",
                                        "env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"}) {
    const std::string seen = EnvironmentSeenUnder(environment);
    EXPECT_THAT(seen, HasSubstr("OMP_NUM_THREADS=1\n"));
    EXPECT_THAT(seen, HasSubstr("OPENBLAS_NUM_THREADS=1\n"));
    EXPECT_THAT(seen, HasSubstr("arguments=2\n"));
    EXPECT_THAT(seen, HasSubstr("guard=unset\n"));
  }
}

TEST(RuntimeTest, LeavesAChosenCoreTypeAlone) {
  EXPECT_THAT(EnvironmentSeenUnder("env OPENBLAS_CORETYPE=Haswell"),
              HasSubstr("OPENBLAS_CORETYPE=Haswell\n"));
}

TEST(RuntimeTest, ThereIsAtLeastOneCore) { EXPECT_GE(AvailableCores(), 1); }

void Print(const char* name) {
  const char* value = std::getenv(name);
  std::printf("%s=%s\n", name, value != nullptr ? value : "");
}

}  // namespace
}  // namespace mico

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == mico::kPrintEnvironment) {
    mico::PrepareProcess(argc, argv);
    mico::Print("OMP_NUM_THREADS");
    mico::Print("OPENBLAS_NUM_THREADS");
    mico::Print("OPENBLAS_CORETYPE");
    std::printf("arguments=%d\nguard=%s\n", argc,
                std::getenv("MICO_PROCESS_PREPARED") != nullptr ? "set" : "unset");
    return 0;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
