// What strangers hand over as an .npz: each is refused with what was found and what was needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "data/dataset.h"
#include "fmt/format.h"
#include "tests/support/npz_builder.h"

namespace mico {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Three splits of two samples of three floats.
NpzBuilder GoodFile() {
  NpzBuilder builder;
  for (const std::string split : {"train", "val", "test"}) {
    builder.Add<float>("x_" + split, "<f4", {2, 3}, {0, 1, 2, 3, 4, 5});
    builder.Add<int64_t>("y_" + split, "<i8", {2}, {0, 1});
  }
  return builder;
}

absl::Status StatusFor(const NpzBuilder& builder) { return ParseDataset(builder.Build()).status(); }

std::string MessageFor(const NpzBuilder& builder) {
  const absl::Status status = StatusFor(builder);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

std::string FortranNpy() {
  return NpyBytes("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n",
                  std::string(24, '\0'));
}

TEST(BadNpzTest, TheGoodOneIsRead) { EXPECT_TRUE(StatusFor(GoodFile()).ok()); }

TEST(BadNpzTest, TypesThatAreNotStored) {
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_val", "|O", {2, 3}, "cpickle")),
              AllOf(HasSubstr("'x_val'"), HasSubstr("Python objects")));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("y_val", "|O", {2}, "cpickle")),
              AllOf(HasSubstr("'y_val'"), HasSubstr("Python objects")));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_train", "<f8", {2, 3}, std::string(48, '\0'))),
              HasSubstr("'x_train' is float64; needed uint8 or float32"));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_train", ">f4", {2, 3}, std::string(24, '\0'))),
              AllOf(HasSubstr("'x_train'"), HasSubstr("big-endian")));
  EXPECT_THAT(MessageFor(GoodFile().AddFile("x_test", FortranNpy())),
              AllOf(HasSubstr("'x_test'"), HasSubstr("Fortran order")));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_train", "<U3", {2, 3}, std::string(72, '\0'))),
              HasSubstr("'x_train'"));
}

TEST(BadNpzTest, TypesThatDifferBetweenSplits) {
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_val", "|u1", {2, 3}, std::string(6, '\0'))),
              HasSubstr("'x_val' is uint8; 'x_train' is not"));
}

TEST(BadNpzTest, ShapesThatSayNothing) {
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_train", "<f4", {6}, std::string(24, '\0'))),
              HasSubstr("'x_train' has shape (6,)"));
  EXPECT_THAT(
      MessageFor(GoodFile().AddRaw("x_train", "<f4", {1, 1, 1, 2, 3}, std::string(24, '\0'))),
      HasSubstr("'x_train' has shape (1, 1, 1, 2, 3)"));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_test", "<f4", {0, 3}, "")),
              HasSubstr("'x_test' has shape (0, 3); needed at least one sample"));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("y_test", "<i8", {2, 1, 1}, std::string(16, '\0'))),
              HasSubstr("'y_test' has shape (2, 1, 1)"));
  EXPECT_THAT(MessageFor(GoodFile().AddRaw("x_train", "<f4", {2, 3}, std::string(20, '\0'))),
              HasSubstr("'x_train'"));
}

TEST(BadNpzTest, LabelsThatDoNotGoWithTheSamples) {
  EXPECT_THAT(MessageFor(GoodFile().Add<int64_t>("y_train", "<i8", {1}, {0})),
              HasSubstr("'y_train' has 1 labels; 'x_train' has 2 samples"));
  EXPECT_THAT(MessageFor(GoodFile().Add<int64_t>("y_train", "<i8", {2}, {0, -1})),
              HasSubstr("'y_train' has label -1 at position 1"));
  EXPECT_THAT(MessageFor(GoodFile().Add<int64_t>("y_test", "<i8", {2}, {10'000, 0})),
              HasSubstr("'y_test' has label 10000 at position 0; needed 0 to 9999"));
}

TEST(BadNpzTest, NumbersThatAreNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(MessageFor(GoodFile().Add<float>("x_val", "<f4", {2, 3}, {0, 0, nan, 0, 0, 0})),
              HasSubstr("'x_val' has nan at position 2; needed finite numbers"));
  EXPECT_THAT(MessageFor(GoodFile().Add<float>("x_val", "<f4", {2, 3}, {-infinity, 0, 0, 0, 0, 0})),
              HasSubstr("'x_val' has -inf at position 0"));
}

TEST(BadNpzTest, PreparationsThatAreNone) {
  const auto with = [](const std::string& name, std::vector<double> values) {
    const auto count = static_cast<int64_t>(values.size());
    return MessageFor(GoodFile().Add<double>(name, "<f8", {count}, values));
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(with("scale", {0.0}), HasSubstr("array 'scale' has 0; needed a positive number"));
  EXPECT_THAT(with("scale", {-1.0}), HasSubstr("array 'scale' has -1"));
  EXPECT_THAT(with("scale", {1.0, 2.0}), HasSubstr("array 'scale' has shape (2,)"));
  EXPECT_THAT(with("mean", {nan}), HasSubstr("array 'mean' has nan; needed finite numbers"));
  EXPECT_THAT(with("mean", {0.0, 1.0}), HasSubstr("array 'mean' has shape (2,)"));
  EXPECT_THAT(with("std", {1.0, 0.0, 1.0}), HasSubstr("array 'std' has 0"));
  EXPECT_THAT(with("std", {}), HasSubstr("array 'std' has shape (0,)"));
  EXPECT_THAT(with("std", {1e-300}), HasSubstr("needed finite numbers"));
}

TEST(BadNpzTest, ZipsThatAreDamagedOrStrange) {
  const std::string whole = GoodFile().Build();
  EXPECT_FALSE(ParseDataset(whole.substr(0, whole.size() / 2)).ok());

  const auto twice = ParseDataset(ZipBytes({{"x_train.npy", "a"}, {"x_train.npy", "b"}}));
  EXPECT_THAT(std::string(twice.status().message()),
              HasSubstr("two entries are named 'x_train.npy'"));

  std::string damaged = whole;  // inside the first array's bytes
  damaged[whole.find("x_train.npy") + 60] ^= 0x55;
  EXPECT_FALSE(ParseDataset(damaged).ok());
}

TEST(BadNpzTest, AZipOfTooManyEntries) {
  std::vector<std::pair<std::string, std::string>> entries;
  for (int i = 0; i < 1001; ++i) entries.emplace_back(fmt::format("extra{}.npy", i), "");
  const absl::Status status = ParseDataset(ZipBytes(entries)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 1000 entries"));
}

TEST(BadNpzTest, AFileThatUnpacksToAThousandTimesItsSize) {
  DatasetLimits limits;
  limits.free_bytes = 100'000;
  NpzBuilder builder = GoodFile();
  builder.AddRaw("x_train", "<f4", {1'000'000, 3}, std::string(12'000'000, '\0'));
  const std::string bytes = builder.Build();
  ASSERT_LT(bytes.size() * limits.most_expansion, 12'000'000u);

  const absl::Status status = ParseDataset(bytes, limits).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'x_train.npy' makes the unpacked contents larger than"));
}

}  // namespace
}  // namespace mico
