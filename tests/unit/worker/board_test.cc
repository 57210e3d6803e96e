// Boards that do what boards do on a bad day: a shell script is the simulator.
#include "worker/board/board.h"

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/paths.h"
#include "worker/profiler.h"
#include "worker/workbench.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

// All that a good program of one measurement says.
std::string GoodAnswer() {
  return BoardLine("begin bench 1") + BoardLine("overhead 5") + BoardLine("bench 0 105") +
         BoardLine("end bench 1 0");
}

class BadBoardTest : public ::testing::Test {
 protected:
  // A board that runs this script; "$GOOD" is a file with a good answer, $1 the program.
  BoardAccess Board(const std::string& script, int timeout_s = 60) {
    std::ofstream(Path("good")) << GoodAnswer();
    std::ofstream(Path("board.sh")) << "GOOD=" << Path("good").string() << "\n" << script << "\n";
    BoardAccess access;
    access.run = {"sh", Path("board.sh"), "{elf}"};
    access.timeout_s = timeout_s;
    return access;
  }
  absl::StatusOr<BoardRun> Run(const std::string& script, int timeout_s = 60) {
    CommandBoard board(Board(script, timeout_s));
    return RunProgram(board, "/dev/null", nullptr);
  }
  void ExpectError(absl::StatusCode code, const std::string& why, const std::string& script,
                   int timeout_s = 60) {
    const absl::Status status = Run(script, timeout_s).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_LT(status.message().size(), 1000u) << "a message is for people";
  }
  std::filesystem::path Path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
};

TEST_F(BadBoardTest, AGoodAnswerIsTaken) {
  const absl::StatusOr<BoardRun> run = Run("cat $GOOD");

  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->bench_counts, std::vector<int64_t>{105});
}

TEST_F(BadBoardTest, GarbageIsNoAnswer) {
  ExpectError(absl::StatusCode::kDataLoss, "said nothing of ours",
              "head -c 100000 /dev/urandom | tr m n");
}

TEST_F(BadBoardTest, GarbageInALineOfOursIsNoticed) {
  ExpectError(absl::StatusCode::kDataLoss, "line 3", "sed 's/bench 0 105/bench 0 104/' $GOOD");
  ExpectError(absl::StatusCode::kDataLoss, "no checksum", "printf 'mico: \\377\\376\\033[2J\\n'");
}

TEST_F(BadBoardTest, StoppingInTheMiddleIsNoAnswer) {
  ExpectError(absl::StatusCode::kDataLoss, "stopped after 1 of 1 results", "head -n 3 $GOOD");
  ExpectError(absl::StatusCode::kDataLoss, "no checksum", "head -c 70 $GOOD");
}

TEST_F(BadBoardTest, ARepeatedLineIsNoticed) {
  ExpectError(absl::StatusCode::kDataLoss, "index 0, needed 1", "sed '3p' $GOOD");
  ExpectError(absl::StatusCode::kDataLoss, "a line after 'end'", "cat $GOOD $GOOD");
}

TEST_F(BadBoardTest, ABoardThatNeverStartsIsStoppedAfterItsTime) {
  ExpectError(absl::StatusCode::kDeadlineExceeded, "no end after 1000 ms; said nothing",
              "exec tail -f /dev/null", 1);
}

TEST_F(BadBoardTest, ALateAnswerIsNoAnswer) {
  ExpectError(absl::StatusCode::kDeadlineExceeded, "no end after 1000 ms; said: booting",
              "echo booting; sleep 1000; cat $GOOD", 1);
}

TEST_F(BadBoardTest, ABoardThatTalksWithoutEndIsStoppedAndNotKept) {
  ExpectError(absl::StatusCode::kDeadlineExceeded, "no end after 1000 ms", "cat $GOOD; yes", 1);
}

TEST_F(BadBoardTest, MoreThanCanBeKeptIsNoAnswerEvenWithAGoodEnd) {
  ExpectError(absl::StatusCode::kDataLoss, "more than 4194304 bytes of output",
              "head -c 8000000 /dev/zero; cat $GOOD");
}

TEST_F(BadBoardTest, AnExitCodeOfItsOwnMakesAGoodAnswerWorthless) {
  ExpectError(absl::StatusCode::kInternal, "exit code 3", "cat $GOOD; exit 3");
  ExpectError(absl::StatusCode::kInternal, "exit code 1, though", "cat $GOOD; exit 1");
}

TEST_F(BadBoardTest, ABoardThatIsKilledSaysTheSignal) {
  ExpectError(absl::StatusCode::kInternal, "killed by signal 9", "cat $GOOD; kill -9 $$");
}

TEST_F(BadBoardTest, ABoardThatClosesItsOutputSaidNothing) {
  ExpectError(absl::StatusCode::kInternal, "exit code 0; said nothing", "exec >&-; exit 0");
  ExpectError(absl::StatusCode::kDeadlineExceeded, "no end after",
              "cat $GOOD; exec >&-; sleep 1000", 1);
}

TEST_F(BadBoardTest, WhatWentWrongIsInTheMessage) {
  ExpectError(absl::StatusCode::kInternal, "exit code 2; said: no such machine",
              "echo no such machine >&2; exit 2");
}

TEST_F(BadBoardTest, ChildrenThatStayAreKilledWithIt) {
  const absl::StatusOr<BoardRun> run =
      Run("sleep 1000 & echo $! >" + Path("child").string() + "; cat $GOOD");

  ASSERT_TRUE(run.ok()) << run.status();
  pid_t child = 0;
  std::ifstream(Path("child")) >> child;
  ASSERT_GT(child, 0);
  // Killed before Run returned; gone, or a zombie, as soon as the kernel has seen to it.
  std::string state = "not looked at";
  while (!state.empty() && state.find(") Z ") == std::string::npos) {
    std::ifstream stat(fmt::format("/proc/{}/stat", child));
    std::getline(stat, state);
    if (!stat) state.clear();
  }
}

// The real profiler around a board that fails: no table comes out.
TEST_F(BadBoardTest, NoMeasurementComesFromABoardThatFails) {
  TargetFile file =
      LoadTargetFile(std::filesystem::path(kSourceFolder) / "target/catalogue/host-c99.yaml")
          .value();
  const std::vector<std::string> signatures = {
      "conv x=4x4x8:u8 w=s8 y=4x4x8:u8 k=1x1 s=1x1 p=0,0,0,0 d=1x1 g=1"};
  CompilerOptions options;
  options.object_cache = Path("objects");
  struct Day {
    const char* script;
    absl::StatusCode code;
  };
  for (const Day& day : {Day{"$1 | head -n 2", absl::StatusCode::kDataLoss},
                         Day{"$1 | sed 's/ #/ #0/'", absl::StatusCode::kDataLoss},
                         Day{"$1; exit 9", absl::StatusCode::kInternal},
                         Day{"$1 | grep -v overhead", absl::StatusCode::kDataLoss},
                         Day{"grep zzz $GOOD", absl::StatusCode::kInternal}}) {
    file.board = Board(day.script);
    const absl::StatusOr<std::unique_ptr<Workbench>> workbench = Workbench::Open(file);
    ASSERT_TRUE(workbench.ok()) << workbench.status();

    const absl::StatusOr<LatencyTable> table =
        Profile(**workbench, signatures, options, [](double) { return true; });

    EXPECT_EQ(table.status().code(), day.code) << day.script << ": " << table.status();
  }
}

}  // namespace
}  // namespace mico
