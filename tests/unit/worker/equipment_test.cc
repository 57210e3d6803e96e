#include "worker/equipment.h"

#include <fstream>
#include <thread>

#include "base/file.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/paths.h"
#include "worker/remedy.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string CatalogueText(const std::string& name) {
  const std::filesystem::path catalogue = std::filesystem::path(kSourceFolder) / "target/catalogue";
  std::string text = ReadFile(catalogue / (name + ".yaml")).value();
  const size_t bsp = text.find("bsp: ");
  return text.insert(bsp + 5, catalogue.string() + "/");
}

std::string With(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

class EquipmentTest : public ::testing::Test {
 protected:
  EquipmentTest() {
    options_.cache_dir = folder_.path() / "cache";
    options_.compiler.object_cache = folder_.path() / "objects";
    options_.keep = options_.keep_fault = std::chrono::milliseconds(0);
  }

  std::filesystem::path Path(const std::string& name) const { return folder_.path() / name; }

  std::filesystem::path Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  // A program of the test's own, found under its path.
  std::string Script(const std::string& name, const std::string& text) {
    Write(name, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(Path(name), std::filesystem::perms::owner_all);
    return Path(name);
  }
  void Open(const std::string& target_text) {
    const std::vector<std::filesystem::path> files = {Write("target.yaml", target_text)};
    absl::StatusOr<std::unique_ptr<Equipment>> equipment = Equipment::Open(files, options_);
    ASSERT_TRUE(equipment.ok()) << equipment.status();
    equipment_ = *std::move(equipment);
  }
  TargetHealth Health() {
    WorkerReport report;
    equipment_->Describe(report);
    EXPECT_EQ(report.targets.size(), 1u);
    EXPECT_EQ(report.target_health.size(), 1u);
    return report.target_health.at(0);
  }
  Target Announced() {
    WorkerReport report;
    equipment_->Describe(report);
    return report.targets.at(0);
  }
  Check Find(const std::string& name) {
    for (const Check& check : Health().checks) {
      if (check.name == name) return check;
    }
    ADD_FAILURE() << "no check '" << name << "'";
    return {};
  }
  void ExpectFault(const std::string& name, const std::string& found, const std::string& remedy) {
    const Check check = Find(name);
    EXPECT_EQ(check.state, Check::State::kFault) << check.found;
    EXPECT_THAT(check.found, HasSubstr(found));
    EXPECT_THAT(check.remedy, HasSubstr(remedy));
  }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
  EquipmentOptions options_;
  std::unique_ptr<Equipment> equipment_;
};

TEST_F(EquipmentTest, ATargetThatWorksIsFoundToCompileRunAndCount) {
  Open(CatalogueText("rv32imc"));

  ASSERT_TRUE(equipment_->LookNow());

  const TargetHealth health = Health();
  std::vector<std::string> names;
  for (const Check& check : health.checks) {
    EXPECT_EQ(check.state, Check::State::kOk) << check.name << ": " << check.found;
    EXPECT_EQ(check.remedy, "");
    names.push_back(check.name);
  }
  EXPECT_THAT(names, ElementsAre("compiler", "board", "kernels", "builds", "runs"));
  EXPECT_EQ(health.cannot_compile, "");
  EXPECT_EQ(health.cannot_run, "");
  EXPECT_TRUE(Announced().has_board);
  EXPECT_TRUE(equipment_->Find("rv32imc").ok());
  EXPECT_THAT(Find("runs").found, StartsWith("counted "));
}

TEST_F(EquipmentTest, AMissingCompilerKeepsNobodyFromStarting) {
  Open(With(CatalogueText("rv32imc"), "riscv64-unknown-elf-gcc", "riscv64-unknown-elf-gcc-99"));
  ASSERT_TRUE(equipment_->LookNow());

  EXPECT_THAT(Health().cannot_compile, HasSubstr("'riscv64-unknown-elf-gcc-99' is not on PATH"));
  ExpectFault("compiler", "riscv64-unknown-elf-gcc-99",
              "apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf");
  EXPECT_EQ(Announced().name, "rv32imc");
  EXPECT_FALSE(Announced().has_board);
  EXPECT_EQ(Announced().profile_key, "");
  const absl::Status refused = equipment_->Find("rv32imc").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("target 'rv32imc': program"));
}

TEST_F(EquipmentTest, AMissingEmulatorLeavesATargetThatCompiles) {
  Open(With(CatalogueText("rv32imc"), "qemu-system-riscv32", "qemu-system-riscv32-not-here"));
  ASSERT_TRUE(equipment_->LookNow());

  EXPECT_EQ(Health().cannot_compile, "");
  EXPECT_THAT(Health().cannot_run, HasSubstr("qemu-system-riscv32-not-here"));
  ExpectFault("board", "not on PATH", "apt-get install qemu-system-misc");
  EXPECT_EQ(Find("builds").state, Check::State::kOk);
  EXPECT_FALSE(Announced().has_board);
  EXPECT_NE(Announced().profile_key, "");
}

TEST_F(EquipmentTest, ACompilerThatComesLaterIsFound) {
  const std::string compiler = Path("cc-that-comes-later");
  Open(With(CatalogueText("host-c99"), "cc: cc", "cc: " + compiler));
  ASSERT_TRUE(equipment_->LookNow());
  EXPECT_NE(Health().cannot_compile, "");

  Script("cc-that-comes-later", "exec cc \"$@\"");
  ASSERT_TRUE(equipment_->LookNow());

  EXPECT_EQ(Health().cannot_compile, "");
  EXPECT_TRUE(Announced().has_board);
  EXPECT_NE(Announced().profile_key, "");
}

TEST_F(EquipmentTest, ACompilerForAnotherMachineIsNotTakenForTheIsas) {
  Open(With(CatalogueText("host-c99"), "isa: c99", "isa: armv7e-m"));
  ASSERT_TRUE(equipment_->LookNow());

  ExpectFault("builds", "needed for isa armv7e-m: Arm, 32 bits",
              "toolchain.cc and cflags must suit");
  EXPECT_FALSE(Announced().has_board && Health().cannot_compile.empty());
}

TEST_F(EquipmentTest, FlagsThatTheCompilerDoesNotKnowAreItsFault) {
  Open(With(CatalogueText("host-c99"), "-O2", "-march=rv32imc"));
  ASSERT_TRUE(equipment_->LookNow());

  ExpectFault("builds", "exit code 1", "edit ");
  EXPECT_NE(Health().cannot_compile, "");
}

TEST_F(EquipmentTest, ACompilerThatFailsIsAFaultWithWhatItSaid) {
  const std::string compiler =
      Script("broken-cc",
             "[ \"$1\" = --version ] && echo broken-cc 1.0 && exit 0\n"
             "printf 'internal compiler error: \\033[31m\\377\\n' >&2; exit 4");
  Open(With(CatalogueText("host-c99"), "cc: cc", "cc: " + compiler));
  ASSERT_TRUE(equipment_->LookNow());

  ExpectFault("builds", "exit code 4 internal compiler error: ?[31m?", "edit ");
}

TEST_F(EquipmentTest, ABspThatLacksFilesIsNamed) {
  std::filesystem::create_directory(Path("bsp"));
  Write("bsp/mico_bsp.h",
        "#include <stdint.h>\nuint64_t mico_bsp_cycles(void);\n"
        "void mico_bsp_init(void); void mico_bsp_putc(char);"
        "void mico_bsp_exit(int);\n");
  std::string text = CatalogueText("host-c99");
  const size_t at = text.find("bsp: ") + 5;
  text.replace(at, text.find('\n', at) - at, Path("bsp").string());
  Open(text);
  ASSERT_TRUE(equipment_->LookNow());
  ExpectFault("builds", "mico_bsp_", "edit ");

  std::filesystem::remove_all(Path("bsp"));
  ASSERT_TRUE(equipment_->LookNow());
  ExpectFault("bsp", Path("bsp").string(), "toolchain.bsp");
}

TEST_F(EquipmentTest, ABoardThatSaysNonsenseCannotRun) {
  Open(With(CatalogueText("host-c99"), "[\"{elf}\"]", "[echo, hello, \"{elf}\"]"));
  ASSERT_TRUE(equipment_->LookNow());

  ExpectFault("runs", "said nothing of ours", "board and bsp");
  EXPECT_EQ(Health().cannot_compile, "");
  EXPECT_FALSE(Announced().has_board);
}

TEST_F(EquipmentTest, ACounterThatStandsStillIsNoticed) {
  const std::string board = Script("still", "\"$1\" >/dev/null; cat " + Path("said").string());
  Write("said", BoardLine("begin bench 1") + BoardLine("overhead 0") + BoardLine("bench 0 0") +
                    BoardLine("end bench 1 0"));
  Open(With(CatalogueText("host-c99"), "[\"{elf}\"]", "[" + board + ", \"{elf}\"]"));
  ASSERT_TRUE(equipment_->LookNow());

  ExpectFault("runs", "the counter stands still", "");
}

TEST_F(EquipmentTest, WidthsWithoutKernelsAreNamed) {
  Open(With(CatalogueText("host-c99"), "weight_bits: [8, 4, 2]", "weight_bits: [8, 7]"));

  const Check kernels = Find("kernels");

  // Whatever the library offers: it says so, and never that all is well with what it lacks.
  if (kernels.state == Check::State::kFault) EXPECT_THAT(kernels.found, HasSubstr("w7a"));
  EXPECT_NE(kernels.state, Check::State::kUnknown);
}

TEST_F(EquipmentTest, AFileThatIsWrongOrANameGivenTwiceIsAnError) {
  const std::vector<std::filesystem::path> wrong = {Write("wrong.yaml", "name: x\n")};
  EXPECT_THAT(std::string(Equipment::Open(wrong, options_).status().message()),
              HasSubstr("wrong.yaml"));

  const std::vector<std::filesystem::path> twice = {Write("one.yaml", CatalogueText("host-c99")),
                                                    Write("two.yaml", CatalogueText("host-c99"))};
  const absl::Status status = Equipment::Open(twice, options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("two.yaml: target 'host-c99'"));
}

TEST_F(EquipmentTest, WhileATaskHoldsTheBoardNobodyLooks) {
  Open(CatalogueText("host-c99"));
  {
    const Equipment::Reservation reservation(*equipment_);
    EXPECT_FALSE(equipment_->LookNow());
    EXPECT_EQ(Health().checks.size(), 3u) << "the quick look at the start, and no other";
  }
  EXPECT_TRUE(equipment_->LookNow());
  EXPECT_EQ(Health().checks.size(), 5u);
}

TEST_F(EquipmentTest, ATaskThatBeginsStopsTheLook) {
  // The board says that it runs, and never ends by itself.
  const std::string board = Script("hangs", "touch " + Path("running").string() + "; sleep 1000");
  Open(With(With(CatalogueText("host-c99"), "[\"{elf}\"]", "[" + board + ", \"{elf}\"]"),
            "timeout_s: 60", "timeout_s: 600"));
  bool finished = true;
  std::thread look([&] { finished = equipment_->LookNow(); });
  while (!std::filesystem::exists(Path("running"))) std::this_thread::yield();

  { const Equipment::Reservation reservation(*equipment_); }

  look.join();
  EXPECT_FALSE(finished);
  EXPECT_EQ(Health().cannot_run, "") << "a look that was stopped found nothing";
}

TEST_F(EquipmentTest, ItLooksByItselfAndStopsWithItsOwner) {
  Open(CatalogueText("host-c99"));

  equipment_->KeepLooking();
  while (Health().checks.size() < 5) std::this_thread::yield();
  equipment_.reset();
}

TEST_F(EquipmentTest, TheMachineIsLookedAtToo) {
  Open(CatalogueText("host-c99"));
  WorkerReport report;
  equipment_->Describe(report);

  std::vector<std::string> names;
  for (const Check& check : report.checks) names.push_back(check.name);
  EXPECT_THAT(names, ElementsAre("scratch folder", "temporary folder", "host compiler", "memory"));
  EXPECT_EQ(report.checks[0].state, Check::State::kOk) << report.checks[0].found;
}

TEST(LookAtMachineTest, AScratchFolderThatCannotBeWrittenIsAFault) {
  const std::vector<Check> checks = LookAtMachine("/proc/self/mico-cache");

  EXPECT_EQ(checks[0].state, Check::State::kFault);
  EXPECT_THAT(checks[0].found, HasSubstr("/proc/self/mico-cache"));
  EXPECT_THAT(checks[0].remedy, HasSubstr("ls -ld /proc/self/mico-cache"));
}

TEST(RemedyTest, KnownToolsHaveTheirPackages) {
  EXPECT_EQ(HowToInstall("arm-none-eabi-gcc"),
            "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi");
  EXPECT_EQ(HowToInstall("qemu-system-arm"), "apt-get install qemu-system-arm");
  EXPECT_EQ(HowToInstall("qemu-system-riscv32"), "apt-get install qemu-system-misc");
  EXPECT_EQ(HowToInstall("cc"), "apt-get install gcc libc6-dev");
  EXPECT_THAT(HowToInstall("frobnicator"), HasSubstr("PATH"));
}

TEST(RemedyTest, AMissingLibraryIsInstalledAndAWrongFlagIsEdited) {
  EXPECT_EQ(HowToMendCompiler("riscv64-unknown-elf-gcc",
                              "fatal error: cannot read spec file 'picolibc.specs: No such file or "
                              "directory",
                              "t.yaml"),
            "apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf");
  EXPECT_THAT(
      HowToMendCompiler("gcc", "error: unrecognized command-line option '-mthumb'", "t.yaml"),
      HasSubstr("edit t.yaml"));
}

}  // namespace
}  // namespace mico
