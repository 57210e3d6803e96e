#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "fmt/format.h"
#include "tests/support/image_files.h"
#include "tests/support/tar_builder.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two classes of one grey 2x1 image in each split; its value tells which.
TarBuilder SmallFolder() {
  TarBuilder tar;
  uint8_t value = 0;
  for (const std::string split : {"test", "train", "val"}) {
    for (const std::string name : {"cat", "dog"}) {
      tar.Add(fmt::format("{}/{}/1.png", split, name), PlainPng(2, 1, 1, value++));
    }
  }
  return tar;
}

absl::Status StatusFor(const TarBuilder& tar, const DatasetLimits& limits = {}) {
  return ParseDataset(tar.Build(), limits).status();
}
std::string MessageFor(const TarBuilder& tar) { return std::string(StatusFor(tar).message()); }

TEST(ImageDatasetTest, ReadsThreeSplits) {
  const std::string bytes = SmallFolder().Build();
  const auto dataset = ParseDataset(bytes);

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->source, DatasetSource::kImages);
  EXPECT_EQ(dataset->sample_shape, (Shape{1, 1, 2}));
  EXPECT_TRUE(dataset->is_uint8);
  EXPECT_EQ(dataset->num_classes, 2);
  EXPECT_THAT(dataset->class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT(dataset->test.bytes, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(dataset->train.bytes, ElementsAre(2, 2, 3, 3));
  EXPECT_THAT(dataset->val.labels, ElementsAre(0, 1));
  EXPECT_EQ(dataset->digest, Digest::Of(bytes));
  EXPECT_EQ(Describe(*dataset), "images of 1x1x2 uint8, 2 classes; 2 train, 2 val, 2 test");
}

TEST(ImageDatasetTest, ColoursAreStoredAsPlanes) {
  PngFile file{.width = 2, .height = 1, .color_type = 2};
  file.rows = {1, 2, 3, 4, 5, 6};
  TarBuilder tar;
  for (const std::string name : {"a", "b"}) {
    for (int i = 0; i < 3; ++i) tar.Add(fmt::format("{}/{}.png", name, i), file.Bytes());
  }

  const auto dataset = ParseDataset(tar.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->sample_shape, (Shape{3, 1, 2}));
  EXPECT_THAT(dataset->train.bytes, ElementsAre(1, 4, 2, 5, 3, 6, 1, 4, 2, 5, 3, 6));
  EXPECT_EQ(Describe(*dataset),
            "images of 3x1x2 uint8, 2 classes; 2 train, 2 val, 2 test (each class shuffled and "
            "split)");
}

TEST(ImageDatasetTest, JpegAndPngMayStandSideBySide) {
  JpegFile jpeg{.width = 2, .height = 1};
  jpeg.pixels = {200, 200};
  TarBuilder tar = SmallFolder();
  tar.Add("train/dog/2.jpg", jpeg.Bytes());

  const auto dataset = ParseDataset(tar.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->train.count, 3);
  EXPECT_EQ(dataset->train.bytes[4], 200);
}

TEST(ImageDatasetTest, PreparesAsTheFolderSays) {
  TarBuilder tar = SmallFolder();
  tar.Add("preparation.json", R"({"scale": 0.5, "mean": [1], "std": 4})");

  const auto dataset = ParseDataset(tar.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->preparation, (InputPreparation{.scale = 0.5, .mean = {1.0}, .std = {4.0}}));
}

TEST(ImageDatasetTest, RefusesAPreparationThatIsNone) {
  const auto message = [](std::string_view json) {
    TarBuilder tar = SmallFolder();
    tar.Add("preparation.json", json);
    return MessageFor(tar);
  };
  EXPECT_THAT(message("{"), HasSubstr("preparation.json: needed a JSON object"));
  EXPECT_THAT(message("[1]"), HasSubstr("needed a JSON object"));
  EXPECT_THAT(message(""), HasSubstr("'preparation.json' has 0 bytes; needed 1 to 65536"));
  EXPECT_THAT(message(std::string(70'000, ' ')), HasSubstr("needed 1 to 65536"));
  EXPECT_THAT(message(std::string(60'000, '[')), HasSubstr("needed a JSON object"));
  EXPECT_THAT(message(R"({"Scale": 1})"),
              HasSubstr("unknown key 'Scale'; known: scale, mean, std"));
  EXPECT_THAT(message(R"({"scale": 1, "scale": 2})"), HasSubstr("'scale' comes twice"));
  EXPECT_THAT(message(R"({"scale": "1/255"})"), HasSubstr("'scale' is string; needed a number"));
  EXPECT_THAT(message(R"({"scale": [1, 2]})"), HasSubstr("'scale' is a list of 2"));
  EXPECT_THAT(message(R"({"mean": [1, 2, 3]})"), HasSubstr("'mean' is a list of 3"));
  EXPECT_THAT(message(R"({"std": 0})"), HasSubstr("'std' has 0; needed a positive number"));
  EXPECT_THAT(message(R"({"scale": -1})"), HasSubstr("'scale' has -1; needed a positive number"));
  EXPECT_THAT(message(R"({"mean": 1e999})"), HasSubstr("needed a JSON object"));
  EXPECT_THAT(message(R"({"std": 1e-300})"), HasSubstr("needed finite numbers"));
}

TEST(ImageDatasetTest, EveryImageHasTheSizeOfTheFirst) {
  TarBuilder other_size = SmallFolder(), colour = SmallFolder();
  other_size.Add("val/dog/2.png", PlainPng(1, 2, 1, 0));
  colour.Add("val/dog/2.png", PlainPng(2, 1, 3, 0));

  EXPECT_EQ(MessageFor(other_size),
            "'val/dog/2.png': 1x2 grey; needed 2x1 grey, which 'test/cat/1.png' is");
  EXPECT_EQ(MessageFor(colour),
            "'val/dog/2.png': 2x1 RGB; needed 2x1 grey, which 'test/cat/1.png' is");
}

TEST(ImageDatasetTest, ABrokenImageIsNamed) {
  TarBuilder text = SmallFolder(), cut = SmallFolder(), empty = SmallFolder();
  text.Add("val/dog/readme.png", "hello");
  cut.Add("val/dog/2.png", PlainPng(2, 1, 1, 0).substr(0, 50));
  empty.Add("val/dog/2.png", "");

  EXPECT_THAT(MessageFor(text), HasSubstr("'val/dog/readme.png': neither PNG nor JPEG"));
  EXPECT_THAT(MessageFor(cut), HasSubstr("'val/dog/2.png': a broken PNG: the file ends early"));
  EXPECT_THAT(MessageFor(empty), HasSubstr("'val/dog/2.png': an empty file"));
}

TEST(ImageDatasetTest, OnlyRegularFilesAndFoldersAreRead) {
  for (const char type : {'1', '2', '3', '4', '6'}) {
    TarBuilder tar = SmallFolder();
    tar.AddSpecial("val/dog/2.png", type, "val/dog/1.png");
    EXPECT_THAT(MessageFor(tar), HasSubstr("'val/dog/2.png': needed a regular file or a folder"))
        << type;
  }
}

TEST(ImageDatasetTest, RefusesMoreThanTheLimits) {
  DatasetLimits few_bytes, few_files, small_files, no_expansion;
  few_bytes.most_bytes_unpacked = 11;
  few_files.most_image_files = 5;
  small_files.most_image_file_bytes = 50;
  no_expansion.free_bytes = 0;
  no_expansion.most_expansion = 0;

  for (const DatasetLimits& limits : {few_bytes, few_files, small_files, no_expansion}) {
    const absl::Status status = StatusFor(SmallFolder(), limits);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  few_bytes.most_bytes_unpacked = 12;
  EXPECT_TRUE(StatusFor(SmallFolder(), few_bytes).ok());
}

// 2,000 white images of 4096 x 4096: 33 GB behind a few hundred bytes each.
TEST(ImageDatasetTest, ManyImagesThatUnpackToTooMuchAreRefusedBeforeTheFirstIsDecoded) {
  const std::string image = PlainPng(4096, 4096, 1, 255);
  TarBuilder tar;
  for (int i = 0; i < 2000; ++i) tar.Add(fmt::format("{}/{}.png", i % 2, i), image);

  const absl::Status status = StatusFor(tar);

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("4096x4096 grey, and so 2000 images unpack"));
}

TEST(ImageDatasetTest, NoTruncationOfAnArchiveIsAccepted) {
  const std::string whole = SmallFolder().Build();
  ASSERT_TRUE(ParseDataset(whole).ok());

  // The archive ends with 1,024 zeros; the last image before them.
  for (size_t size = 0; size + 1024 < whole.size(); size += 61) {
    EXPECT_FALSE(ParseDataset(whole.substr(0, size)).ok()) << size << " of " << whole.size();
  }
}

TEST(ImageDatasetTest, WhatIsNoDataSetIsCalledByItsName) {
  const auto message = [](std::string_view bytes) {
    return std::string(ParseDataset(bytes).status().message());
  };
  EXPECT_THAT(message(""), HasSubstr("an empty file; needed an .npz"));
  EXPECT_THAT(message("\x93NUMPY..."), HasSubstr("a single .npy array"));
  EXPECT_THAT(message(PlainPng(1, 1, 1, 0)), HasSubstr("a single PNG image"));
  EXPECT_THAT(message("\x1f\x8b\x08"), HasSubstr("a gzip file"));
  EXPECT_THAT(message("x,y\n1,2\n"), HasSubstr("of no known kind"));
}

}  // namespace
}  // namespace mico
