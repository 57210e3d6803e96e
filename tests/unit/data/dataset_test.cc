#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>

#include "base/file.h"
#include "tests/support/npz_builder.h"
#include "tests/support/paths.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three splits of 1x2x1 uint8 samples with labels 0 and 1.
NpzBuilder SmallFile() {
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<uint8_t>("x_" + split, "|u1", {2, 1, 2, 1}, {0, 10, 200, 255});
    builder.Add<int64_t>("y_" + split, "<i8", {2}, {0, 1});
  }
  return builder;
}

std::string MessageFor(const NpzBuilder& builder) {
  return std::string(ParseNpz(builder.Build()).status().message());
}

TEST(DatasetTest, ReadsThreeSplits) {
  const auto dataset = ParseNpz(SmallFile().Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->sample_shape, (Shape{1, 2, 1}));
  EXPECT_TRUE(dataset->is_uint8);
  EXPECT_EQ(dataset->num_classes, 2);
  EXPECT_FALSE(dataset->val_taken_from_train);
  EXPECT_THAT(dataset->split(Split::kVal).bytes, ElementsAre(0, 10, 200, 255));
  EXPECT_THAT(dataset->split(Split::kTest).labels, ElementsAre(0, 1));
}

// Three splits of one (1, 2, 3) sample each: an image of one channel or a signal of two.
NpzBuilder SignalFile(const std::vector<int64_t>& shape = {1, 2, 3}) {
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<uint8_t>("x_" + split, "|u1", shape, {1, 2, 3, 10, 20, 30});
    builder.Add<uint8_t>("y_" + split, "|u1", {1}, {0});
  }
  return builder;
}

TEST(DatasetTest, RowsWithNumbersOfTheirOwnAreChannelsOfSignals) {
  const auto images = ParseNpz(SignalFile().Build());
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->sample_shape, (Shape{1, 2, 3}));

  const auto signals = ParseNpz(SignalFile().Add<double>("std", "<f8", {2}, {1, 10}).Build());
  ASSERT_TRUE(signals.ok()) << signals.status();
  EXPECT_EQ(signals->sample_shape, (Shape{2, 1, 3}));
  EXPECT_THAT(signals->Prepared(Split::kTest, 0), ElementsAre(1, 2, 3, 1, 2, 3));

  // Where the array has a dimension for the channel, there is nothing to decide.
  EXPECT_THAT(MessageFor(SignalFile({1, 1, 2, 3}).Add<double>("std", "<f8", {2}, {1, 10})),
              HasSubstr("'std' has shape (2"));
  EXPECT_THAT(MessageFor(SignalFile().Add<double>("mean", "<f8", {3}, {1, 10, 1})),
              HasSubstr("'mean' has shape (3"));
}

TEST(DatasetTest, TheNetworksInputDecidesWhatSamplesAre) {
  Dataset dataset;
  const auto reads = [&](const Shape& stored, const Shape& input) {
    dataset.sample_shape = stored;
    return CheckReadableAs(dataset, input).ok();
  };
  EXPECT_TRUE(reads({1, 12, 100}, {12, 1, 100}));
  EXPECT_TRUE(reads({12, 1, 100}, {1, 12, 100}));
  EXPECT_TRUE(reads({8000, 1, 1}, {1, 1, 8000}));
  EXPECT_TRUE(reads({3, 32, 32}, {3, 32, 32}));
  EXPECT_TRUE(reads({1, 1, 1}, {1, 1, 1}));
  EXPECT_FALSE(reads({1, 100, 12}, {12, 1, 100}));
  EXPECT_FALSE(reads({32, 32, 3}, {3, 32, 32}));
  EXPECT_FALSE(reads({784, 1, 1}, {1, 28, 28}));
  EXPECT_FALSE(reads({1, 28, 28}, {784, 1, 1}));

  dataset.preparation.mean.assign(12, 0.5);
  EXPECT_TRUE(reads({12, 1, 100}, {12, 1, 100}));
  EXPECT_FALSE(reads({12, 1, 100}, {1, 12, 100}));
  EXPECT_THAT(CheckReadableAs(dataset, {1, 12, 100}).message(),
              HasSubstr("for each of 12 channels of its 12x1x100 samples; the network reads "
                        "1x12x100"));
}

TEST(DatasetTest, PreparesWithScaleMeanAndStdPerChannel) {
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<uint8_t>("x_" + split, "|u1", {1, 2, 1, 1}, {100, 200});
    builder.Add<uint8_t>("y_" + split, "|u1", {1}, {0});
  }
  builder.Add<double>("scale", "<f8", {}, {0.01});
  builder.Add<float>("mean", "<f4", {2}, {0.5f, 1.0f});
  builder.Add<int32_t>("std", "<i4", {1}, {2});

  const auto dataset = ParseNpz(builder.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->Prepared(Split::kTest, 0), ElementsAre(0.25f, 0.5f));
}

