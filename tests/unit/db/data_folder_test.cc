#include "db/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "fmt/format.h"

namespace mico {
namespace {

using testing::HasSubstr;

class DataFolderTest : public testing::Test {
 protected:
  std::filesystem::path Path() const { return folder_.path() / "data"; }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
};

TEST_F(DataFolderTest, ItHasOneOwnerAtATime) {
  std::unique_ptr<DataFolder> first = DataFolder::Open(Path()).value();
  const absl::Status second = DataFolder::Open(Path()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second));
  EXPECT_THAT(second.message(), HasSubstr(Path().string()));
  EXPECT_THAT(second.message(), HasSubstr(fmt::format("process id {}", getpid())));
  EXPECT_THAT(second.message(), HasSubstr("--data-dir"));
  first.reset();
  EXPECT_TRUE(DataFolder::Open(Path()).ok());
}

TEST_F(DataFolderTest, TheLockOfADeadServerHoldsNobodyUp) {
  std::filesystem::create_directory(Path());
  ASSERT_TRUE(WriteFileDurably(Path() / "lock", "99999999 and more text than we write\n").ok());
  const std::unique_ptr<DataFolder> folder = DataFolder::Open(Path()).value();
  EXPECT_EQ(ReadFile(Path() / "lock").value(), fmt::format("{}\n", getpid()));
}

TEST_F(DataFolderTest, AFileInItsPlaceIsRefused) {
  ASSERT_TRUE(WriteFileDurably(Path(), "a file").ok());
  for (const auto& path : {Path(), Path() / "below"}) {
    const absl::Status status = DataFolder::Open(path).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(), HasSubstr("needed: a folder"));
  }
}

}  // namespace
}  // namespace mico
