#include "data/dataset_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Two-pixel samples that are all different: 200 of each class in train, 100 in val and test.
Dataset GoodSet() {
  Dataset dataset;
  dataset.sample_shape = {1, 1, 2};
  dataset.is_uint8 = true;
  dataset.num_classes = 2;
  dataset.preparation.scale = 1.0 / 255.0;
  int next = 0;
  const auto fill = [&](SplitData& split, int count) {
    split.count = count;
    for (int i = 0; i < count; ++i, ++next) {
      split.bytes.push_back(static_cast<uint8_t>(next & 0xff));
      split.bytes.push_back(static_cast<uint8_t>(next >> 8));
      split.labels.push_back(i % 2);
    }
  };
  fill(dataset.train, 400);
  fill(dataset.val, 100);
  fill(dataset.test, 100);
  return dataset;
}

TEST(DatasetReportTest, AGoodSetHasNoWarnings) {
  const DatasetReport report = Inspect(GoodSet());

  EXPECT_THAT(report.warnings, IsEmpty());
  ASSERT_THAT(report.classes, SizeIs(2));
  EXPECT_EQ(report.classes[1].train, 200);
  EXPECT_EQ(report.classes[1].val, 50);
  ASSERT_THAT(report.splits, SizeIs(3));
  EXPECT_EQ(report.splits[1].samples, 100);
  EXPECT_EQ(report.splits[1].classes, 2);
  EXPECT_EQ(report.splits[1].origin, "x_val");
  EXPECT_TRUE(report.prepared_non_negative);
}

TEST(DatasetReportTest, TargetsHaveNoClassesAndNoBalance) {
  Dataset dataset = GoodSet();
  dataset.num_classes = 0;
  dataset.target_elements = 1;
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    split->labels.clear();
    split->targets.assign(split->count, 0.5f);
  }
  const DatasetReport report = Inspect(dataset);

  EXPECT_THAT(report.warnings, IsEmpty());
  EXPECT_THAT(report.classes, IsEmpty());
  EXPECT_EQ(report.splits[1].classes, 0);
}

TEST(DatasetReportTest, SaysWhereSplitsAreFrom) {
  Dataset dataset = GoodSet();
  dataset.source = DatasetSource::kImages;
  EXPECT_EQ(Inspect(dataset).splits[2].origin, "folder test");
  dataset.val_taken_from_train = true;
  EXPECT_EQ(Inspect(dataset).splits[1].origin, "the last tenth of train, shuffled");
  dataset.test_taken_from_train = true;
  EXPECT_EQ(Inspect(dataset).splits[0].origin, "the rest of each class, shuffled");
  EXPECT_EQ(Inspect(dataset).splits[2].origin, "the last tenth of each class, shuffled");
}

TEST(DatasetReportTest, MeasuresEveryChannelBeforeAndAfterPreparation) {
  for (const bool is_uint8 : {true, false}) {
    Dataset dataset;
    dataset.sample_shape = {2, 1, 2};
    dataset.is_uint8 = is_uint8;
    dataset.num_classes = 1;
    dataset.preparation = {.scale = 0.5, .mean = {1.0, 0.0}, .std = {2.0}};
    for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
      *split = {.count = 1, .labels = {0}};
      if (is_uint8) split->bytes = {2, 4, 10, 30};
      if (!is_uint8) split->floats = {2, 4, 10, 30};
    }

    const DatasetReport report = Inspect(dataset);

    ASSERT_THAT(report.channels, SizeIs(2));
    const ValueRange& stored = report.channels[1].stored;
    EXPECT_EQ(stored.least, 10.0);
    EXPECT_EQ(stored.most, 30.0);
    EXPECT_DOUBLE_EQ(stored.mean, 20.0);
    EXPECT_DOUBLE_EQ(stored.deviation, 10.0);
    const ValueRange& prepared = report.channels[0].prepared;
    EXPECT_EQ(prepared.least, 0.0);
    EXPECT_EQ(prepared.most, 0.5);
    EXPECT_DOUBLE_EQ(prepared.mean, 0.25);
    EXPECT_DOUBLE_EQ(prepared.deviation, 0.25);
  }
}

