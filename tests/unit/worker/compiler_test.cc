#include "worker/compiler.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/paths.h"
#include "worker/board/board.h"
#include "worker/elf.h"

namespace mico {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TargetFile Catalogue(const std::string& name) {
  absl::StatusOr<TargetFile> file =
      LoadTargetFile(std::string(kSourceFolder) + "/target/catalogue/" + name + ".yaml");
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : TargetFile{};
}

// Prints "sum 42" and ends with the exit code 0.
std::vector<GeneratedFile> SmallProgram() {
  return {{"main.c", R"(#include "mico_bsp.h"
#include "sum.h"
static void print(const char *text) { while (*text != 0) mico_bsp_putc(*text++); }
int main(void) {
  mico_bsp_init();
  const uint64_t before = mico_bsp_cycles();
  const int right = sum(40, 2) == 42 && mico_bsp_cycles() >= before;
  print(right ? "sum 42\n" : "wrong\n");
  mico_bsp_exit(right ? 0 : 1);
  return 0;
}
)"},
          {"parts/sum.c",
           "#include \"sum.h\"\nint sum(int a, int b) { return a + b; }\n"
           "int never_called(int a) { return a * 7; }\n"},
          {"parts/sum.h", "int sum(int a, int b);\nint never_called(int a);\n"}};
}

class CompilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_.emplace(*std::move(folder));
  }

  absl::StatusOr<std::filesystem::path> BuildFor(const std::string& target,
                                                 const std::vector<GeneratedFile>& files,
                                                 const CompilerOptions& options = {}) {
    const absl::StatusOr<Compiler> compiler = Compiler::Create(Catalogue(target).toolchain);
    if (!compiler.ok()) return compiler.status();
    return compiler->Build(files, folder_->path(), options);
  }

  std::optional<TemporaryFolder> folder_;
};

class CompilerOnTargetTest : public CompilerTest,
                             public ::testing::WithParamInterface<const char*> {};

TEST_P(CompilerOnTargetTest, ASmallProgramIsBuiltAndRunsOnTheBoard) {
  const absl::StatusOr<std::filesystem::path> elf = BuildFor(GetParam(), SmallProgram());
  ASSERT_TRUE(elf.ok()) << elf.status();

  const absl::StatusOr<std::unique_ptr<Board>> board = OpenBoard(*Catalogue(GetParam()).board);
  ASSERT_TRUE(board.ok()) << board.status();
  const absl::StatusOr<std::string> said = (*board)->Run(*elf, nullptr);

  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_THAT(*said, HasSubstr("sum 42\n"));
}

TEST_P(CompilerOnTargetTest, WhatIsNeverCalledIsNotInTheProgram) {
  const absl::StatusOr<std::filesystem::path> elf = BuildFor(GetParam(), SmallProgram());
  ASSERT_TRUE(elf.ok()) << elf.status();

  const absl::StatusOr<ElfContent> content = ReadElf(*elf);

  ASSERT_TRUE(content.ok()) << content.status();
  std::set<std::string> names;
  for (const ElfSymbol& symbol : content->symbols) names.insert(symbol.name);
  EXPECT_TRUE(names.contains("sum"));
  EXPECT_FALSE(names.contains("never_called"));
}

