#include "worker/elf.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/process.h"

namespace mico {
namespace {

constexpr char kSource[] = R"(
static const unsigned char table[1000] = {1};
unsigned char initialised[200] = {1};
unsigned char zeroed[3000];
static int helper(int x) { return table[x & 7] + initialised[x & 3] + zeroed[x & 15]; }
__attribute__((noinline)) int visible(int x) { return helper(x) * 3; }
int unused(int x) { return x; }
void _start(void) { for (;;) zeroed[0] = (unsigned char)visible(zeroed[1]); }
)";

class ElfTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_.emplace(*std::move(folder));
  }

  void Compile(const std::vector<std::string>& flags) {
    std::ofstream(folder_->path() / "unit.c") << kSource;
    std::vector<std::string> command = {
        "riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-O1", "unit.c", "-o", "out"};
    command.insert(command.end(), flags.begin(), flags.end());
    ProcessOptions options;
    options.working_folder = folder_->path();
    const absl::StatusOr<ProcessResult> result = RunProcess(command, options);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(result->succeeded()) << result->errors;
  }

  ElfContent Read() {
    absl::StatusOr<ElfContent> content = ReadElf(folder_->path() / "out");
    EXPECT_TRUE(content.ok()) << content.status();
    return content.ok() ? *std::move(content) : ElfContent{};
  }

  std::optional<TemporaryFolder> folder_;
};

const ElfSymbol* Find(const ElfContent& content, std::string_view name) {
  const auto found = std::find_if(content.symbols.begin(), content.symbols.end(),
                                  [name](const ElfSymbol& symbol) { return symbol.name == name; });
  return found == content.symbols.end() ? nullptr : &*found;
}

TEST_F(ElfTest, RamIsWhatIsWritableAndFlashWhatHasBytes) {
  Compile({"-nostdlib", "-Wl,--build-id=none"});
  const ElfContent content = Read();

  EXPECT_GE(content.ram_bytes, 3200);
  EXPECT_LT(content.ram_bytes, 3200 + 64);  // alignment
  EXPECT_GE(content.flash_bytes, 1000 + 200);
  EXPECT_LT(content.flash_bytes, 1000 + 200 + 300);  // and little code
}

TEST_F(ElfTest, SymbolsKnowTheirSizeSectionAndWhetherOnlyTheirFileSeesThem) {
  Compile({"-nostdlib"});
  const ElfContent content = Read();

  const ElfSymbol* table = Find(content, "table");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->size_bytes, 1000);
  EXPECT_EQ(table->section, ".rodata");
  EXPECT_EQ(table->file, "unit.c");
  EXPECT_FALSE(table->is_function);

  const ElfSymbol* visible = Find(content, "visible");
  ASSERT_NE(visible, nullptr);
  EXPECT_TRUE(visible->is_function);
  EXPECT_GT(visible->size_bytes, 0);
  EXPECT_EQ(visible->file, "");
}

TEST_F(ElfTest, AnObjectFileIsReadToo) {
  Compile({"-c"});
  const ElfContent content = Read();

  EXPECT_EQ(content.constant_bytes, 1000);
  EXPECT_NE(Find(content, "unused"), nullptr);
}

TEST_F(ElfTest, AnythingElseIsRefusedByPath) {
  std::ofstream(folder_->path() / "text") << "no program";

  const absl::Status status = ReadElf(folder_->path() / "text").status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("text"));
}

TEST_F(ElfTest, ACutFileIsAnErrorNotACrash) {
  Compile({"-nostdlib"});
  const absl::StatusOr<std::string> whole = ReadFile(folder_->path() / "out");
  ASSERT_TRUE(whole.ok());
  for (size_t size = 0; size < whole->size(); size += 97) {
    std::ofstream(folder_->path() / "cut", std::ios::binary) << whole->substr(0, size);
    EXPECT_FALSE(ReadElf(folder_->path() / "cut").ok()) << size << " of " << whole->size();
  }
}

}  // namespace
}  // namespace mico