TEST(DatasetTest, PreparedValuesAreFloat32) {
  InputPreparation preparation;
  preparation.scale = 1.0 / 255.0;

  const double value = preparation.Apply(1.0, 0);

  EXPECT_EQ(value, static_cast<double>(static_cast<float>(1.0 / 255.0)));
}

TEST(DatasetTest, KnowsWhetherPreparedValuesCanBeNegative) {
  NpzBuilder builder = SmallFile();
  EXPECT_TRUE(ParseNpz(builder.Build())->PreparedNonNegative());

  builder.Add<double>("mean", "<f8", {}, {1.0});
  EXPECT_FALSE(ParseNpz(builder.Build())->PreparedNonNegative());
}

TEST(DatasetTest, ReadsFloatFeaturesAndImagesWithoutChannels) {
  NpzBuilder features, images;
  for (const std::string split : {"train", "val", "test"}) {
    features.Add<float>("x_" + split, "<f4", {1, 3}, {-1.5f, 0.0f, 2.0f});
    images.Add<float>("x_" + split, "<f4", {1, 1, 3}, {-1.5f, 0.0f, 2.0f});
    for (NpzBuilder* builder : {&features, &images}) {
      builder->Add<int8_t>("y_" + split, "|i1", {1, 1}, {4});
    }
  }

  const auto flat = ParseNpz(features.Build());
  const auto spatial = ParseNpz(images.Build());

  ASSERT_TRUE(flat.ok()) << flat.status();
  ASSERT_TRUE(spatial.ok()) << spatial.status();
  EXPECT_EQ(flat->sample_shape, (Shape{3, 1, 1}));
  EXPECT_EQ(spatial->sample_shape, (Shape{1, 1, 3}));
  EXPECT_EQ(flat->num_classes, 5);
  EXPECT_THAT(flat->Prepared(Split::kVal, 0), ElementsAre(-1.5f, 0.0f, 2.0f));
  EXPECT_FALSE(flat->PreparedNonNegative());
}