INSTANTIATE_TEST_SUITE_P(Catalogue, CompilerOnTargetTest,
                         ::testing::Values("host-c99", "rv32imc", "cortex-m4"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_F(CompilerTest, AnErrorSaysWhatTheCompilerSaid) {
  const absl::Status status =
      BuildFor("rv32imc", {{"main.c", "int main(void) { return undeclared; }\n"}}).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("main.c:1"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("undeclared"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr(folder_->path().string())));
}

TEST_F(CompilerTest, AProgramThatDoesNotFitIsResourceExhausted) {
  const absl::Status status =
      BuildFor("cortex-m4",
               {{"main.c", "char big[64 << 20];\nint main(void) { return big[big[0] * 1000]; }\n"}})
          .status();

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST_F(CompilerTest, AMissingFunctionIsTheProgramsFault) {
  const absl::Status status =
      BuildFor("rv32imc", {{"main.c", "int absent(void);\nint main(void) { return absent(); }\n"}})
          .status();

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("absent"));
}

TEST_F(CompilerTest, PathsThatAreNotPlainAreRefused) {
  for (const char* path : {"../main.c", "/tmp/main.c", "a b.c", "-o.c", "x/-y.c", "a/../../b.c", "",
                           "$(id).c", "quote\".c"}) {
    EXPECT_EQ(BuildFor("host-c99", {{path, "int main(void) { return 0; }\n"}}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << path;
  }
}

TEST_F(CompilerTest, AMissingCompilerIsNotFound) {
  EXPECT_EQ(Compiler::Create({.cc = "no-such-cc"}).status().code(), absl::StatusCode::kNotFound);
}

// Compilers that are scripts: what they do on a bad day.
class BadCompilerTest : public CompilerTest {
 protected:
  absl::Status Build(const std::string& bad_day, const CompilerOptions& options = {}) {
    const std::filesystem::path path = folder_->path() / "bad-cc";
    std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && echo bad-cc 1 && exit 0\n"
                        << bad_day << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    Toolchain toolchain;
    toolchain.cc = path;
    const absl::StatusOr<Compiler> compiler = Compiler::Create(toolchain);
    if (!compiler.ok()) return compiler.status();
    return compiler
        ->Build({{{"main.c", "int main(void) { return 0; }\n"}}}, folder_->path(), options)
        .status();
  }
  void ExpectError(const std::string& why, const std::string& bad_day,
                   const CompilerOptions& options = {}) {
    const absl::Status status = Build(bad_day, options);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("bad-cc on main.c: " + why));
    EXPECT_LT(status.message().size(), 3000u) << "a message is for people";
  }
};

TEST_F(BadCompilerTest, OneThatFailsSaysHow) {
  ExpectError("exit code 4\ninternal error", "echo internal error >&2; exit 4");
}

TEST_F(BadCompilerTest, OneThatHangsIsStopped) {
  CompilerOptions options;
  options.timeout = std::chrono::seconds(1);
  ExpectError("no end after 1000 ms", "sleep 1000", options);
}

TEST_F(BadCompilerTest, OneThatIsKilledSaysTheSignal) {
  ExpectError("killed by signal 9", "kill -9 $$");
}

TEST_F(BadCompilerTest, OneThatPrintsMegabytesIsCutShort) {
  ExpectError("exit code 1", "yes 'warning: everything' | head -c 20000000 >&2; exit 1");
  ExpectError("exit code 1", "head -c 20000000 /dev/zero >&2; exit 1");
}

TEST_F(BadCompilerTest, OneThatSaysItIsDoneAndIsNotFailsAtTheLink) {
  const absl::Status status = Build("case \" $* \" in *' -c '*) exit 0;; esac; exec cc \"$@\"");

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("linking with"));
}

TEST_F(BadCompilerTest, OneThatLinksNothingLeavesNoProgram) {
  const absl::StatusOr<ElfContent> content = ReadElf(folder_->path() / "program.elf");
  EXPECT_FALSE(content.ok());
  const absl::Status status = Build("exit 0");

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("left no program"));
}

TEST_F(BadCompilerTest, AVersionOfMegabytesIsCutShortToo) {
  const std::filesystem::path path = folder_->path() / "chatty-cc";
  std::ofstream(path) << "#!/bin/sh\nprintf '\\033[2J'; head -c 3000000 /dev/zero | tr '\\0' x\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  Toolchain toolchain;
  toolchain.cc = path;

  const absl::StatusOr<Compiler> compiler = Compiler::Create(toolchain);

  ASSERT_TRUE(compiler.ok()) << compiler.status();
  EXPECT_EQ(compiler->version().size(), 300u);
  EXPECT_EQ(compiler->version().substr(0, 5), "?[2Jx");
}

TEST_F(CompilerTest, AMissingBspFolderIsNotFoundByPath) {
  const absl::Status status = Compiler::Create({.cc = "cc", .bsp = "/nowhere/bsp"}).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/bsp"));
}

TEST_F(CompilerTest, TheIdentityChangesWithFlagsAndBspContentsAndNothingElse) {
  const std::filesystem::path bsp = folder_->path() / "bsp";
  std::filesystem::create_directory(bsp);
  std::ofstream(bsp / "mico_bsp.c") << "int x;\n";
  std::ofstream(bsp / "notes.txt") << "one";
  const auto identity = [&bsp](std::vector<std::string> cflags) {
    return Compiler::Create({.cc = "cc", .cflags = std::move(cflags), .bsp = bsp})->identity();
  };
  const std::string first = identity({"-O2"});

  std::ofstream(bsp / "notes.txt") << "two";
  EXPECT_EQ(identity({"-O2"}), first);
  EXPECT_NE(identity({"-O3"}), first);
  std::ofstream(bsp / "mico_bsp.c") << "int y;\n";
  EXPECT_NE(identity({"-O2"}), first);
}

class ObjectCacheTest : public CompilerTest {
 protected:
  // The number of kept objects after a build.
  ptrdiff_t KeptAfter(const std::vector<GeneratedFile>& files) {
    CompilerOptions options;
    options.object_cache = folder_->path() / "cache";
    const absl::Status status = BuildFor("rv32imc", files, options).status();
    EXPECT_TRUE(status.ok()) << status;
    return std::distance(std::filesystem::directory_iterator(options.object_cache), {});
  }

  std::vector<GeneratedFile> program_ = {
      {"main.c", "#include \"kernels/one.h\"\nint main(void) { return one(); }\n"},
      {"main.h", "\n"},
      {"kernels/one.c", "#include \"one.h\"\nint one(void) { return ONE; }\n"},
      {"kernels/one.h", "#define ONE 1\nint one(void);\n"}};
};

TEST_F(ObjectCacheTest, AKernelIsCompiledOnceWhateverProgramItIsIn) {
  const ptrdiff_t first = KeptAfter(program_);
  program_[0].content += "/* another program */\n";
  program_[1].content += "/* another header */\n";

  EXPECT_EQ(KeptAfter(program_), first);
}

TEST_F(ObjectCacheTest, AChangedKernelOrHeaderOfKernelsIsCompiledAgain) {
  const ptrdiff_t first = KeptAfter(program_);
  program_[3].content += "/* changed */\n";
  EXPECT_EQ(KeptAfter(program_), first + 1);
  program_[2].content += "/* changed */\n";
  EXPECT_EQ(KeptAfter(program_), first + 2);
}

TEST_F(ObjectCacheTest, AKernelDoesNotSeeWhatItsObjectIsNotKeptBy) {
  program_[2].content = "#include \"main.h\"\nint one(void) { return 1; }\n";

  EXPECT_EQ(BuildFor("rv32imc", program_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(BoardTest, ASerialBoardIsSaidNotToBeSupported) {
  BoardAccess access;
  access.flash = {"openocd", "{elf}"};
  access.serial = SerialPort{"/dev/ttyACM0", 115200};

  const absl::Status status = OpenBoard(access).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("serial boards"));
}

TEST(BoardTest, AProgramThatDoesNotEndIsStopped) {
  BoardAccess access;
  access.run = {"tail", "-f", "/dev/null", "{elf}"};
  access.timeout_s = 1;

  const absl::Status status = CommandBoard(access).Run("/dev/null", nullptr).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(BoardTest, TheProgramsPathIsOneArgumentWhateverItContains) {
  BoardAccess access;
  access.run = {"printf", "<%s>", "kernel={elf}"};

  const absl::StatusOr<std::string> said = CommandBoard(access).Run("/tmp/a b;c.elf", nullptr);

  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_EQ(*said, "<kernel=/tmp/a b;c.elf>");
}

}  // namespace
}  // namespace mico
