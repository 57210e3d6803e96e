#include "target/target.h"

#include <fstream>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The example of contracts.md, with a simulator for a board.
const std::string kCortexM4 = R"(name: cortex-m4
isa: armv7e-m
clock_hz: 80000000
memory: {flash_bytes: 1048576, ram_bytes: 131072}
toolchain: {cc: arm-none-eabi-gcc, cflags: [-mcpu=cortex-m4, -O2], ldflags: [], bsp: bsp/mps2-an386}
weight_bits: [2, 8, 4]
activation_bits: [8]
latency: {model: profiled}
board:
  run: [qemu-system-arm, -M, mps2-an386, -nographic, -icount, shift=6, -kernel, "{elf}"]
  counts: instructions
  timeout_s: 30
)";

std::string With(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(TargetFileTest, EveryFieldIsRead) {
  const absl::StatusOr<TargetFile> file = ParseTargetFile(kCortexM4, "/lab");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->target.name, "cortex-m4");
  EXPECT_EQ(file->target.isa, "armv7e-m");
  EXPECT_EQ(file->target.clock_hz, 80'000'000);
  EXPECT_EQ(file->target.flash_bytes, 1'048'576);
  EXPECT_EQ(file->target.ram_bytes, 131'072);
  EXPECT_EQ(file->target.counts, CounterKind::kInstructions);
  EXPECT_TRUE(file->target.has_board);
  EXPECT_EQ(file->toolchain.cc, "arm-none-eabi-gcc");
  EXPECT_THAT(file->toolchain.cflags, ElementsAre("-mcpu=cortex-m4", "-O2"));
  EXPECT_EQ(file->toolchain.bsp, "/lab/bsp/mps2-an386");
  ASSERT_TRUE(file->board.has_value());
  EXPECT_EQ(file->board->run.size(), 8);
  EXPECT_EQ(file->board->run.back(), "{elf}");
  EXPECT_EQ(file->board->timeout_s, 30);
}

TEST(TargetFileTest, WidthsComeBackDescending) {
  const absl::StatusOr<TargetFile> file = ParseTargetFile(kCortexM4, "/lab");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->target.weight_bits, ElementsAre(8, 4, 2));
  EXPECT_THAT(file->target.activation_bits, ElementsAre(8));
}

TEST(TargetFileTest, AWiredBoardHasAFlashCommandAndASerialPort) {
  const std::string text = With(kCortexM4, kCortexM4.substr(kCortexM4.find("board:")),
                                "board:\n"
                                "  flash: [openocd, -c, \"program {elf} verify reset exit\"]\n"
                                "  serial: {port: /dev/ttyACM0, baud: 921600}\n");

  const absl::StatusOr<TargetFile> file = ParseTargetFile(text, "/lab");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->board->serial->port, "/dev/ttyACM0");
  EXPECT_EQ(file->board->serial->baud, 921600);
  EXPECT_EQ(file->target.counts, CounterKind::kCycles);
}

TEST(TargetFileTest, WithoutABoardThereIsNoMeasurement) {
  const std::string text = kCortexM4.substr(0, kCortexM4.find("board:"));

  const absl::StatusOr<TargetFile> file = ParseTargetFile(text, "/lab");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE(file->board.has_value());
  EXPECT_FALSE(file->target.has_board);
}

TEST(TargetFileTest, LoadingTakesTheBspFromTheFilesOwnFolder) {
  const absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  std::ofstream(folder->path() / "target.yaml") << kCortexM4;

  const absl::StatusOr<TargetFile> file = LoadTargetFile(folder->path() / "target.yaml");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->toolchain.bsp, folder->path() / "bsp/mps2-an386");
}

TEST(TargetFileTest, AnErrorNamesTheFile) {
  const absl::Status status = LoadTargetFile("/nowhere/target.yaml").status();

  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/target.yaml"));
}

struct Fault {
  const char* from;
  const char* to;
  const char* named;  // what the message must say
};

class TargetFileFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(TargetFileFaultTest, IsRefusedByName) {
  const std::string text = With(kCortexM4, GetParam().from, GetParam().to);