TEST(DatasetTest, WithoutValTheLastTenthOfAShuffleIsSetAside) {
  NpzBuilder builder = SmallFile();
  std::vector<uint8_t> samples, labels;
  for (int i = 0; i < 50; ++i) {
    samples.insert(samples.end(), {static_cast<uint8_t>(i), static_cast<uint8_t>(i)});
    labels.push_back(static_cast<uint8_t>(i));
  }
  builder.Remove("x_val").Remove("y_val");
  builder.Add<uint8_t>("x_train", "|u1", {50, 1, 2, 1}, samples);
  builder.Add<uint8_t>("y_train", "|u1", {50}, labels);

  const auto dataset = ParseNpz(builder.Build());
  const auto again = ParseNpz(builder.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->val_taken_from_train);
  EXPECT_EQ(dataset->train.count, 45);
  EXPECT_EQ(dataset->val.count, 5);
  EXPECT_EQ(dataset->val.labels, again->val.labels);
  std::set<int> seen(dataset->train.labels.begin(), dataset->train.labels.end());
  seen.insert(dataset->val.labels.begin(), dataset->val.labels.end());
  EXPECT_EQ(seen.size(), 50u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(dataset->val.bytes[2 * i], dataset->val.labels[i]);
}

TEST(DatasetTest, RefusesSplitsThatDoNotAgree) {
  EXPECT_THAT(MessageFor(SmallFile().Add<uint8_t>("x_val", "|u1", {2, 1, 1, 1}, {1, 2})),
              HasSubstr("samples of 1x1x1"));
  EXPECT_THAT(MessageFor(SmallFile().Add<float>("x_val", "<f4", {1, 1, 2, 1}, {1, 2})),
              HasSubstr("float32"));
  EXPECT_THAT(MessageFor(SmallFile().Add<int64_t>("y_val", "<i8", {3}, {0, 1, 0})),
              HasSubstr("3 labels"));
  EXPECT_THAT(MessageFor(SmallFile().Remove("y_val")), HasSubstr("'y_val' is missing"));
  EXPECT_THAT(MessageFor(SmallFile().Remove("x_test")), HasSubstr("'x_test' is missing"));
}

TEST(DatasetTest, RefusesLabelsOutOfRange) {
  EXPECT_THAT(MessageFor(SmallFile().Add<int64_t>("y_val", "<i8", {2}, {0, -1})),
              HasSubstr("label -1"));
  EXPECT_THAT(MessageFor(SmallFile().Add<int64_t>("y_val", "<i8", {2}, {0, 10'000})),
              HasSubstr("label 10000"));
  EXPECT_THAT(MessageFor(SmallFile().Add<uint64_t>("y_val", "<u8", {2}, {0, ~uint64_t{0}})),
              HasSubstr("label -1"));
  EXPECT_THAT(MessageFor(SmallFile().Add<float>("y_val", "<f4", {2}, {0, 1})),
              HasSubstr("needed integers"));
}

// Three splits of two samples 1x2x1, y as two numbers each.
NpzBuilder FileOfTargets() {
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<uint8_t>("x_" + split, "|u1", {2, 1, 2, 1}, {0, 10, 200, 255});
    builder.Add<float>("y_" + split, "<f4", {2, 2, 1}, {0.5f, -1.0f, 1.5f, 3.0f});
  }
  return builder;
}

TEST(DatasetTest, NumbersAsYAreTargets) {
  const auto dataset = ParseNpz(FileOfTargets().Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->target_elements, 2);
  EXPECT_EQ(dataset->num_classes, 0);
  EXPECT_TRUE(dataset->val.labels.empty());
  EXPECT_THAT(dataset->Target(Split::kVal, 1), ElementsAre(1.5f, 3.0f));
  // Of 0.5 and 1.5, and of -1 and 3.
  EXPECT_DOUBLE_EQ(dataset->TargetVariance(Split::kVal), (0.25 + 4.0) / 2.0);
  EXPECT_THAT(Describe(*dataset), HasSubstr("2 float32 targets"));
}

TEST(DatasetTest, WithoutTargetsTheyAreThePreparedInputs) {
  NpzBuilder builder = SmallFile();
  builder.Add<double>("scale", "<f8", {}, {0.1});
  builder.Add<double>("mean", "<f8", {}, {1.0});
  builder.Add<double>("std", "<f8", {}, {2.0});
  const auto dataset = ParseNpz(builder.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->Target(Split::kTest, 1), dataset->Prepared(Split::kTest, 1));
  // 0 and 200, 10 and 255, a twentieth of each.
  EXPECT_NEAR(dataset->TargetVariance(Split::kVal), (25.0 + 37.515625) / 2.0, 1e-9);
}

TEST(DatasetTest, TargetsSetAsideAreThoseOfTheirSamples) {
  NpzBuilder builder = FileOfTargets();
  std::vector<uint8_t> samples;
  std::vector<float> targets;
  for (int i = 0; i < 30; ++i) {
    samples.insert(samples.end(), 2, static_cast<uint8_t>(i));
    targets.insert(targets.end(), 2, static_cast<float>(i));
  }
  builder.Remove("x_val").Remove("y_val");
  builder.Add<uint8_t>("x_train", "|u1", {30, 1, 2, 1}, samples);
  builder.Add<float>("y_train", "<f4", {30, 2}, targets);
  const auto dataset = ParseNpz(builder.Build());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_EQ(dataset->val.count, 3);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(dataset->Target(Split::kVal, i), dataset->Prepared(Split::kVal, i));
  }
}

TEST(DatasetTest, RefusesTargetsThatDoNotAgree) {
  EXPECT_THAT(MessageFor(FileOfTargets().Add<float>("y_test", "<f4", {2, 3}, {1, 2, 3, 4, 5, 6})),
              HasSubstr("'y_test' has 3 numbers a sample; 'y_train' has 2"));
  EXPECT_THAT(MessageFor(FileOfTargets().Add<float>("y_test", "<f4", {1, 2}, {1, 2})),
              HasSubstr("'y_test' has 1 targets; 'x_test' has 2 samples"));
  EXPECT_THAT(MessageFor(FileOfTargets().Add<int64_t>("y_test", "<i8", {2}, {0, 1})),
              HasSubstr("'y_test' is int64; 'y_train' is float32"));
  EXPECT_THAT(MessageFor(FileOfTargets().Add<double>("y_test", "<f8", {2}, {0, 1})),
              HasSubstr("'y_test' is float64; needed integers (classes) or float32 (targets)"));
  EXPECT_THAT(MessageFor(FileOfTargets().Add<float>("y_test", "<f4", {}, {1})),
              HasSubstr("needed (N, outputs)"));
  EXPECT_THAT(MessageFor(FileOfTargets().Add<float>("y_test", "<f4", {2, 0}, {})),
              HasSubstr("needed (N, outputs)"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(MessageFor(FileOfTargets().Add<float>("y_test", "<f4", {2, 2}, {1, 2, nan, 4})),
              HasSubstr("'y_test' has nan at position 2"));
}

TEST(DatasetTest, RefusesNumbersThatAreNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<float>("x_" + split, "<f4", {1, 2}, {0.0f, nan});
    builder.Add<int64_t>("y_" + split, "<i8", {1}, {0});
  }

  EXPECT_THAT(MessageFor(builder), HasSubstr("nan"));
  EXPECT_THAT(MessageFor(SmallFile().Add<double>("std", "<f8", {}, {0.0})), HasSubstr("positive"));
  EXPECT_THAT(MessageFor(SmallFile().Add<double>("std", "<f8", {}, {1e-300})),
              HasSubstr("finite numbers"));
  EXPECT_THAT(MessageFor(SmallFile().Add<double>("mean", "<f8", {2}, {0.0, 1.0})),
              HasSubstr("needed a scalar"));
}

TEST(DatasetTest, RefusesMoreThanTheLimits) {
  DatasetLimits few_bytes, few_samples;
  few_bytes.most_bytes_unpacked = 1000;
  few_samples.most_samples = 1;
  NpzBuilder builder = SmallFile();
  builder.Add<uint8_t>("x_train", "|u1", {1, 1, 2000, 1}, std::vector<uint8_t>(2000));

  const absl::Status bytes_status = ParseNpz(builder.Build(), few_bytes).status();
  const absl::Status samples_status = ParseNpz(SmallFile().Build(), few_samples).status();

  EXPECT_EQ(bytes_status.code(), absl::StatusCode::kResourceExhausted) << bytes_status;
  EXPECT_THAT(std::string(bytes_status.message()), HasSubstr("x_train.npy"));
  EXPECT_EQ(samples_status.code(), absl::StatusCode::kResourceExhausted) << samples_status;
}

TEST(DatasetTest, RefusesWhatIsNotAnNpz) {
  EXPECT_FALSE(ParseNpz("").ok());
  EXPECT_FALSE(ParseNpz("not a zip file at all").ok());
  EXPECT_THAT(MessageFor(NpzBuilder().Add<uint8_t>("other", "|u1", {1}, {1})),
              HasSubstr("x_train"));
  EXPECT_THAT(
      std::string(
          ParseNpz(ZipBytes({{"x_train.npy", "a"}, {"x_train.npy", "b"}})).status().message()),
      HasSubstr("two entries"));
}

TEST(DatasetTest, NoTruncationOfAFileIsAccepted) {
  const std::string whole = SmallFile().Build();
  ASSERT_TRUE(ParseNpz(whole).ok());

  // The last 22 bytes are the end record; libarchive does without its last fields.
  for (size_t size = 0; size < whole.size() - 22; size += 7) {
    EXPECT_FALSE(ParseNpz(whole.substr(0, size)).ok()) << size << " bytes";
  }
}

TEST(DatasetTest, DescribesItself) {
  EXPECT_EQ(Describe(*ParseNpz(SmallFile().Build())),
            "1x2x1 uint8, 2 classes; 2 train, 2 val, 2 test");
}

TEST(DatasetTest, ReadsWhatNumpyWrites) {
  if (std::system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    GTEST_SKIP() << "/usr/bin/python3 has no numpy here";
  }
  const auto folder = TemporaryFolder::Create();
  ASSERT_TRUE(folder.ok());
  const std::string path = (folder->path() / "data.npz").string();
  const std::string command =
      "/usr/bin/python3 -c \"import numpy as n; x=n.arange(24,dtype=n.uint8).reshape(2,3,2,2); "
      "y=n.array([1,0]); n.savez_compressed('" +
      path +
      "',x_train=x,y_train=y,x_val=x,y_val=y,x_test=x+1,y_test=y.astype(n.uint16),scale=1/255,"
      "mean=[.1,.2,.3],std=n.float32(2))\"";
  ASSERT_EQ(std::system(command.c_str()), 0);

  const auto bytes = ReadFile(path);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto dataset = ParseNpz(*bytes);

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->sample_shape, (Shape{3, 2, 2}));
  EXPECT_EQ(dataset->test.bytes.back(), 24);
  EXPECT_THAT(dataset->preparation.mean, ElementsAre(0.1, 0.2, 0.3));
  EXPECT_THAT(dataset->preparation.std, ElementsAre(2.0));
}

TEST(DatasetTest, ReadsTheExample) {
  const auto bytes =
      ReadFile(std::filesystem::path(kSourceFolder) / "examples/fashion-mnist/fashion_mnist.npz");
  ASSERT_TRUE(bytes.ok()) << bytes.status();

  const auto dataset = ParseNpz(*bytes);

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->sample_shape, (Shape{1, 28, 28}));
  EXPECT_EQ(dataset->num_classes, 10);
  EXPECT_EQ(dataset->train.count + dataset->val.count + dataset->test.count, 5000);
}

}  // namespace
}  // namespace mico
