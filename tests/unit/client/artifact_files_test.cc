#include "client/artifact_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "base/file.h"
#include "tests/support/tar_builder.h"

namespace mico {
namespace {

using ::testing::HasSubstr;

class UnpackTarTest : public ::testing::Test {
 protected:
  std::filesystem::path Folder() const { return parent_.path() / "out"; }
  absl::Status Unpack(const std::string& tar, const UnpackLimits& limits = {}) {
    return UnpackTar(tar, Folder(), limits).status();
  }
  // A refused archive leaves nothing behind.
  std::string Refusal(const std::string& tar, absl::StatusCode code = absl::StatusCode::kDataLoss,
                      const UnpackLimits& limits = {}) {
    const absl::Status status = Unpack(tar, limits);
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(std::filesystem::is_empty(parent_.path()));
    return std::string(status.message());
  }

  TemporaryFolder parent_ = *TemporaryFolder::Create();
};

TEST_F(UnpackTarTest, WritesEveryFileUnderItsName) {
  const std::string tar = TarBuilder()
                              .Add("README.md", "hello")
                              .Add("selftest/deep/main.c", std::string(2000, 'x'))
                              .Add("empty.h", "")
                              .Build();

  const absl::StatusOr<int> files = UnpackTar(tar, Folder());

  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(*files, 3);
  EXPECT_EQ(*ReadFile(Folder() / "README.md"), "hello");
  EXPECT_EQ(*ReadFile(Folder() / "selftest/deep/main.c"), std::string(2000, 'x'));
  EXPECT_EQ(*ReadFile(Folder() / "empty.h"), "");
}

// The disk is full: a file cannot grow beyond 1,000 bytes.
TEST_F(UnpackTarTest, AFolderThatCannotTakeAllOfItIsLeftAsItWas) {
  const std::string tar = TarBuilder()
                              .Add("a.h", "small")
                              .Add("deep/b.c", std::string(50'000, 'x'))
                              .Add("deep/c.c", "small")
                              .Build();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status absent = Unpack(tar);
  std::filesystem::create_directory(parent_.path() / "there");
  const absl::Status there = UnpackTar(tar, parent_.path() / "there").status();
  setrlimit(RLIMIT_FSIZE, &before);

  EXPECT_EQ(absent.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(absent.message()), HasSubstr("deep/b.c"));
  EXPECT_FALSE(std::filesystem::exists(Folder()));
  EXPECT_EQ(there.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::is_empty(parent_.path() / "there"));
}

TEST_F(UnpackTarTest, AnEmptyFolderIsFilled) {
  std::filesystem::create_directory(Folder());

  EXPECT_TRUE(Unpack(TarBuilder().Add("a", "b").Build()).ok());
}

TEST_F(UnpackTarTest, AFolderWithSomethingInItStaysAsItIs) {
  std::filesystem::create_directory(Folder());
  std::ofstream(Folder() / "mine.txt") << "precious";

  const absl::Status status = Unpack(TarBuilder().Add("mine.txt", "other").Build());

  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(Folder() / "mine.txt"), "precious");
}

TEST_F(UnpackTarTest, AFileInPlaceOfTheFolderIsSaidSo) {
  std::ofstream(Folder()) << "";

  EXPECT_THAT(std::string(CheckNewOrEmpty(Folder()).message()), HasSubstr("not a folder"));
}

TEST_F(UnpackTarTest, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"../evil", "a/../../evil", "/etc/evil", "..", ".", "a/..", "a//b", "./a",
                           "a/./b", "evil\x1b[2J", "two\nlines"}) {
    const std::string tar = TarBuilder().Add("good.c", "x").Add(name, "y").Build();
    EXPECT_THAT(Refusal(tar), HasSubstr("is not a plain relative name")) << name;
  }
}

TEST_F(UnpackTarTest, OnlyRegularFilesAreTaken) {
  EXPECT_THAT(Refusal(TarBuilder().AddSpecial("link", '2', "/etc/passwd").Build()),
              HasSubstr("'link' is not a regular file"));
  EXPECT_THAT(Refusal(TarBuilder().Add("a", "x").AddSpecial("hard", '1', "a").Build()),
              HasSubstr("'hard' is not a regular file"));
  EXPECT_THAT(Refusal(TarBuilder().AddSpecial("null", '3').Build()),
              HasSubstr("'null' is not a regular file"));
  EXPECT_THAT(Refusal(TarBuilder().AddSpecial("pipe", '6').Build()),
              HasSubstr("'pipe' is not a regular file"));
}

TEST_F(UnpackTarTest, ANameMayComeOnce) {
  EXPECT_THAT(Refusal(TarBuilder().Add("a", "x").Add("a", "y").Build()),
              HasSubstr("'a' comes twice"));
  EXPECT_THAT(Refusal(TarBuilder().Add("a", "x").Add("a/b/c", "y").Build()),
              HasSubstr("'a' is a file and the folder of 'a/b/c'"));
  EXPECT_THAT(Refusal(TarBuilder().Add("a/b/c", "x").Add("a/b", "y").Build()),
              HasSubstr("'a/b' comes twice"));
}

TEST_F(UnpackTarTest, TooManyBytesAreRefusedBeforeTheyAreRead) {
  // The header promises 7 GiB; nothing follows.
  const std::string lie = TarBuilder().AddHeader("bomb", '0', size_t{7} << 30, "").Build();
  EXPECT_THAT(Refusal(lie, absl::StatusCode::kResourceExhausted), HasSubstr("at 'bomb'"));

  const std::string tar = TarBuilder().Add("a", "12345").Add("b", "12345").Build();
  EXPECT_THAT(Refusal(tar, absl::StatusCode::kResourceExhausted, {.most_bytes = 9}),
              HasSubstr("more than 9 bytes at 'b'"));
  EXPECT_TRUE(Unpack(tar, {.most_bytes = 10}).ok());
}

TEST_F(UnpackTarTest, TooManyFilesAreRefused) {
  const std::string tar = TarBuilder().Add("a", "").Add("b", "").Add("c", "").Build();

  EXPECT_THAT(Refusal(tar, absl::StatusCode::kResourceExhausted, {.most_files = 2}),
              HasSubstr("more than 2 files"));
  EXPECT_TRUE(Unpack(tar, {.most_files = 3}).ok());
}

TEST_F(UnpackTarTest, AnArchiveThatIsCutIsRefused) {
  const std::string tar = TarBuilder().Add("a", std::string(3000, 'x')).Build();

  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{511}, size_t{512},
                             size_t{513}, size_t{2000}, size_t{3511}}) {
    Refusal(tar.substr(0, bytes));
  }
}

TEST_F(UnpackTarTest, WhatIsNoTarIsRefused) {
  Refusal("PK\x03\x04 this is no tar");
  Refusal(std::string(4096, '\xff'));
  EXPECT_THAT(Refusal(TarBuilder().Build()), HasSubstr("artifact: "));
}

}  // namespace
}  // namespace mico