  const absl::Status status = ParseTargetFile(text, "/lab").status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    All, TargetFileFaultTest,
    ::testing::Values(
        Fault{"clock_hz", "clock_mhz", "unknown key 'clock_mhz'"},
        Fault{"ram_bytes: 131072", "ram: 1", "unknown key 'ram'"},
        Fault{"ram_bytes: 131072", "ram_bytes: 0", "memory.ram_bytes: found '0'"},
        Fault{"ram_bytes: 131072", "ram_bytes: 128KiB", "memory.ram_bytes: found '128KiB'"},
        Fault{", ram_bytes: 131072", "", "memory.ram_bytes: found nothing"},
        Fault{"80000000", "[80000000]", "clock_hz: found a list"},
        Fault{"armv7e-m", "z80", "one of c99, rv32imc"},
        Fault{"name: cortex-m4", "name: Cortex M4", "name: found 'Cortex M4'"},
        Fault{"name: cortex-m4", "name: cortex-m4\nname: again", "'name' twice"},
        Fault{"[2, 8, 4]", "[2, 9]", "weight_bits[1]: found '9'"},
        Fault{"[2, 8, 4]", "[4, 4]", "weight_bits[1]: found 4 again"},
        Fault{"[2, 8, 4]", "[]", "weight_bits"},
        Fault{"cflags: [-mcpu=cortex-m4, -O2]", "cflags: -O2", "toolchain.cflags: found '-O2'"},
        Fault{"cc: arm-none-eabi-gcc, ", "", "toolchain.cc: found nothing"},
        Fault{"{model: profiled}", "{model: guess}", "latency.model: found 'guess'"},
        Fault{"\"{elf}\"", "program", "board.run"},
        Fault{"counts: instructions", "counts: flops", "board.counts: found 'flops'"},
        Fault{"timeout_s: 30", "timeout_s: 0", "board.timeout_s: found '0'"},
        Fault{"counts: instructions", "serial: {port: /dev/ttyS0}", "either run alone"},
        Fault{"memory: {", "memory: [", "target file: line 4: illegal flow end"},
        Fault{"flash_bytes: 1048576", "flash_bytes: -1", "memory.flash_bytes: found '-1'"},
        Fault{"flash_bytes: 1048576", "flash_bytes: 9223372036854775808",
              "memory.flash_bytes: found '9223372036854775808'"},
        Fault{"flash_bytes: 1048576", "flash_bytes: 99999999999999999999999999",
              "memory.flash_bytes: found"},
        Fault{"flash_bytes: 1048576", "flash_bytes: .nan", "memory.flash_bytes: found '.nan'"},
        Fault{"flash_bytes: 1048576", "flash_bytes: 1e6", "memory.flash_bytes: found '1e6'"},
        Fault{"flash_bytes: 1048576", "flash_bytes: 12 parsecs", "found '12 parsecs'"},
        Fault{"flash_bytes: 1048576", "flash_bytes: 0x100000", "found '0x100000'"},
        Fault{"clock_hz: 80000000", "clock_hz: 0", "clock_hz: found '0'"},
        Fault{"clock_hz: 80000000", "clock_hz: 80 MHz", "clock_hz: found '80 MHz'"},
        Fault{"[2, 8, 4]", "[0]", "weight_bits[0]: found '0', needed an integer from 1 to 8"},
        Fault{"[2, 8, 4]", "[two]", "weight_bits[0]: found 'two'"},
        Fault{"[2, 8, 4]", "{a: 2}", "weight_bits: found a map"},
        Fault{"name: cortex-m4", "name: \"cortex\\e[2J\"", "name: found"},
        Fault{"name: cortex-m4", "name: [a, b]", "name: found a list"},
        Fault{"name: cortex-m4", "name: &n cortex-m4", "an anchor"},
        Fault{"\"{elf}\"", "\"{elf}\", \"{port}\"", "board.run[8]: found placeholder '{port}'"},
        Fault{"\"{elf}\"", "\"{elv}\"", "board.run"},
        Fault{"run: [qemu", "run: qemu\n  x: [qemu", "unknown key 'x'"},
        Fault{"timeout_s: 30", "timeout_s: 30s", "board.timeout_s: found '30s'"},
        Fault{"timeout_s: 30", "timeout_s: 86400", "board.timeout_s: found '86400'"}));

TEST(TargetFileTest, AMessageOfARefusedFileHasNoControlCharacters) {
  const std::string text = With(kCortexM4, "clock_hz", "\"clock\\e[2J\"");

  const absl::Status status = ParseTargetFile(text, "/lab").status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown key 'clock"));
}

TEST(TargetFileTest, BracesOfTheCommandsOwnLanguageStay) {
  const std::string text = With(kCortexM4, "\"{elf}\"", "\"if {1} { load {elf} }\"");

  EXPECT_THAT(std::string(ParseTargetFile(text, "/lab").status().message()),
              HasSubstr("placeholder '{1}'"));
  EXPECT_TRUE(ParseTargetFile(With(text, "{1}", "{ 1 }"), "/lab").ok());
}

TEST(TargetFileTest, WhatIsNoFileIsNamed) {
  const absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok()) << folder.status();

  const absl::Status directory = LoadTargetFile(folder->path()).status();
  EXPECT_FALSE(directory.ok());
  EXPECT_THAT(std::string(directory.message()), HasSubstr(folder->path().string()));

  std::ofstream(folder->path() / "huge.yaml") << std::string(2 << 20, '#');
  const absl::Status huge = LoadTargetFile(folder->path() / "huge.yaml").status();
  EXPECT_EQ(huge.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(huge.message()), HasSubstr("larger than 1048576 bytes"));

  std::ofstream(folder->path() / "empty.yaml").flush();
  EXPECT_EQ(LoadTargetFile(folder->path() / "empty.yaml").status().code(),
            absl::StatusCode::kInvalidArgument);

  std::ofstream(folder->path() / "binary.yaml") << std::string(
      "\x7f"
      "ELF\x01\x02\0\0: {",
      11);
  EXPECT_EQ(LoadTargetFile(folder->path() / "binary.yaml").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mico