TEST(DatasetReportTest, ManyChannelsAreMeasuredTogether) {
  Dataset dataset;
  dataset.sample_shape = {DatasetReport::kMostChannels + 1, 1, 1};
  dataset.is_uint8 = true;
  dataset.num_classes = 1;
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    *split = {.count = 1, .labels = {0}};
    for (int i = 0; i <= DatasetReport::kMostChannels; ++i) {
      split->bytes.push_back(static_cast<uint8_t>(i));
    }
  }

  const DatasetReport report = Inspect(dataset);

  ASSERT_THAT(report.channels, SizeIs(1));
  EXPECT_EQ(report.channels[0].stored.most, 16.0);
  EXPECT_DOUBLE_EQ(report.channels[0].stored.mean, 8.0);
}

TEST(DatasetReportTest, WarnsAboutClassesWithoutSamples) {
  Dataset dataset = GoodSet();
  dataset.num_classes = 4;
  dataset.train.labels[0] = 3;
  EXPECT_THAT(Inspect(dataset).warnings,
              ElementsAre("no sample of class 2 in any split", "val has no sample of class 3",
                          "test has no sample of class 3",
                          "train is unbalanced: class 1 has 200 samples, class 3 has 1"));

  dataset.num_classes = 20;
  EXPECT_THAT(Inspect(dataset).warnings,
              Contains("no sample of classes 2, 4, 5, 6, 7 and 12 more in any split"));
}

TEST(DatasetReportTest, NamesFoldersInWarnings) {
  Dataset dataset = GoodSet();
  dataset.class_names = {"cat", "dog"};
  for (int32_t& label : dataset.test.labels) label = 0;
  EXPECT_THAT(Inspect(dataset).warnings, ElementsAre("test has no sample of class 'dog'"));
}

TEST(DatasetReportTest, WarnsThatNumbersAreSortedAsText) {
  Dataset dataset = GoodSet();
  dataset.num_classes = 11;
  dataset.class_names = {"0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9"};
  EXPECT_THAT(Inspect(dataset).warnings,
              Contains("class folders are numbers but sorted as text: '10' is label 2"));

  dataset.class_names = {"00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10"};
  EXPECT_THAT(Inspect(dataset).warnings, Not(Contains(HasSubstr("sorted as text"))));
}

TEST(DatasetReportTest, WarnsAboutSamplesThatAreInTwoSplits) {
  Dataset dataset = GoodSet();
  std::copy_n(dataset.train.bytes.begin(), 6, dataset.val.bytes.begin());
  std::copy_n(dataset.val.bytes.begin() + 10, 4, dataset.test.bytes.begin());
  EXPECT_THAT(Inspect(dataset).warnings,
              ElementsAre("3 of 100 val samples are also in train: accuracy on them says too much",
                          "2 of 100 test samples are also in val: accuracy on them says too much"));
}

TEST(DatasetReportTest, WarnsAboutInputsThatNobodyTrainsOn) {
  Dataset dataset = GoodSet();
  dataset.preparation.scale = 1.0;
  EXPECT_THAT(Inspect(dataset).warnings,
              ElementsAre(AllOf(HasSubstr("inputs go from 0 to 255"), HasSubstr("scale"))));
  dataset.preparation.scale = 1.0 / 65025.0;
  EXPECT_THAT(Inspect(dataset).warnings, ElementsAre(HasSubstr("unusually small")));
}

TEST(DatasetReportTest, WarnsAboutAConstantChannelAndFewSamples) {
  Dataset dataset = GoodSet();
  dataset.sample_shape = {2, 1, 1};
  for (SplitData* split : {&dataset.train, &dataset.val, &dataset.test}) {
    for (size_t i = 1; i < split->bytes.size(); i += 2) split->bytes[i] = 7;
  }
  dataset.test.count = 40;
  dataset.test.labels.resize(40);
  dataset.test.bytes.resize(80);
  EXPECT_THAT(Inspect(dataset).warnings,
              AllOf(Contains("channel 1 is 7 everywhere"),
                    Contains("test has 40 samples: one of them is 2.5 points of accuracy")));
}

}  // namespace
}  // namespace mico
