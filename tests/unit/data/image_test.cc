#include "data/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/support/image_files.h"

namespace mico {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMostSide = 4096;

struct Decoded {
  absl::Status status;
  Shape shape;
  std::vector<uint8_t> pixels;
};

Decoded Decode(const std::string& bytes) {
  Decoded decoded;
  auto image = OpenImage(bytes, kMostSide);
  decoded.status = image.status();
  if (!image.ok()) return decoded;
  decoded.shape = (*image)->shape();
  decoded.pixels.resize(decoded.shape.elements());
  decoded.status = (*image)->Read(decoded.pixels.data());
  return decoded;
}

std::string MessageFor(const std::string& bytes) {
  return std::string(Decode(bytes).status.message());
}

PngFile RandomPng(int color_type, int channels) {
  PngFile file{.width = 13, .height = 9, .color_type = color_type};
  file.rows = RandomBytes(size_t{13} * 9 * channels, 7);
  return file;
}

JpegFile RandomJpeg(int components) {
  JpegFile file{.width = 19, .height = 17, .components = components};
  file.pixels = RandomBytes(size_t{19} * 17 * components, 3);
  return file;
}

TEST(ImageTest, PngPixelsAreThoseThatWereWritten) {
  for (const bool interlaced : {false, true}) {
    PngFile grey = RandomPng(0, 1), rgb = RandomPng(2, 3);
    grey.interlaced = rgb.interlaced = interlaced;

    const Decoded of_grey = Decode(grey.Bytes()), of_rgb = Decode(rgb.Bytes());

    ASSERT_TRUE(of_grey.status.ok()) << of_grey.status;
    ASSERT_TRUE(of_rgb.status.ok()) << of_rgb.status;
    EXPECT_EQ(of_grey.shape, (Shape{1, 9, 13}));
    EXPECT_EQ(of_rgb.shape, (Shape{3, 9, 13}));
    EXPECT_EQ(of_grey.pixels, grey.rows);
    EXPECT_EQ(of_rgb.pixels, rgb.rows);
  }
}

TEST(ImageTest, APaletteBecomesItsColours) {
  PngFile file{.width = 3, .height = 1, .color_type = 3, .bit_depth = 2};
  file.palette = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
  file.rows = {0b10'00'01'00};

  const Decoded decoded = Decode(file.Bytes());

  ASSERT_TRUE(decoded.status.ok()) << decoded.status;
  EXPECT_THAT(decoded.pixels, ElementsAre(70, 80, 90, 10, 20, 30, 40, 50, 60));
}

TEST(ImageTest, FewBitsOfGreyFillTheRangeOfEight) {
  PngFile one{.width = 3, .height = 1, .bit_depth = 1};
  one.rows = {0b10100000};
  PngFile two{.width = 4, .height = 1, .bit_depth = 2};
  two.rows = {0b00'01'10'11};

  EXPECT_THAT(Decode(one.Bytes()).pixels, ElementsAre(255, 0, 255));
  EXPECT_THAT(Decode(two.Bytes()).pixels, ElementsAre(0, 85, 170, 255));
}

TEST(ImageTest, RefusesWhatEightBitGreyOrRgbCannotHold) {
  PngFile transparent_colour = RandomPng(2, 3);
  transparent_colour.transparent_colour = true;
  PngFile sixteen{.bit_depth = 16};

  EXPECT_THAT(MessageFor(RandomPng(4, 2).Bytes()), HasSubstr("transparency"));
  EXPECT_THAT(MessageFor(RandomPng(6, 4).Bytes()), HasSubstr("transparency"));
  EXPECT_THAT(MessageFor(transparent_colour.Bytes()), HasSubstr("transparency"));
  EXPECT_THAT(MessageFor(sixteen.Bytes()), HasSubstr("16 bits"));
  EXPECT_THAT(MessageFor(RandomJpeg(4).Bytes()), HasSubstr("4 components"));
}

TEST(ImageTest, ArithmeticCodingIsRefused) {
  JpegFile file = RandomJpeg(3);
  file.arithmetic = true;
  EXPECT_THAT(MessageFor(file.Bytes()), HasSubstr("arithmetic"));
}

TEST(ImageTest, AHugeImageIsRefusedByItsHeader) {
  std::string png = PlainPng(2, 2, 1, 0);
  png.replace(16, 8, std::string("\x00\x00\xea\x60\x00\x00\xea\x60", 8));
  std::string jpeg = RandomJpeg(1).Bytes();
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xea\x60\xea\x60");

  for (const std::string& bytes : {png, jpeg}) {
    const absl::Status status = Decode(bytes).status;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(status.message(), "60000x60000 pixels; needed 1 to 4096 a side");
  }
}

// A picture of smooth colour with a few edges, as the encoder of libjpeg-turbo 2.1 wrote it: the
// decoder must give these bytes on every machine.
TEST(ImageTest, AJpegGivesTheSameBytesEverywhere) {
  static constexpr unsigned char kFile[] = {
#include "tests/unit/data/gradient_jpeg.inc"
  };
  const Decoded decoded = Decode(std::string(reinterpret_cast<const char*>(kFile), sizeof(kFile)));

  ASSERT_TRUE(decoded.status.ok()) << decoded.status;
  EXPECT_EQ(decoded.shape, (Shape{3, 20, 24}));
  const std::string pixels(decoded.pixels.begin(), decoded.pixels.end());
  EXPECT_EQ(Digest::Of(pixels).hex(),
            "362d70d0cc9b9872237fbcbb54f527448858b32a251f49883ba85d842953925e");
}

TEST(ImageTest, AProgressiveJpegHasThePixelsOfTheOrdinaryOne) {
  for (const int components : {1, 3}) {
    JpegFile file = RandomJpeg(components);
    const Decoded ordinary = Decode(file.Bytes());
    file.progressive = true;
    const Decoded progressive = Decode(file.Bytes());

    ASSERT_TRUE(ordinary.status.ok()) << ordinary.status;
    ASSERT_TRUE(progressive.status.ok()) << progressive.status;
    EXPECT_EQ(ordinary.shape, (Shape{components, 17, 19}));
    EXPECT_EQ(progressive.pixels, ordinary.pixels);
  }
}

TEST(ImageTest, AGreyJpegIsCloseToWhatWasWritten) {
  JpegFile file{.width = 16, .height = 16, .quality = 100};
  for (int i = 0; i < 256; ++i) file.pixels.push_back(static_cast<uint8_t>(i));

  const Decoded decoded = Decode(file.Bytes());

  ASSERT_TRUE(decoded.status.ok()) << decoded.status;
  for (int i = 0; i < 256; ++i) EXPECT_NEAR(decoded.pixels[i], file.pixels[i], 2) << i;
}

TEST(ImageTest, NoTruncationIsAccepted) {
  PngFile interlaced = RandomPng(2, 3);
  interlaced.interlaced = true;
  JpegFile progressive = RandomJpeg(3);
  progressive.progressive = true;
  for (const std::string& whole :
       {RandomPng(0, 1).Bytes(), interlaced.Bytes(), RandomJpeg(1).Bytes(), progressive.Bytes()}) {
    ASSERT_TRUE(Decode(whole).status.ok());
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(Decode(whole.substr(0, size)).status.ok()) << size << " of " << whole.size();
    }
  }
}

TEST(ImageTest, CorruptFilesAreRefusedOrReadAndNothingIsPrinted) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  int png_refused = 0, png_changes = 0;
  for (const bool png : {true, false}) {
    const std::string whole = png ? RandomPng(2, 3).Bytes() : RandomJpeg(3).Bytes();
    for (size_t at = 8; at < whole.size(); ++at) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      const bool refused = !Decode(changed).status.ok();
      png_refused += png && refused;
      png_changes += png;
    }
  }
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(png_refused, png_changes) << "every chunk of a PNG has a checksum";
}

TEST(ImageTest, RefusesWhatIsNeither) {
  EXPECT_THAT(MessageFor(""), HasSubstr("an empty file"));
  EXPECT_THAT(MessageFor("GIF89a"), HasSubstr("neither PNG nor JPEG"));
  EXPECT_THAT(MessageFor("\xff\xd8\xff"), HasSubstr("broken JPEG"));
  EXPECT_THAT(MessageFor(std::string(kPngSignature)), HasSubstr("broken PNG"));
}

}  // namespace
}  // namespace mico
