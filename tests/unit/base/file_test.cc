#include "base/file.h"

#include <gtest/gtest.h>

namespace mico {
namespace {

TEST(FileTest, DurableWriteReplacesTheWholeFile) {
  const TemporaryFolder folder = TemporaryFolder::Create().value();
  const auto path = folder.path() / "state";
  ASSERT_TRUE(WriteFileDurably(path, "old and long").ok());
  ASSERT_TRUE(WriteFileDurably(path, "new").ok());
  EXPECT_EQ(ReadFile(path).value(), "new");
}

TEST(FileTest, AWriteThatFailsLeavesNothingBehind) {
  const TemporaryFolder folder = TemporaryFolder::Create().value();
  std::filesystem::create_directory(folder.path() / "taken");
  std::filesystem::create_directory(folder.path() / "taken" / "inside");
  EXPECT_FALSE(WriteFileDurably(folder.path() / "taken", "x").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(FileTest, AFileLargerThanAllowedIsRefused) {
  const TemporaryFolder folder = TemporaryFolder::Create().value();
  ASSERT_TRUE(WriteFileDurably(folder.path() / "f", "12345").ok());
  EXPECT_EQ(ReadFile(folder.path() / "f", 4).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FileTest, ATemporaryFolderDisappearsWithItsObject) {
  std::filesystem::path path;
  {
    const TemporaryFolder folder = TemporaryFolder::Create().value();
    path = folder.path();
    ASSERT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace mico
