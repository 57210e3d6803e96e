#include "client/folder_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"

namespace mico {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FolderArchiveTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& content = "image") {
    const fs::path whole = root() / path;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole, std::ios::binary) << content;
  }
  void WriteSmallFolder() {
    Write("train/dog/1.png", "one");
    Write("train/cat/2.JPG", "two");
    Write("test/cat/3.jpeg", std::string(1000, 'x'));
    Write("preparation.json", "{}");
    fs::create_directories(root() / "test" / "dog");
  }

  std::vector<std::string> Listed() {
    const auto entries = ListFolder(root());
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<std::string> paths;
    for (const PackedEntry& entry : *entries) paths.push_back(entry.path);
    return paths;
  }
  std::string Refusal(const FolderLimits& limits = {}) {
    const absl::Status status = ListFolder(root(), limits).status();
    return std::string(status.message());
  }
  std::string Packed() {
    std::string bytes;
    const absl::Status status = PackFolder(root(), ListFolder(root()).value(), [&](auto piece) {
      bytes += piece;
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return bytes;
  }

  const fs::path& root() const { return folder_.path(); }

  TemporaryFolder folder_ = TemporaryFolder::Create().value();
};

TEST_F(FolderArchiveTest, ListsFoldersAndImagesByTheBytesOfTheirPaths) {
  WriteSmallFolder();
  EXPECT_THAT(Listed(),
              ElementsAre("preparation.json", "test", "test/cat", "test/cat/3.jpeg", "test/dog",
                          "train", "train/cat", "train/cat/2.JPG", "train/dog", "train/dog/1.png"));
}

TEST_F(FolderArchiveTest, WhatBeginsWithADotIsLeftOut) {
  WriteSmallFolder();
  const std::string before = Packed();
  Write(".DS_Store");
  Write("train/.git/config");
  Write("train/cat/.hidden.png");
  EXPECT_EQ(Packed(), before);
}

// The digest that everybody gets for this folder: the format must not move with a library.
TEST_F(FolderArchiveTest, TheSameFolderGivesTheSameBytesAnywhere) {
  WriteSmallFolder();
  const std::string bytes = Packed();
  EXPECT_EQ(Digest::Of(bytes).hex(),
            "dbb7b2c52f2d204e01c928c3f44243394ad06a41786502af056db83088ddf837");

  // Other times and modes, other order of creation.
  fs::permissions(root() / "train/dog/1.png", fs::perms::owner_read);
  fs::last_write_time(root() / "train/cat/2.JPG", fs::file_time_type::clock::now());
  fs::remove_all(root() / "test");
  WriteSmallFolder();
  EXPECT_EQ(Packed(), bytes);

  Write("train/dog/1.png.png", "one");
  EXPECT_NE(Packed(), bytes);
}

TEST_F(FolderArchiveTest, PiecesAreSmallAndEndWhenNobodyWantsThem) {
  Write("a/1.png", std::string(1'000'000, 'x'));
  Write("b/1.png", std::string(1'000'000, 'x'));
  const auto entries = ListFolder(root());
  ASSERT_TRUE(entries.ok());
  int pieces = 0;
  size_t largest = 0;
  const absl::Status status = PackFolder(root(), *entries, [&](std::string_view piece) {
    largest = std::max(largest, piece.size());
    return ++pieces < 3;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(pieces, 3);
  EXPECT_LE(largest, 256u * 1024);
}

TEST_F(FolderArchiveTest, LinksAreRefusedSoThereAreNoLoops) {
  WriteSmallFolder();
  fs::create_directory_symlink(root(), root() / "train" / "loop");
  EXPECT_THAT(Refusal(), HasSubstr("train/loop: a symbolic link"));
  fs::remove(root() / "train" / "loop");

  fs::create_symlink(root() / "train/dog/1.png", root() / "train/dog/2.png");
  EXPECT_THAT(Refusal(), HasSubstr("train/dog/2.png: a symbolic link"));
}

TEST_F(FolderArchiveTest, PipesAndSocketsAreRefused) {
  WriteSmallFolder();
  ASSERT_EQ(mkfifo((root() / "train/dog/2.png").c_str(), 0600), 0);
  EXPECT_THAT(Refusal(), HasSubstr("train/dog/2.png: neither a file nor a folder"));
  fs::remove(root() / "train/dog/2.png");

  const int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string path = (root() / "s.png").string();
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(Refusal(), HasSubstr("s.png: neither a file nor a folder"));
  close(socket_fd);
}

TEST_F(FolderArchiveTest, OtherFilesAndPlacesAreRefused) {
  EXPECT_THAT(Refusal(), HasSubstr("an empty folder; needed class folders of images"));
  Write("train/cat/labels.csv");
  EXPECT_THAT(Refusal(), HasSubstr("train/cat/labels.csv: not an image by its name; needed .png"));
  fs::remove_all(root() / "train");
  Write("1.png");
  EXPECT_THAT(Refusal(), HasSubstr("1.png: in no class folder"));
  fs::remove(root() / "1.png");
  Write("a/b/c/1.png");
  EXPECT_THAT(Refusal(), HasSubstr("a/b/c: too deep"));
}

TEST_F(FolderArchiveTest, NamesAreShownWithoutTheirControlCharacters) {
  Write("cat\x1b[2J/1.png");
  EXPECT_THAT(Refusal(), HasSubstr("cat?[2J: a name with control characters"));
  fs::remove_all(root() / "cat\x1b[2J");
  Write("caf\xe9/1.png");
  EXPECT_THAT(Refusal(), HasSubstr("caf?: a name with control characters, or not in UTF-8"));
}

TEST_F(FolderArchiveTest, Utf8NamesAreKept) {
  Write("caf\xc3\xa9/1.png");
  EXPECT_THAT(Packed(), HasSubstr("caf\xc3\xa9/1.png"));
}

TEST_F(FolderArchiveTest, APathThatTheFormatCannotHoldIsRefused) {
  Write("a/" + std::string(200, 'n') + ".png");
  const absl::Status status =
      PackFolder(root(), ListFolder(root()).value(), [](auto) { return true; });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nnn.png: Pathname too long"));
}

TEST_F(FolderArchiveTest, MoreThanTheLimitsIsRefusedWhileListing) {
  WriteSmallFolder();
  for (const FolderLimits& limits :
       {FolderLimits{.most_entries = 9}, FolderLimits{.most_file_bytes = 999},
        FolderLimits{.most_bytes = 1005}}) {
    EXPECT_EQ(ListFolder(root(), limits).status().code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(
      ListFolder(root(), {.most_entries = 10, .most_file_bytes = 1000, .most_bytes = 1008}).ok());
}

TEST_F(FolderArchiveTest, AFileThatChangesOrGoesIsNamed) {
  WriteSmallFolder();
  const auto entries = ListFolder(root()).value();
  const auto refusal = [&] {
    return std::string(PackFolder(root(), entries, [](auto) { return true; }).message());
  };
  Write("train/dog/1.png", "longer");
  EXPECT_THAT(refusal(), HasSubstr("train/dog/1.png: changed while it was read"));
  Write("train/dog/1.png", "s");
  EXPECT_THAT(refusal(), HasSubstr("train/dog/1.png: changed while it was read"));
  fs::remove(root() / "train/dog/1.png");
  EXPECT_THAT(refusal(), HasSubstr("train/dog/1.png: No such file or directory"));
}

TEST_F(FolderArchiveTest, WhatMayNotBeReadIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  WriteSmallFolder();
  fs::permissions(root() / "train/dog/1.png", fs::perms::none);
  const absl::Status status =
      PackFolder(root(), ListFolder(root()).value(), [](auto) { return true; });
  EXPECT_THAT(std::string(status.message()), HasSubstr("1.png: Permission denied"));
  fs::permissions(root() / "train/dog", fs::perms::none);
  EXPECT_THAT(Refusal(), HasSubstr("train/dog: Permission denied"));
  fs::permissions(root() / "train/dog", fs::perms::owner_all);
}

}  // namespace
}  // namespace mico
