#include "data/image_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fmt/format.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A path that ends in '/' is a folder.
std::vector<FolderEntry> Entries(std::vector<std::string> paths) {
  std::vector<FolderEntry> entries;
  for (std::string& path : paths) {
    const bool is_folder = path.ends_with('/');
    if (is_folder) path.pop_back();
    entries.push_back({path, is_folder});
  }
  return entries;
}

std::vector<FolderEntry> ClassFolders(int images) {
  std::vector<FolderEntry> entries;
  for (const std::string name : {"cat", "dog"}) {
    for (int i = 0; i < images; ++i) entries.push_back({fmt::format("{}/{:03}.png", name, i)});
  }
  return entries;
}

std::vector<std::string> Named(const std::vector<FolderEntry>& entries,
                               const std::vector<LabelledFile>& files) {
  std::vector<std::string> names;
  for (const LabelledFile& file : files) {
    names.push_back(fmt::format("{}={}", entries[file.entry].path, file.label));
  }
  return names;
}

std::string MessageFor(std::vector<std::string> paths) {
  return std::string(PlanImages(Entries(std::move(paths)), {}).status().message());
}

TEST(ImageLayoutTest, FoldersOfSplitsHoldFoldersOfClasses) {
  const auto entries =
      Entries({"train/", "train/dog/", "train/dog/2.png", "train/dog/1.png", "train/cat/1.png",
               "test/cat/9.jpg", "val/dog/5.jpeg", "preparation.json"});

  const auto layout = PlanImages(entries, {});

  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_THAT(layout->classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(Named(entries, layout->train),
              ElementsAre("train/cat/1.png=0", "train/dog/1.png=1", "train/dog/2.png=1"));
  EXPECT_THAT(Named(entries, layout->val), ElementsAre("val/dog/5.jpeg=1"));
  EXPECT_THAT(Named(entries, layout->test), ElementsAre("test/cat/9.jpg=0"));
  EXPECT_FALSE(layout->val_taken_from_train);
}

TEST(ImageLayoutTest, AClassWithoutImagesKeepsItsNumber) {
  const auto layout =
      PlanImages(Entries({"train/a/", "train/b/1.png", "train/c/1.png", "test/b/1.png"}), {});

  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_THAT(layout->classes, ElementsAre("a", "b", "c"));
  EXPECT_EQ(layout->test.at(0).label, 1);
}

TEST(ImageLayoutTest, WithoutValATenthOfTrainIsSetAside) {
  std::vector<FolderEntry> entries;
  for (FolderEntry& entry : ClassFolders(15)) entries.push_back({"train/" + entry.path});
  entries.push_back({"test/cat/1.png"});

  const auto layout = PlanImages(entries, {});

  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_TRUE(layout->val_taken_from_train);
  EXPECT_FALSE(layout->test_taken_from_train);
  EXPECT_THAT(layout->train, SizeIs(27));
  EXPECT_THAT(layout->val, SizeIs(3));
}

TEST(ImageLayoutTest, BareClassFoldersAreSplitClassByClass) {
  const auto entries = ClassFolders(25);
  const auto layout = PlanImages(entries, {});

  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_TRUE(layout->test_taken_from_train);
  EXPECT_THAT(layout->train, SizeIs(42));
  EXPECT_THAT(layout->val, SizeIs(4));
  EXPECT_THAT(layout->test, SizeIs(4));
  std::set<size_t> seen;
  for (const auto* split : {&layout->train, &layout->val, &layout->test}) {
    for (const LabelledFile& file : *split) seen.insert(file.entry);
  }
  EXPECT_THAT(seen, SizeIs(50));
}

TEST(ImageLayoutTest, ASplitDependsNeitherOnOrderNorOnOtherClasses) {
  auto entries = ClassFolders(25);
  const auto names = [&] { return Named(entries, PlanImages(entries, {})->test); };
  const std::vector<std::string> before = names();
  std::reverse(entries.begin(), entries.end());
  EXPECT_EQ(names(), before);

  for (int i = 0; i < 3; ++i) entries.push_back({fmt::format("eel/{}.png", i)});
  std::vector<std::string> after = names();
  ASSERT_THAT(after, SizeIs(5));
  after.pop_back();  // the eel
  EXPECT_EQ(after, before);
}

TEST(ImageLayoutTest, RefusesWhatIsNoLayout) {
  EXPECT_THAT(MessageFor({}), HasSubstr("no class folder; needed train/CLASS/FILE"));
  EXPECT_THAT(MessageFor({"preparation.json"}), HasSubstr("no class folder"));
  EXPECT_THAT(MessageFor({"a/", "b/"}), HasSubstr("no image in any class folder"));
  EXPECT_THAT(MessageFor({"cat/1.png"}), HasSubstr("one class folder, 'cat'; needed at least two"));
  EXPECT_THAT(MessageFor({"1.png", "cat/1.png"}), HasSubstr("'1.png' lies in no class folder"));
  EXPECT_THAT(MessageFor({"train/1.png", "test/a/1.png"}),
              HasSubstr("'train/1.png' lies in no class folder"));
  EXPECT_THAT(MessageFor({"train/a/1.png", "validation/a/1.png"}),
              HasSubstr("'validation/a/1.png' lies outside of a folder train, val or test"));
  EXPECT_THAT(MessageFor({"train/a/b/1.png"}), HasSubstr("'train/a/b/1.png' lies too deep"));
  EXPECT_THAT(MessageFor({"a/b/1.png"}), HasSubstr("'a/b/1.png' lies too deep"));
  EXPECT_THAT(MessageFor({"train/a/1.png", "train/b/1.png"}),
              HasSubstr("no image in folder 'test'"));
  EXPECT_THAT(MessageFor({"test/a/1.png", "test/b/1.png"}),
              HasSubstr("no image in folder 'train'"));
  EXPECT_THAT(MessageFor({"train/a/1.png", "train/b/1.png", "test/a/1.png", "val/a/"}),
              HasSubstr("no image in folder 'val'"));
  EXPECT_THAT(MessageFor({"a/1.png", "a/2.png", "a/3.png", "b/1.png"}),
              HasSubstr("class 'b' has 1 image;"));
}

TEST(ImageLayoutTest, RefusesNamesThatAreNotPlain) {
  EXPECT_THAT(MessageFor({"a/../1.png"}), HasSubstr("needed a plain relative name"));
  EXPECT_THAT(MessageFor({"/a/1.png"}), HasSubstr("needed a plain relative name"));
  EXPECT_THAT(MessageFor({"a//1.png"}), HasSubstr("needed a plain relative name"));
  EXPECT_THAT(MessageFor({"a\x1b[2J/1.png"}), HasSubstr("entry 'a?[2J/1.png'"));
  EXPECT_THAT(MessageFor({"caf\xe9/1.png"}), HasSubstr("entry 'caf?/1.png'"));
  EXPECT_THAT(MessageFor({"a/1.png", "a/1.png"}), HasSubstr("two entries are named 'a/1.png'"));
}

TEST(ImageLayoutTest, RefusesMoreThanTheLimits) {
  DatasetLimits few_files, few_classes;
  few_files.most_image_files = 49;
  few_classes.most_classes = 1;

  EXPECT_EQ(PlanImages(ClassFolders(25), few_files).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(PlanImages(ClassFolders(25), few_classes).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace mico
