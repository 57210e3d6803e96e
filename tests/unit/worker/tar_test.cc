#include "worker/tar.h"

#include <fstream>
#include <vector>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/process.h"

namespace mico {
namespace {

const std::vector<GeneratedFile> kFiles = {
    {"mico_model.c", "int x;\n"}, {"kernels/a.c", "int y;\n"}, {"README.md", ""}};

TEST(TarTest, TheOrderOfTheFilesDoesNotMatter) {
  std::vector<GeneratedFile> reversed(kFiles.rbegin(), kFiles.rend());

  EXPECT_EQ(*WriteTar(kFiles), *WriteTar(reversed));
}

TEST(TarTest, TheTarOfTheSystemUnpacksIt) {
  const absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok());
  std::ofstream(folder->path() / "a.tar", std::ios::binary) << *WriteTar(kFiles);
  ProcessOptions options;
  options.working_folder = folder->path();

  const absl::StatusOr<ProcessResult> result = RunProcess({"tar", "-xf", "a.tar"}, options);

  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->succeeded()) << result->errors;
  EXPECT_EQ(*ReadFile(folder->path() / "mico_model.c"), "int x;\n");
  EXPECT_EQ(*ReadFile(folder->path() / "kernels/a.c"), "int y;\n");
  EXPECT_EQ(*ReadFile(folder->path() / "README.md"), "");
}

TEST(TarTest, AnEntryHasNoTimeAndNoOwner) {
  const std::string bytes = *WriteTar(std::vector<GeneratedFile>{{"a", "1"}});

  ASSERT_GE(bytes.size(), 512);
  EXPECT_EQ(bytes.substr(108, 8), std::string("000000 \0", 8));       // user
  EXPECT_EQ(bytes.substr(136, 12), std::string("00000000000 ", 12));  // time
  EXPECT_EQ(bytes.substr(257, 5), "ustar");
}

TEST(TarTest, TwoFilesOfOnePathAreRefused) {
  EXPECT_EQ(WriteTar(std::vector<GeneratedFile>{{"a", "1"}, {"a", "2"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mico
